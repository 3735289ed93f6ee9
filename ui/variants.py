"""Attention variants: results of ``stanhop compare``, and two runs side by side on one window."""

import copy
import shlex
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
import torch
from stanhop_app.datasets import DATASETS
from stanhop_app.ui import jobs, opening, parts, runs, selection, watch
from stanhop_app.ui.fields import widget
from torch import Tensor

from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.match import match_columns, match_frequency
from stanhop_app.errors import DataError
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
    """Attention maps of two runs on one window: the last rows of the first one, in one scale of colours."""
    names = [*runs.run_names(), opening.SAMPLE]
    columns, rows = st.columns(2), None
    maps: dict[str, tuple[Any, str, np.ndarray, float]] = {}
    for side, column in enumerate(columns):
        with column:
            default = names[side if side < len(names) - 1 else 0]  # the sample is of another table
            name = selection.one("Run", names, f"run-{side}", default=default)
            try:
                fitted = opening.open_run(name).fitted
                rows = _readable(fitted).rows if rows is None else rows
                weights = _weights(_readable(fitted), rows)
            except parts.ERRORS as error:
                parts.fail(error)
                continue
            maps[f"attention-{side}"] = (column, *_map(name, fitted, weights, side))
    top = max((float(shown.max()) for _, _, shown, _ in maps.values()), default=1.0)
    for key, (column, title, shown, left) in maps.items():
        figure = heat_figure(
            parts.numbered(shown),
            x="stored pattern",
            y="query",
            label="weight",
            title=title,
            top=top,
        )
        with column:
            parts.show(figure, key)
            st.metric("Left to the no-op, mean over heads", f"{max(100 * left, 0):.1f}%")
    if rows is not None and len(maps) == len(columns):
        st.caption(
            f"Both read the rows until {rows.index[-1]} of the run on the left, in their own scales."
        )


def _readable(fitted: Fitted) -> Fitted:
    """A run whose window is values alone.

    Raises:
        DataError: if it is of many series, with covariates, or reads holes.
    """
    config = fitted.network.config
    if fitted.series is not None or config.reads_covariates or config.holes:
        raise DataError(
            "it reads many series, covariates or holes, not values alone; choose a run of one table."
        )
    return fitted


def _weights(fitted: Fitted, rows: pd.DataFrame) -> dict[str, Tensor]:
    """Weights of every retrieval of a run that reads the last of these rows.

    Raises:
        DataError: if they are of other columns or another frequency, or too few.
    """
    if set(rows.columns) != set(fitted.columns):
        raise DataError("it was trained on other columns; choose two runs of one table.")
    frame = match_columns(rows, list(fitted.columns))
    match_frequency(frame, fitted.frequency)
    if len(frame) < fitted.lookback:
        raise DataError(f"it reads {fitted.lookback} rows; the run on the left keeps {len(frame)}.")
    values = frame.iloc[-fitted.lookback :].to_numpy(dtype=float)
    window = torch.from_numpy(fitted.scaler.transform(values))[None]
    deep = copy.deepcopy(fitted.network.deep)  # hooks of another visitor's must not count here
    with torch.no_grad(), record_weights(deep) as weights:
        deep(window)
    return weights


def _map(
    name: str, fitted: Fitted, weights: Mapping[str, Tensor], side: int
) -> tuple[str, np.ndarray, float]:
    """One retrieval that is chosen: a title, weights of a head, and what is left to the no-op."""
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
    left = float((1 - of_module[row].sum(-1)).mean())
    return f"{name}: {module}, head {head + 1}", of_module[row, head].numpy(), left
