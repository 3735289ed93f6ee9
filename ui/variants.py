"""Attention variants: results of ``stanhop compare``, and two runs side by side on one window."""

import copy
import shlex
from itertools import product

import streamlit as st
import torch
from stanhop_app.datasets import DATASETS
from stanhop_app.ui import jobs, opening, parts, runs, selection, watch
from stanhop_app.ui.fields import widget

from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.figures.curves import heat_figure
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.layers.names import association_names
from stanhop_app.layers.observe import record_weights
from stanhop_app.models.variants import VARIANTS
from stanhop_app.studies.config import ComparisonConfig
from stanhop_app.studies.variants_report import (
    command_line,
    comparison_figures,
    comparison_tables,
)
from stanhop_app.training.config import TrainingConfig

COMMAND = "stanhop compare etth1 --output runs/variants.json --report variants.html"


def show() -> None:
    """The page."""
    st.title("Attention variants")
    names = runs.result_names("variants")
    if names:
        _results(selection.one("Results", names, "comparison"))
    else:
        st.info(f"No results in {runs.root()} yet. Make some with the command below.")
        parts.reproduce(COMMAND, "# see stanhop_app.studies.variants.compare")
    _start()
    st.header("Two runs on one window")
    _side_by_side()


def _start() -> None:
    """Train variants in a process of its own, and watch it."""
    with st.expander("Start a comparison"):
        every = [
            a + extra
            for extra, a in product(("", "+clip", "+gate", "+memory"), association_names())
        ]
        chosen = st.multiselect("Variants", every, default=list(VARIANTS), key="variants")
        left, middle, right = st.columns(3)
        data = left.selectbox("Data", [n for n, d in DATASETS.items() if d.series == 1], key="data")
        split = widget(ComparisonConfig, "split", "Split: A/B/C, or etth", left)
        horizons = middle.text_input("Horizons (steps)", "24", key="horizons")
        seeds = middle.text_input("Seeds", "0,1,2", key="seeds")
        lookback = widget(ComparisonConfig, "lookback", "Lookback (steps)", right)
        steps = widget(TrainingConfig, "max_steps", "Steps at most", right)
        name = parts.name_field("Name of the results", f"{data}-variants")
        words = ["compare", data, "--output", f"{runs.root().name}/{name}.json"]
        words += ["--variants", ",".join(chosen), "--horizons", horizons, "--seeds", seeds]
        words += ["--split", split, "--lookback", str(lookback), "--quiet"]
        words += [] if steps is None else ["--max-steps", str(steps)]
        st.code(shlex.join(["stanhop", *words]), language="bash", wrap_lines=True)
        if st.button("Start, or go on", key="start", disabled=not chosen):
            try:
                jobs.check_name(name)
                file = f"{name}.json"
                jobs.start(f"{name}.compare", words, writes=(file, f"{file}.cells"))
            except parts.ERRORS as error:
                parts.fail(error)
    watch.comparisons("compare")


def _results(name: str) -> None:
    content = parts.comparison(name, comparison_tables, comparison_figures)
    if content is None:
        return
    ours = content["data_sha256"] == fingerprint(opening.sample_frame())
    data = "sample" if ours else "DATA"  # others are known by their checksum only
    parts.reproduce(
        command_line(content, data, f"{runs.root().name}/{name}"),
        "from pathlib import Path\n\nfrom stanhop_app.studies.cells import read_results\n"
        "from stanhop_app.studies.variants_report import rank_table\n\n"
        f"print(rank_table(read_results(Path({opening.literal(name)}))))",
    )


def _side_by_side() -> None:
    """Attention maps of two runs on the last window of the first one's history."""
    names = [*runs.run_names(), opening.SAMPLE]
    columns = st.columns(2)
    for side, column in enumerate(columns):
        with column:
            default = names[min(side, len(names) - 1)]
            name = selection.one("Run", names, f"run-{side}", default=default)
            try:
                run = opening.open_run(name)
            except parts.ERRORS as error:
                parts.fail(error)
                continue
            _attention(name, run.fitted, side)


def _attention(name: str, fitted: Fitted, side: int) -> None:
    """One retrieval of one run: weights of a head, and what they leave to the no-op."""
    rows = fitted.context.to_numpy(dtype=float)
    window = torch.from_numpy(fitted.scaler.transform(rows))[None]
    deep = copy.deepcopy(fitted.network.deep)  # hooks of another visitor's must not count here
    with torch.no_grad(), record_weights(deep) as weights:
        deep(window)
    module = selection.one("Retrieval", list(weights), f"module-{side}")
    of_module = weights[module]
    variates = list(fitted.columns)
    row = 0
    if len(of_module) == len(variates):
        row = variates.index(selection.one("Variate", variates, f"variate-{side}"))
    elif len(of_module) > 1:
        row = st.slider("Patch", 1, len(of_module), 1, key=f"patch-{side}") - 1
    head = (
        st.slider("Head", 1, of_module.shape[1], 1, key=f"head-{side}") - 1
        if of_module.shape[1] > 1
        else 0
    )
    shown = of_module[row, head]
    left = 1 - of_module[row].sum(-1)
    figure = heat_figure(
        parts.numbered(shown.numpy()),
        x="stored pattern",
        y="query",
        label="weight",
        title=f"{name}: {module}, head {head + 1}",
    )
    parts.show(figure, f"attention-{side}")
    st.metric("Left to the no-op, mean over heads", f"{max(100 * left.mean().item(), 0):.1f}%")
