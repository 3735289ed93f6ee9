"""Tables and figures of a comparison of the suite: the paper's table 1 and figures 2 to 4 at our scale."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.figures.curves import bits_figure, curves_figure, error_figure
from stanhop_app.figures.outliers import component_figure
from stanhop_app.models.variants import PAIRS
from stanhop_app.studies.cells import trained_cells
from stanhop_app.studies.report import (
    failed_table,
    module_outliers,
    norms_table,
    shared_modules,
    with_deviations,
)
from stanhop_app.studies.suite import BITS, describe
from stanhop_app.studies.suite_findings import context_claim, normalisation_table, sink_table

PAPER = {
    ("bert", "softmax"): (418.724, 255.859, 6.237, 7.154),
    ("bert", "softmax1"): (26.564, 33.618, 6.209, 6.295),
    ("bert", "softmax+clip"): (14.210, 33.619, 6.118, 6.189),
    ("bert", "softmax1+clip"): (11.839, 30.107, 6.133, 6.199),
    ("bert", "softmax+gate"): (17.779, 34.082, 6.230, 6.299),
    ("bert", "softmax1+gate"): (15.625, 32.777, 6.214, 6.279),
    ("opt", "softmax"): (23341.513, 92.786, 15.974, 42.012),
    ("opt", "softmax1"): (21.542, 13.302, 15.916, 16.429),
    ("opt", "softmax+clip"): (9731.110, 43.803, 16.042, 30.825),
    ("opt", "softmax1+clip"): (24127.332, 67.602, 16.118, 29.269),
    ("opt", "softmax+gate"): (90.321, 13.704, 15.677, 16.236),
    ("opt", "softmax1+gate"): (11.449, 7.568, 15.751, 16.148),
    ("vit", "softmax"): (37.104, 272.198, 76.810, 74.935),
    ("vit", "softmax1"): (31.601, 249.163, 76.788, 76.313),
    ("vit", "softmax+clip"): (33.868, 257.613, 76.612, 75.179),
    ("vit", "softmax1+clip"): (24.642, 196.199, 76.871, 76.083),
    ("vit", "softmax+gate"): (45.145, 269.279, 69.922, 67.479),
    ("vit", "softmax1+gate"): (21.979, 60.169, 74.089, 73.958),
}
"""Kurtosis, maximum infinity norm, and perplexity or accuracy in percent, float and W8A8: arXiv 2404.03828,
table 1."""
WORSE = "perplexity, or errors in percent"
"""Scores as figures show them: less is better."""
HEADLINE = {"kurtosis": 0.2188, "max_inf_norm": 0.2607}
"""The paper's mean reductions by softmax1, over four models and three pairs of variants."""


CONTEXT = ("context_free", "bigram")
"""Perplexities of predictors without a network (`stanhop_app.suite.context`); not a number of images, and in
files from before they were measured."""


def suite_frame(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """One row a cell: model, variant, seed, both outlier metrics over a set of modules, scores by bits.

    ``score`` is perplexity of texts and accuracy in percent of images. Of the set "all" those modules count
    that all variants of the first comparison of the model have.
    """
    rows = []
    cells = trained_cells(content)
    shared = {model: _shared(content, model) for model in {cell["model"] for cell in cells}}
    for cell in cells:
        rows.append(
            {
                **{name: cell[name] for name in ("model", "variant", "seed")},
                **module_outliers(cell, modules, shared[cell["model"]]),
                "score": _score(cell["metrics"]),
                **{name: cell["metrics"].get(name, np.nan) for name in CONTEXT},
                **{bits: _score(cell["bits"][bits]) for bits in BITS},
                "no_op": cell["no_op"],
                "parameters": cell["parameters"],
                "multiply_adds": cell["multiply_adds"],
                "samples_per_second": cell["samples_per_second"],
            }
        )
    return pd.DataFrame(rows)


def suite_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """One row a model and variant: means over seeds, and deviations (``_sd``) where there are several."""
    frame = suite_frame(content, modules)
    groups = frame.groupby(["model", "variant"], sort=False)
    values = [name for name in frame.columns if name not in ("model", "variant", "seed")]
    table = groups[values].mean()
    table.insert(0, "seeds", groups.size())
    several = groups[["kurtosis", "max_inf_norm", "score", "W8A8", "W6A6"]].std(ddof=1)
    return table.join(several.add_suffix("_sd"))


def readable_suite_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """`suite_table` as text, with the paper's figures (kurtosis / max norm / float / W8A8) beside it."""
    table = suite_table(content, modules)
    digits = dict.fromkeys(("kurtosis", "max_inf_norm", "score", *BITS), 2)
    shown = pd.concat([table["seeds"].astype(str), with_deviations(table, digits)], axis=1)
    for name in CONTEXT:
        if table[name].notna().any():
            shown[name] = table[name].map("{:.2f}".format).replace("nan", "")
    shown["no_op"] = table["no_op"].map("{:.3f}".format)
    for name in ("parameters", "multiply_adds"):
        shown[name] = table[name].map("{:,.0f}".format)
    shown["the paper"] = pd.Series(
        [" / ".join(f"{v:,.2f}" for v in PAPER.get(row, ())) for row in table.index],
        index=table.index,
    )
    return shown.rename(
        columns={
            "score": "perplexity or accuracy (%)",
            "max_inf_norm": "max norm",
            "multiply_adds": "multiply-adds of a sample",
        }
    )


def pair_table(content: Mapping[str, Any], modules: str = "all") -> pd.DataFrame:
    """What softmax1 changes: one row a model and pair of variants, as shares, and their mean.

    Negative: less with softmax1. The last row is the mean over all rows, beside the paper's for the same
    rows; its headline (22% and 26% less) is a mean over STanHop's rows too. Perplexities should fall and
    accuracies rise, so that scores have no mean.
    """
    table = suite_table(content, modules)
    names = ("kurtosis", "max_inf_norm", "score")
    rows = {}
    for model in dict.fromkeys(table.index.get_level_values("model")):
        for without, with_no_op in PAIRS:
            if {(model, without), (model, with_no_op)} <= set(table.index):
                before, after = table.loc[(model, without)], table.loc[(model, with_no_op)]
                paper = (np.array(PAPER[model, name][:2]) for name in (with_no_op, without))
                kurtosis, norm = next(paper) / next(paper) - 1
                rows[model, without] = {
                    **{name: after[name] / before[name] - 1 for name in names},
                    "the paper's kurtosis": kurtosis,
                    "the paper's max_inf_norm": norm,
                }
    if not rows:
        return pd.DataFrame()
    pairs = pd.DataFrame.from_dict(rows, orient="index")
    pairs.index = pd.MultiIndex.from_tuples(list(rows), names=["model", "without"])
    pairs.loc[("mean", ""), :] = pairs.mean()
    pairs.loc[("mean", ""), "score"] = np.nan
    return pairs


def suite_tables(content: Mapping[str, Any], modules: str = "all") -> dict[str, pd.DataFrame]:
    """Every table by its heading."""
    models = list(dict.fromkeys(cell["model"] for cell in trained_cells(content)))
    made = "; ".join(describe(content, model) for model in models)
    over = modules
    if modules == "all":
        counts = ", ".join(f"{len(_shared(content, model))} of {model}" for model in models)
        over = f"all modules that the variants of the first comparison have ({counts})"
    heading = f"Means over seeds; kurtosis and max norm over {over}. {made}"
    if claim := context_claim(suite_table(content)):
        heading = f"{claim}. {heading}"
    tables = {heading: readable_suite_table(content, modules)}
    if len(pairs := pair_table(content, modules)):
        headline = " and ".join(f"{100 * v:.0f}%" for v in HEADLINE.values())
        tables[f"What softmax1 changes, as shares (the paper's headline: {headline} less)"] = pairs
    if "bert" in models:
        title = "Maximum infinity norm of BERT's normalisations"
        tables[title] = normalisation_table(content, "bert")
    if len(sinks := sink_table(content)):
        tables["The first token: weight on it, norms there and elsewhere, by block"] = sinks
    if len(failed := failed_table(content)):
        tables["Not trained"] = failed
    return tables


def suite_figures(content: Mapping[str, Any], modules: str = "all") -> list[go.Figure]:
    """Outliers and scores by variant, scores against bits, and norms over steps, blocks and components."""
    table = suite_table(content, modules)
    table = _less_is_better(table)
    figures = [
        error_figure(table, value=value, label=label, title=title)
        for value, label, title in (
            ("kurtosis", "mean over modules (3: Gaussian)", f"Average kurtosis ({modules})"),
            ("max_inf_norm", "maximum over modules", f"Maximum infinity norm ({modules})"),
            ("score", WORSE, "Test scores in float"),
        )
    ]
    bits = table[["score", *BITS]].rename(columns={"score": "float"})
    figures.append(bits_figure(bits, title="Scores against bits", label=WORSE))
    for model in dict.fromkeys(table.index.get_level_values("model")):
        cells = _first_cells(content, model)
        where = f"{model} on {content['models'][model]['data']}, seed {cells[0]['seed']}"
        curves = {
            cell["variant"]: (cell["steps"]["step"], cell["steps"]["max_inf_norm"])
            for cell in cells
        }
        figures.append(
            curves_figure(
                curves,
                x="optimiser step",
                y="maximum infinity norm over blocks",
                title=f"Norms during training: {where}",
            )
        )
        for kind, title in (("layer", "Norms by block"), ("component", "Norms by component")):
            norms = module_norms(content, model, kind)
            figures.append(component_figure(norms, title=f"{title}: {where}"))
    return figures


def module_norms(content: Mapping[str, Any], model: str, kind: str) -> pd.DataFrame:
    """Maximum infinity norm of the first seed: one row a module, one column a variant.

    Args:
        content: of a results file.
        model: whose.
        kind: "layer" for whole blocks, "component" for what the last block is made of.
    """
    cells = _first_cells(content, model)
    names = [name for name in cells[0]["modules"] if name.startswith("blocks.")]
    blocks = sorted({".".join(name.split(".")[:2]) for name in names}, key=lambda n: int(n[7:]))
    if kind == "component":
        inside = [name for name in names if name.startswith(f"{blocks[-1]}.")]
        blocks = [n for n in inside if n.count(".") == 2 or n.endswith((".up", ".down"))]
    return norms_table(cells, blocks)


def _less_is_better(table: pd.DataFrame) -> pd.DataFrame:
    """A table in which accuracies in percent became errors in percent."""
    table = table.copy()
    images = table.index.get_level_values("model") == "vit"
    for name in ("score", *BITS):
        table.loc[images, name] = 100 - table.loc[images, name]
    return table


def _shared(content: Mapping[str, Any], model: str) -> list[str]:
    """The modules over which "all" is measured for a model."""
    cells = [cell for cell in trained_cells(content) if cell["model"] == model]
    return shared_modules(cells, content.get("shared_by", {}).get(model))


def _score(metrics: Mapping[str, float]) -> float:
    return metrics["perplexity"] if "perplexity" in metrics else 100 * metrics["accuracy"]


def _first_cells(content: Mapping[str, Any], model: str) -> list[Mapping[str, Any]]:
    cells = [cell for cell in trained_cells(content) if cell["model"] == model]
    return [cell for cell in cells if cell["seed"] == cells[0]["seed"]]
