"""What cells of the suite show beside outliers: context that was learned, norms by block, the first token."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.studies.cells import trained_cells


def context_claim(table: pd.DataFrame) -> str:
    """Whether language models learned context: whether they beat the bigram of the left neighbour.

    Empty where that is not known: of images, and in older files.

    Args:
        table: `stanhop_app.studies.suite_report.suite_table`.
    """
    told = []
    for model in dict.fromkeys(table.index.get_level_values("model")):
        rows = table.loc[model].dropna(subset="bigram")
        if rows.empty:
            continue
        bigram = rows["bigram"].mean()
        short = rows.index[rows["score"] >= rows["bigram"]]
        if len(short):
            told.append(
                f"{model}: {', '.join(short)} did not beat the bigram (perplexity {bigram:.1f}) and learned "
                "no context; what is compared with them says nothing"
            )
        else:
            least = (1 - rows["score"] / rows["bigram"]).min()
            told.append(f"{model}: all are {least:.0%} or more below the bigram ({bigram:.1f})")
    return "; ".join(told)


def normalisation_table(content: Mapping[str, Any], model: str) -> pd.DataFrame:
    """Maximum infinity norm of every normalisation of a model's blocks, mean over seeds: a column a variant.

    The paper finds that of BERT's first residual normalisation gets worse with softmax1.
    """
    cells = [cell for cell in trained_cells(content) if cell["model"] == model]
    names = [n for n in cells[0]["modules"] if n.startswith("blocks.") and n.endswith("_norm")]
    columns: dict[str, list[list[float]]] = {}
    for cell in cells:
        norms = [cell["modules"].get(name, [np.nan, np.nan])[1] for name in names]
        columns.setdefault(cell["variant"], []).append(norms)
    means = {
        variant: np.mean(norms_of_seeds, axis=0) for variant, norms_of_seeds in columns.items()
    }
    return pd.DataFrame(means, index=pd.Index(names, name="module"))


def sink_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """What the first token is, a row a model, variant and block, means over seeds (`suite.sinks`).

    Empty for files from before it was measured.
    """
    rows = [
        {
            **{name: cell[name] for name in ("model", "variant")},
            "block": block,
            **{name: values[block] for name, values in cell["sinks"].items()},
        }
        for cell in trained_cells(content)
        if "sinks" in cell
        for block in range(len(cell["sinks"]["norm"]))
    ]
    if not rows:
        return pd.DataFrame()
    keys = ["model", "variant", "block"]
    return pd.DataFrame(rows).groupby(keys, sort=False).mean()
