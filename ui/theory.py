"""Theory: energies of patterns, experiments on associative memories, and what a run has memorised."""

import shlex

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from stanhop_app.ui import jobs, opening, parts, runs, selection, watch

from stanhop_app.figures.landscape import landscape_figure
from stanhop_app.figures.theory import distance_figure, loss_figure, trace_figures
from stanhop_app.runs.memorization import run_memorization, run_trace
from stanhop_app.runs.run import Run
from stanhop_app.studies.cells import DAMAGED, read_results
from stanhop_app.studies.present import EXPERIMENTS, PRESENTERS, present
from stanhop_app.theory.energy import ENERGIES
from stanhop_app.theory.landscape import landscape, parse_patterns

PAPER = "-2,-0.5 0.2,-0.3 1.5,1.5"
"""The three patterns of "Beyond Scaling Laws", figure 1."""


def show() -> None:
    """The page."""
    st.title("Theory")
    st.header("Energies")
    _energies()
    st.header("Experiments")
    _results()
    _start()
    st.header("What a run has memorised")
    _memorisation()


def _energies() -> None:
    """Landscapes of typed patterns, with minima and basins."""
    left, right = st.columns([3, 1])
    typed = left.text_input("Patterns", PAPER, key="patterns")
    beta = right.number_input("Beta", 0.01, 1000.0, 1.0, key="beta")
    try:
        drawn, table = _landscapes(typed, beta)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    for column, (energy, figure) in zip(st.columns(len(drawn)), drawn.items(), strict=True):
        with column:
            parts.show(figure, f"landscape-{energy}")
    st.caption("Edges of basins are white.")
    st.dataframe(table, hide_index=True)
    command = ["stanhop", "theory", "energy", "--patterns", typed, "--beta", f"{beta:g}"]
    parts.reproduce(
        shlex.join([*command, "--report", "energy.html"]),
        "from stanhop_app.theory.landscape import landscape, parse_patterns\n\n"
        f"found = landscape(parse_patterns({typed!r}), 'distance', beta={beta})\n"
        "print(found.minima, found.shares)",
    )


@st.cache_data(show_spinner="Following retrieval…", max_entries=16)
def _landscapes(typed: str, beta: float) -> tuple[dict[str, go.Figure], pd.DataFrame]:
    landscapes = [landscape(parse_patterns(typed), name, beta=beta) for name in ENERGIES]
    rows = [
        {"energy": one.energy, "x": x, "y": y, "share of the plane": share}
        for one in landscapes
        for (x, y), share in zip(one.minima.tolist(), one.shares, strict=True)
    ]
    return {one.energy: landscape_figure([one]) for one in landscapes}, pd.DataFrame(rows)


def _results() -> None:
    """Finding, table and figures of a results file."""
    names = runs.result_names(*PRESENTERS)
    if not names:
        st.info(f"No results in {runs.root()} yet. Start an experiment below.")
        return
    name = selection.one("Results", names, "theory")
    try:
        content = read_results(runs.inside(name))
        shown = present(content)
    except (*parts.ERRORS, *DAMAGED, OSError) as error:
        st.error(f"{name}: damaged or not begun ({error!r}).")
        return
    st.subheader(shown.title)
    st.success(shown.verdict)
    st.dataframe(shown.table)
    for number, figure in enumerate(shown.figures):
        parts.show(figure, f"experiment-{number}")
    parts.download_results(name, content)
    parts.reproduce(
        f"{shown.command} --output {opening.folder(name)}",
        "from pathlib import Path\n\nfrom stanhop_app.studies.cells import read_results\n"
        "from stanhop_app.studies.present import present\n\n"
        f"print(present(read_results(Path({opening.literal(name)}))).verdict)",
    )


def _start() -> None:
    """Run an experiment in a process of its own, and watch it."""
    with st.expander("Start an experiment"):
        kind = st.selectbox("Experiment", list(EXPERIMENTS), key="experiment")
        st.caption(EXPERIMENTS[kind].sentence)
        words = ["theory", kind]
        choices = EXPERIMENTS[kind].data
        if choices:
            words += ["--data", st.selectbox("Data", choices, key="data")]
        if st.checkbox("Full size (up to an hour)", key="full"):
            words.append("--full")
        name = parts.name_field("Name of the results", f"theory-{kind}")
        words += ["--output", f"{runs.root().name}/{name}.json"]
        st.code(shlex.join(["stanhop", *words]), language="bash", wrap_lines=True)
        if st.button("Start, or go on", key="start"):
            try:
                jobs.check_name(name)
                file = f"{name}.json"
                jobs.start(f"{name}.theory", words, writes=(file, f"{file}.cells"))
            except parts.ERRORS as error:
                parts.fail(error)
    watch.comparisons("theory")


def _memorisation() -> None:
    """Training windows of a run against its test windows, and their energies by layer."""
    name, chosen = opening.choose_run()
    run = opening.with_table(chosen)
    if run is None:
        return
    if not selection.switch("Compare training windows with test windows", "compare"):
        st.caption("Takes some seconds.")
        return
    try:
        verdict, tables, figures = _memory_of(opening.version(name, run), name, run)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    st.success(verdict)
    for heading, table in tables.items():
        st.caption(heading)
        st.dataframe(table)
    for number, figure in enumerate(figures):
        parts.show(figure, f"memorised-{number}")
    folder = opening.folder(name)
    parts.reproduce(
        f"stanhop theory memorization {folder}\nstanhop theory trace {folder}",
        f"{opening.lines(name, run)}"
        "from stanhop_app.runs.memorization import run_memorization\n\n"
        "print(run_memorization(run).verdict)",
    )


@st.cache_data(show_spinner="Comparing windows…", max_entries=8)
def _memory_of(
    version: str, name: str, _run: Run
) -> tuple[str, dict[str, pd.DataFrame], list[go.Figure]]:
    """Verdict, tables and figures of a run, as it is now, and a table."""
    with torch.random.fork_rng():
        report = run_memorization(_run)
        trace = run_trace(_run)
    tables = {
        "Distances and energies, with three controls": report.table(),
        trace.TITLE: trace.table(),
        trace.MOVES: trace.moves(),
    }
    figures = [distance_figure(report), loss_figure(report), *trace_figures(trace, title=name)]
    return report.verdict, tables, figures
