"""Backtest: forecasts at past cut-offs beside what came, as `stanhop backtest` kept them."""

import shlex

import numpy as np
import pandas as pd
import streamlit as st
from stanhop_app.datasets import DATASETS
from stanhop_app.ui import jobs, opening, parts, runs, selection, watch
from stanhop_app.ui.fields import widget

from stanhop_app.figures.backtest import lines_figure, pit_figure, reliability_figure
from stanhop_app.figures.page import model_styles
from stanhop_app.runs.backtest import past, report
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.record import Backtest
from stanhop_app.runs.backtest.scores import scores

COMMAND = "stanhop backtest RUN --output runs/backtest.parquet --report backtest.html"
STARTED = "backtest-started"
"""Where the session keeps the file of a backtest that it started; it is shown when it is there."""
SCORES = {
    "mae": "MAE, scaled",
    "mse": "MSE, scaled",
    "crps": "CRPS, scaled",
    "coverage_80": "coverage of the 80% interval",
    "width_80": "width of the 80% interval, scaled",
}


def show() -> None:
    """The page."""
    st.title("Backtest")
    names = runs.backtest_names()
    if st.session_state.get(STARTED) in names:  # by this visitor, and finished now
        selection.choose("backtest", st.session_state.pop(STARTED))
    if names:
        _results(selection.one("Results", names, "backtest"))
    else:
        st.info(f"No backtests in {runs.root()} yet. Make one below, or with this command.")
        parts.reproduce(COMMAND, "# see stanhop_app.runs.backtest.backtest.backtest")
    _start(first=not names)


@st.cache_resource(show_spinner="Reading the forecasts…", max_entries=4)
def _read(name: str, modified: float) -> Backtest:
    return Backtest.load(runs.inside(name))


def _results(name: str) -> None:
    """Scores of a backtest, and its figures by what is chosen."""
    try:
        path = runs.inside(name)
        made = _read(name, path.stat().st_mtime)
    except (*parts.ERRORS, OSError) as error:
        parts.fail(error)
        return
    table = made.table
    st.caption(
        f"{table['cutoff'].nunique():,} cut-offs from {table['cutoff'].min()} to {table['cutoff'].max()}, "
        f"{made.about['horizon']} steps each; scaled units"
    )
    st.dataframe(scores(made).round(4))
    gains, first = report.gains(made), report.leader(made)
    for other, gain in gains.items():
        st.write(f"**{first}** against {other}: {gain}")
    if not gains:
        st.caption("Too few cut-offs to tell luck from gain.")
    _window(made)
    _where(made)
    _calibration(made)
    st.download_button(
        "Download the forecasts (Parquet)", path.read_bytes(), name, key="download-forecasts"
    )
    parts.reproduce(
        f"stanhop backtest RUN --output {shlex.quote(f'{runs.root().name}/{name}')} --report backtest.html",
        "from pathlib import Path\n\nfrom stanhop_app.runs.backtest.record import Backtest\n"
        "from stanhop_app.runs.backtest.scores import scores\n\n"
        f"print(scores(Backtest.load(Path({opening.literal(name)}))))",
    )


def _window(made: Backtest) -> None:
    """One cut-off, the worst at first: forecast, band and what came, beside the other models."""
    st.header("One cut-off")
    left, right = st.columns(2)
    names = report.models(made)
    model = selection.one("Model", names, "model", default=report.leader(made), place=left)
    variates = list(dict.fromkeys(made.table["variate"].astype(str)))
    variate = selection.one("Variate", variates, "variates", place=right)
    series = None
    if "series" in made.table:
        every = list(dict.fromkeys(made.table["series"].astype(str)))
        series = selection.one("Series", every, "series")
    place = past.Place(variate=variate, series=series)
    try:
        errors, ranked = past.by_cutoff(made, place), past.worst(made, place, model)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    if ranked.empty:
        st.info(f"Nothing is known of what came of {place}.")
        return
    title = f"{place}: mean absolute error by cut-off; click at a point to see its forecast"
    figure = lines_figure(
        errors,
        x="cut-off",
        y=f"error of {place.variate}",
        title=title,
        points=True,
        styles=model_styles(list(errors.columns), model),
    )
    picked = parts.show(figure, "by-cutoff", pick=True)
    if picked is not None and picked != st.session_state.get("picked"):
        st.session_state["picked"] = picked
        selection.choose("cutoff", str(ranked.index[_nearest(ranked.index, picked)]))
    labels = {
        str(cutoff): f"{number}. {cutoff}: {error:.4g}"
        for number, (cutoff, error) in enumerate(ranked["error"].items(), start=1)
    }
    chosen = selection.one(
        "Cut-off, the worst first", list(labels), "cutoff", format_func=labels.__getitem__
    )
    cutoff = ranked.index[list(labels).index(chosen)]
    parts.show(past.window_figure(made, place, model, cutoff), "window")
    row = ranked.loc[cutoff]
    if "best other" in ranked:
        st.caption(
            f"Mean error of {model} there: {row['error']:.4g}; of the best other, {row['best other']}: "
            f"{row['its error']:.4g}."
        )
    with st.expander("Its last forecasts, all together"):
        parts.show(report.beside(made, model, variate, series), "beside")


def _nearest(index: pd.Index, picked: str) -> int:
    """The place of the stamp that a picked point stands for; charts know no time zones."""
    stamps = pd.DatetimeIndex(index).tz_localize(None).asi8
    point = pd.DatetimeIndex([pd.Timestamp(picked)]).tz_localize(None)
    return int(np.abs(stamps - point.as_unit(pd.DatetimeIndex(index).unit).asi8[0]).argmin())


def _where(made: Backtest) -> None:
    """A score by step, hour, weekday or variate, a line a model."""
    left, right = st.columns(2)
    score = selection.one(
        "Score", list(SCORES), "score", place=left, format_func=SCORES.__getitem__
    )
    groups = ["step", "hour", "weekday", "variate"]
    groups += ["series"] if "series" in made.table else []
    group = selection.one("By", groups, "group", place=right)
    drawn = report.by(made, group, score)
    if group == "weekday":
        drawn = drawn.rename(index=dict(enumerate(report.WEEKDAYS)))
    elif group in ("variate", "series"):
        st.dataframe(drawn.round(4))
        return
    title = f"{SCORES[score]} by {group}"
    styles = model_styles(list(drawn.columns), st.session_state["model"])
    figure = lines_figure(drawn, x=group, y=SCORES[score], title=title, styles=styles)
    parts.show(figure, "where")


def _calibration(made: Backtest) -> None:
    """Whether as many truths lay within intervals as they say, in all and over time."""
    if not selection.switch("Calibration: do intervals hold as much as they say?", "calibration"):
        return
    first = report.leader(made)
    parts.show(
        reliability_figure(report.reliability(made), title="Truths below each quantile"),
        "reliability",
    )
    parts.show(pit_figure(report.pit(made, first), title=f"Where truths lay: {first}"), "pit")
    over_time = report.coverage_over_time(made)
    title = "Coverage of the 80% interval over time, running mean"
    parts.show(lines_figure(over_time, x="cut-off", y="share", title=title), "over-time")


def _start(*, first: bool) -> None:
    """Start a backtest in a process of its own, and watch it."""
    with st.expander("Start a backtest", expanded=first):
        known = [name for name in runs.run_names() if _has_table(name)]
        if not known:
            st.caption(
                "Runs that keep their table, or whose table has a name, can be backtested here."
            )
        else:
            _form(known)
    watch.comparisons("backtest")


def _form(known: list[str]) -> None:
    left, middle, right = st.columns(3)
    kept = selection.kept("run")
    first = known.index(kept) if kept in known else 0
    run = left.selectbox("Run", known, first, key="of-run")
    every = middle.checkbox("All cut-offs of the test part", True, key="every")
    origins = middle.number_input("Cut-offs", 1, 10_000, 50, key="origins", disabled=every)
    update = widget(BacktestConfig, "update", "Also with what came since", right)
    refit = widget(BacktestConfig, "refit", "Train anew at every so many cut-offs; 0: never", right)
    name = parts.name_field("Name of the results", f"{run}-backtest")
    opened = opening.open_run(run)
    words = ["backtest", f"{runs.root().name}/{run}"]
    words += [] if opened.keeps_all else [str(opened.source["data"])]
    words += ["--output"]
    words += [f"{runs.root().name}/{name}.parquet", "--quiet"]
    words += [] if every else ["--origins", str(int(origins))]
    words += [] if update else ["--no-update"]
    words += ["--refit", str(refit)] if refit else []
    st.code(shlex.join(["stanhop", *words]), language="bash", wrap_lines=True)
    if st.button("Start, or go on", key="start"):
        try:
            jobs.check_name(name)
            file = f"{name}.parquet"
            jobs.start(f"{name}.backtest", words, writes=(file, f"{file}.parts"))
            st.session_state[STARTED] = file
        except parts.ERRORS as error:
            parts.fail(error)


def _has_table(name: str) -> bool:
    """Whether a run keeps its table, or that has a name."""
    try:
        run = opening.open_run(name)
    except parts.ERRORS:
        return False
    return run.keeps_all or run.source.get("data") in DATASETS
