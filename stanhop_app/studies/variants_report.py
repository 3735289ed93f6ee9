"""Tables, ranks and figures of a comparison of attention variants."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.command_line import spell
from stanhop_app.errors import DataError
from stanhop_app.figures.curves import bits_figure, curves_figure, error_figure
from stanhop_app.figures.outliers import component_figure
from stanhop_app.models.stanhop import STanHopConfig
from stanhop_app.runs.measures import BITS
from stanhop_app.runs.significance import paired
from stanhop_app.studies.cells import trained_cells
from stanhop_app.studies.report import (
    failed_table,
    module_outliers,
    norms_table,
    shared_modules,
    with_deviations,
)
from stanhop_app.studies.variants import ComparisonConfig

DIGITS = {
    **dict.fromkeys(("validation_mse", "test_mse", "test_mae"), 4),
    **dict.fromkeys(("kurtosis", "max_inf_norm"), 3),
    **dict.fromkeys(BITS, 4),
    **{"no_op": 3, "parameters": 0, "windows_per_second": 0, "one_window_ms": 2},
}
"""Columns of the readable table, with their digits after the point."""
RANKED = ("test_mse", "kurtosis", "max_inf_norm", "W8A8", "W4A4")
"""What variants are ranked by; less is better."""


def comparison_frame(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """One row a cell: variant, horizon, seed, errors, outliers over a set of modules, bits, cost.

    Of the set "all" those modules count that all variants of the first comparison have.
    """
    cells = trained_cells(content)
    shared = shared_modules(cells, content.get("shared_by"))
    rows = [
        {
            **{name: cell[name] for name in ("variant", "horizon", "seed")},
            **{name: cell[name] for name in ("validation_mse", "test_mse", "test_mae")},
            **module_outliers(cell, modules, shared),
            **cell["bits"],
            "no_op": cell["no_op"],
            "parameters": cell["parameters"],
            "windows_per_second": cell["training_windows_per_second"],
            "one_window_ms": cell["one_window_ms"],
        }
        for cell in cells
    ]
    return pd.DataFrame(rows)


def comparison_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """One row a horizon and variant: means over seeds, and deviations (``_sd``) where there are several."""
    frame = comparison_frame(content, modules)
    keys = ["horizon", "variant"]
    values = [name for name in frame.columns if name not in (*keys, "seed")]
    groups = frame.groupby(keys, sort=False)
    table = groups[values].mean()
    table.insert(0, "seeds", groups.size())
    several = groups[["test_mse", "kurtosis", "max_inf_norm", "W8A8", "W4A4"]].std(ddof=1)
    table = table.join(several.add_suffix("_sd"))
    return table.sort_index(level="horizon", sort_remaining=False, kind="stable")


def readable_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """`comparison_table` as text: mean and deviation in one column, whole numbers whole."""
    table = comparison_table(content, modules)
    digits = {name: places for name, places in DIGITS.items() if name in table.columns}
    return pd.concat([table["seeds"].astype(str), with_deviations(table, digits)], axis=1)


def rank_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """Rank of every variant (1: least) by what `RANKED` names, mean over horizons; the best first.

    Ranked are means over the cells that all variants have, of the same horizons and seeds: a rank among four
    is none among ten. Empty where there is no such cell.
    """
    frame = ranked_frame(content, modules)
    table = frame.groupby(["horizon", "variant"], sort=False)[list(RANKED)].mean()
    ranks = table.groupby(level="horizon", sort=False).rank(method="average")
    mean = ranks.groupby(level="variant", sort=False).mean()
    return mean.assign(mean=mean.mean(axis=1)).sort_values("mean", kind="stable")


def ranked_frame(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """The rows of `comparison_frame` whose horizon and seed all variants have."""
    frame = comparison_frame(content, modules)
    variants = frame["variant"].nunique()
    shared = frame.groupby(["horizon", "seed"])["variant"].transform("nunique") == variants
    return frame[shared]


def rank_heading(content: Mapping[str, Any]) -> str:
    """What a table of ranks is over: how many variants, which horizons, how many seeds of each."""
    frame = ranked_frame(content)
    every = comparison_frame(content)
    variants = every["variant"].nunique()
    if frame.empty:
        return f"No ranks: the {variants} variants share no horizon and seed"
    seeds = frame.groupby("horizon", sort=False)["seed"].nunique()
    where = ", ".join(f"{horizon} ({count})" for horizon, count in seeds.items())
    left = len(every) - len(frame)
    more = f"; {left} cells that not all have are left out" if left else ""
    return f"Ranks among {variants} (1: least), mean over horizons (seeds): {where}{more}"


def bits_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Test MSE by horizon and variant (rows) and bits (columns), float first, mean over seeds."""
    table = comparison_table(content)
    return table[["test_mse", *BITS]].rename(columns={"test_mse": "float"})


def gain_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """How much lower the test error of each variant is than that of the first one, in percent, by horizon.

    Losses are means over seeds, paired in time, in blocks of a horizon
    (`stanhop_app.runs.significance.paired`). Nothing is told of cells of older versions, which kept no
    losses, and of test parts that are too short.
    """
    cells = [cell for cell in trained_cells(content) if cell.get("over_time")]
    groups: dict[tuple[int, str], list[list[float]]] = {}
    for cell in cells:
        groups.setdefault((cell["horizon"], cell["variant"]), []).append(cell["over_time"])
    first = cells[0]["variant"] if cells else ""
    rows = {}
    for (horizon, variant), losses in groups.items():
        others = groups.get((horizon, first))
        if variant == first or others is None:
            continue
        try:
            gain = paired(np.mean(losses, axis=0), np.mean(others, axis=0), overlap=1)
        except DataError:
            continue
        rows[horizon, variant] = {
            "better by %": round(100 * gain.gain, 2),
            "from": round(100 * gain.low, 2),
            "to": round(100 * gain.high, 2),
            "p": round(gain.p, 4),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = (
        pd.MultiIndex.from_tuples(list(rows), names=["horizon", "variant"]) if rows else table.index
    )
    return table


def comparison_tables(content: Mapping[str, Any], modules: str = "all") -> dict[str, pd.DataFrame]:
    """Every table by its heading."""
    tables = {
        f"Means over seeds; kurtosis and max norm over {modules}": readable_table(content, modules),
        rank_heading(content): rank_table(content, modules),
        "Test MSE against bits": bits_table(content),
    }
    if len(gains := gain_table(content)):
        first = trained_cells(content)[0]["variant"]
        tables[f"Test error below that of {first}, 95% interval over blocks of time"] = gains
    if len(failed := failed_table(content)):
        tables["Not trained"] = failed
    return tables


def comparison_figures(content: Mapping[str, Any], modules: str = "all") -> list[go.Figure]:
    """Errors, both outlier metrics, error against bits, and the papers' figures 2 to 4 for this model."""
    split = content["options"]["split"]
    table = comparison_table(content, modules).rename(
        index=lambda h: f"horizon {h}", level="horizon"
    )
    figures = [
        error_figure(table, value=value, label=label, title=title)
        for value, label, title in (
            ("test_mse", "test MSE, scaled units", f"Error by variant, split {split}"),
            ("kurtosis", "mean over modules (3: Gaussian)", f"Average kurtosis ({modules})"),
            ("max_inf_norm", "maximum over modules", f"Maximum infinity norm ({modules})"),
        )
    ]
    figures.append(bits_figure(bits_table(content), title=f"Error against bits, split {split}"))
    cells = _first_cells(content)
    horizon = cells[0]["horizon"]
    where = f"horizon {horizon}, seed {cells[0]['seed']}"
    curves = {
        cell["variant"]: (cell["steps"]["step"], cell["steps"]["max_inf_norm"]) for cell in cells
    }
    figures.append(
        curves_figure(
            curves,
            x="optimiser step",
            y="maximum infinity norm over blocks",
            title=f"Norms during training, {where}",
        )
    )
    for kind, title in (("layer", "Norms by block"), ("component", "Norms by component")):
        norms = component_norms(content, kind)
        figures.append(component_figure(norms, title=f"{title}, {where}"))
    return figures


def command_line(content: Mapping[str, Any], data: str, output: str) -> str:
    """The command that fills a results file with the cells that it has.

    Cells of several commands are those of one that names all their variants, horizons and seeds.
    """
    options = dict(content["options"])
    inner = {**options.pop("network"), **options.pop("training")}
    cells = content["cells"].values()
    chosen = {
        f"{name}s": ",".join(dict.fromkeys(str(cell[name]) for cell in cells))
        for name in ("variant", "horizon", "seed")
    }
    network = asdict(STanHopConfig(num_variates=1))
    defaults = {**network, "max_steps": None, **asdict(ComparisonConfig())}
    return spell(["compare", data], {**options, **inner, **chosen, "output": output}, defaults)


def component_norms(content: Mapping[str, Any], kind: str) -> pd.DataFrame:
    """Maximum infinity norm of the first horizon and seed: one row a module, one column a variant.

    Args:
        content: of a results file.
        kind: "layer" for whole blocks, "component" for what the last block of the encoder is made of.
    """
    cells = _first_cells(content)
    blocks = sorted({n for cell in cells for n in cell["modules"] if _is_block(n)}, key=_order)
    encoder = [name for name in blocks if name.startswith("blocks.")]
    if kind == "layer":
        names = blocks
    else:
        prefix = f"{encoder[-1]}."
        inside = [n for n in cells[0]["modules"] if n.startswith(prefix)]
        names = [n for n in inside if n.count(".") == 2 and not n.endswith("dropout")]
    return norms_table(cells, names)


def _is_block(name: str) -> bool:
    return name.count(".") == 1 and name.split(".")[0] in ("blocks", "readers")


def _order(name: str) -> tuple[str, int]:
    kind, number = name.split(".")
    return kind, int(number)


def _first_cells(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Cells of the first horizon and seed."""
    cells = trained_cells(content)
    first = cells[0]["horizon"], cells[0]["seed"]
    return [cell for cell in cells if (cell["horizon"], cell["seed"]) == first]
