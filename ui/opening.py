"""Runs that pages show: chosen, opened, with their tables, and as the lines that open them elsewhere."""

import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.datasets import DATASETS, sample
from stanhop_app.ui import runs, selection
from stanhop_app.ui.brought import read_options
from stanhop_app.ui.parts import ERRORS, brought, fail, upload

from stanhop_app.command_line import flags
from stanhop_app.data.frame import read_frame
from stanhop_app.errors import ArtefactError
from stanhop_app.runs.exported import ExportedForecaster
from stanhop_app.runs.run import Run

MOST_PANELS = 12
"""Panels of a figure that are drawn; of more variates the first."""


SHOWN = "sample-shown"
"""What the run that comes with stanhop is called in commands."""
SAMPLE = "sample (comes with stanhop)"
"""What is shown where there is no run yet: `datasets.sample.RUN`."""


SAMPLE_OPTIONS: dict[str, Any] = {
    "horizon": 24,
    "lookback": 168,
    "max_epochs": 1,
    "network": {"dim": 16, "num_heads": 4, "hidden_dim": 32},
}
"""Options that it was trained with."""


@st.cache_resource(show_spinner="Reading the run…")
def sample_run() -> Run:
    """A small run of the embedded sample, so that no page is empty."""
    return Run.open(sample.RUN).on(sample_frame())


@st.cache_data(show_spinner=False)
def sample_frame() -> pd.DataFrame:
    """The embedded sample."""
    return read_frame(DATASETS["sample"].locate())


@st.cache_resource(show_spinner="Reading the run…", max_entries=8)
def _load(name: str, modified: float) -> Run:
    return Run.open(runs.inside(name))


def choose_name(*, exports: bool = False) -> str:
    """A widget for the run, the same on all pages; its name. The default is the newest run that opens.

    Args:
        exports: whether the page can show exported folders too.
    """
    exported = runs.export_names()
    names = [*runs.run_names(), *(exported if exports else [])]
    for strange in runs.strange_names():
        st.sidebar.warning(f"{strange}: its name is not UTF-8; rename it to open it here.")
    if not exports and (kept := selection.kept("run")) in exported:
        names.append(kept)  # which stays chosen, and is said to be an export
    newest = next((name for name in names if _opens(name)), SAMPLE)
    return str(selection.one("Run", [*names, SAMPLE], "run", default=newest, place=st.sidebar))


def choose_run() -> tuple[str, Run]:
    """A widget for the run; its name and the run. Stops the page with an error where it is damaged."""
    chosen = choose_name()
    return chosen, opened(chosen)


def opened(chosen: str) -> Run:
    """The run of this name; where it is an export or damaged, the page says so and stops."""
    if chosen in runs.export_names():
        st.info(
            f"{chosen} is exported: it forecasts, and has nothing else to show. See its forecast, or choose "
            "the run that it was made of."
        )
        st.stop()
    try:
        run = open_run(chosen)
    except ERRORS as error:
        fail(error)
        st.stop()
    return run


def choose_horizon(trained: int, place: Any) -> int:
    """A widget for the steps that are forecast: those of the training, at most 20 times as many."""
    return selection.number(
        "Horizon (steps)", 1, 20 * trained, "horizon", default=trained, place=place
    )


def choose_variates(columns: Sequence[str], place: Any = None) -> list[str]:
    """A widget for the variates that are drawn; at most `MOST_PANELS`, as it says."""
    columns = list(map(str, columns))
    chosen = selection.several("Variates", columns, "variates", default=columns[:1], place=place)
    if len(chosen) > MOST_PANELS:
        st.caption(f"The first {MOST_PANELS} of {len(chosen)} chosen variates are drawn.")
    return chosen[:MOST_PANELS] or columns[:1]


def _opens(name: str) -> bool:
    """Whether a run, or an export that can be read here, opens."""
    try:
        open_export(name) if name in runs.export_names() else open_run(name)
    except ERRORS:
        return False
    return True


def open_export(name: str) -> ExportedForecaster:
    """An exported folder of the run folder; programs of torch, which can run code, are refused.

    Raises:
        ArtefactError: if it is damaged, a program, lies outside of the folder, or what runs it is missing.
    """
    return _load_export(name, _modified(name))


@st.cache_resource(show_spinner="Reading the export…", max_entries=8)
def _load_export(name: str, modified: float) -> ExportedForecaster:
    return ExportedForecaster.load(runs.inside(name))


def _modified(name: str) -> float:
    """When a folder was finished."""
    config = runs.inside(name) / "config.json"
    try:
        return config.stat().st_mtime
    except OSError as error:
        raise ArtefactError(f"{config}: cannot be read ({error.strerror}).") from None


def open_run(name: str) -> Run:
    """A run of the run folder, or the sample's.

    Raises:
        ArtefactError: if it is damaged, or lies outside of the folder.
    """
    if name == SAMPLE:
        return sample_run()
    return _load(name, _modified(name))


def version(name: str, run: Run) -> str:
    """What a result about a run and its table is kept under: both may change under the same name."""
    saved = 0.0 if name == SAMPLE else (runs.inside(name) / "config.json").stat().st_mtime
    return f"{name} {saved} {run.table.fingerprint}"


def own_frame(run: Run) -> pd.DataFrame | None:
    """The table that a run was trained on, if it is one table, and a data set with a name."""
    name = run.source.get("data")
    return None if name not in DATASETS or run.fitted.series is not None else dataset(name)


def kept_table(run: Run) -> Run | None:
    """A run with the rows that it keeps, where these are the table of its training; or None."""
    if not run.keeps_all:
        return None
    try:
        kept = run.on_kept()
    except ERRORS:
        return None
    return kept if kept.is_trained_table else None


def with_table(run: Run) -> Run | None:
    """A run with the table of its training: kept, by its name, or uploaded; None while it is not there."""
    if (kept := kept_table(run)) is not None:
        return kept
    frame = own_frame(run)
    if frame is None:
        frame = upload("The table that the run was trained on", *read_options(run.forecaster))
    if frame is None:
        st.info("Bring the table that the run was trained on.")
        return None
    try:
        return run.on(frame)
    except ERRORS as error:
        fail(error)
        return None


def folder(name: str) -> str:
    """How a run's folder is named in a command."""
    return shlex.quote(f"{runs.root().name}/{SHOWN if name == SAMPLE else name}")


def made(name: str) -> str:
    """The command that makes the sample's run anew, in front of one about it; nothing for others."""
    if name != SAMPLE:
        return ""
    flat = {n: v for n, v in SAMPLE_OPTIONS.items() if n != "network"} | SAMPLE_OPTIONS["network"]
    return f"{shlex.join(['stanhop', 'train', 'sample', '--output', folder(name), *flags(flat)])}\n"


def file() -> str:
    """The table that was brought, in a command behind the run; nothing where there is none."""
    name = brought()
    return "" if name is None else f" {shlex.quote(f'./{name}' if name.startswith('-') else name)}"


def of_file() -> str:
    """The table that was brought, in a title behind the last row; nothing where there is none."""
    name = brought()
    return "" if name is None else f" of {name}"


def literal(name: str) -> str:
    """How an entry of the run folder is named in Python."""
    return repr(f"{runs.root().name}/{name}")


def reading(name: str, run: Run) -> str:
    """The Python lines that make the table of a run's training, as ``frame``."""
    data = run.source.get("data")
    if data in DATASETS or name == SAMPLE:
        return f'from stanhop_app import datasets\n\nframe = datasets.load("{data}")\n'
    if run.keeps_all:
        return f"{bare(name)}frame = run.fitted.rows\n"
    return (
        "from stanhop_app.data.series import read_any\n\n"
        f"frame = read_any({run.source.get('name') or str(data)!r})  # where the table lies now\n"
    )


def bare(name: str) -> str:
    """The Python lines that open a run without a table, as ``run``."""
    if name == SAMPLE:
        return (
            "from stanhop_app.datasets import sample\nfrom stanhop_app.runs.run import Run\n\n"
            "run = Run.open(sample.RUN)\n"
        )
    return f"from stanhop_app.runs.run import Run\n\nrun = Run.open({literal(name)})\n"


def lines(name: str, run: Run) -> str:
    """The Python lines that open a run on its own table, as ``run``."""
    if run.keeps_all:
        return f"{bare(name)}run = run.on_kept()\n"
    return f"{reading(name, run)}{bare(name)}run = run.on(frame)\n"


@st.cache_data(show_spinner="Reading the data…")
def dataset(name: str) -> pd.DataFrame:
    """A data set that has a name."""
    return read_frame(DATASETS[name].locate())
