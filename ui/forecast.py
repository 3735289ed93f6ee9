"""Forecast: a run and a table in, history and forecast out, and where the run errs."""

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.ui import (
    analogues,
    bands,
    brought,
    download,
    exported,
    opening,
    parts,
    runs,
    selection,
    series,
    what_if,
)

from stanhop_app.data.series import SeriesTable
from stanhop_app.figures.curves import curves_figure, heat_figure
from stanhop_app.figures.forecast import forecast_figure
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.runs.cutoff import cut
from stanhop_app.runs.residuals import Residuals, residuals
from stanhop_app.runs.run import Run

LONGEST = 20_000
"""Rows that are drawn; of longer histories the latest."""


def show() -> None:
    """The page."""
    st.title("Forecast")
    name = opening.choose_name(exports=True)
    if name in runs.export_names():
        exported.show(name)
        return
    run = opening.opened(name)
    if run.fitted.series is not None:
        series.show(name, run)
        return
    _one_table(name, run)


def _one_table(name: str, run: Run) -> None:
    """The page of a run of one table."""
    forecaster = run.forecaster
    table = parts.upload(
        "Forecast another table (CSV, Parquet or Excel) with this run",
        *brought.read_options(forecaster),
    )
    horizon, back, shown, chosen = _widgets(run, table)
    actual = None
    try:
        if back:
            forecaster, table, actual = _earlier(forecaster, table, back)
        future = None if back else what_if.future(run, table, horizon)
        prediction = forecaster.predict(table, horizon, future=future)
        unchanged = None if future is None else forecaster.predict(table, horizon)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    assert isinstance(prediction, pd.DataFrame)
    assert unchanged is None or isinstance(unchanged, pd.DataFrame)
    history = getattr(table, "frame", table)
    if table is None:
        history = forecaster.context_ if run.fitted.known is not None else forecaster.fitted_.rows
    title = (
        f"{horizon} steps after {history.index[-1]}{opening.of_file()}: STanHop-Net, "
        f"{forecaster.association}, trained on {run.table_name}, split {forecaster.split}"
    )
    drawn: dict[str, Any] = {
        "unchanged": unchanged,
        "actual": None if actual is None else actual[chosen].iloc[:horizon],
        "title": title,
    }
    rows, made = history[chosen].iloc[-shown:], prediction[chosen]

    def draw(told: Any, key: str) -> None:
        parts.show(forecast_figure(rows, made, bands=told, **drawn), key)

    told = bands.show(forecaster, horizon, draw, table, future=future)
    st.caption(f"By a model {forecaster.seen_}.")
    download.offer(prediction, told, lambda: forecast_figure(rows, made, bands=told, **drawn))
    cutoff = None if actual is None else str(history.index[-1])
    if run.fitted.memory is not None and run.fitted.known is None:
        opened = replace(run, forecaster=forecaster)
        analogues.show(name, opened, table, chosen, cutoff=cutoff, actual=actual)
    _errors(name, run, chosen)
    _reproduce(name, run, horizon, cutoff)


def _widgets(run: Run, table: Any) -> tuple[int, int, int, list[str]]:
    """Horizon, steps back, rows of history and variates that are looked at."""
    first, second, third, right = st.columns(4)
    horizon = opening.choose_horizon(run.forecaster.horizon, first)
    back = _steps_back(second, run, table)
    shown = selection.number(
        "History shown (steps)", 1, LONGEST, "history", default=14 * 24, place=third
    )
    return horizon, back, shown, opening.choose_variates(run.forecaster.columns_, right)


def _reproduce(name: str, run: Run, horizon: int, cutoff: str | None) -> None:
    """The lines that make the figure of the run's own rows."""
    made = opening.made(name)
    command = f"{made}stanhop forecast {opening.folder(name)}{opening.file()} --horizon {horizon}"
    python = f"{opening.bare(name)}{brought.read_file(run.forecaster)}"
    table = "frame, " if parts.brought() else ""
    if cutoff is None:
        python += f"print(run.forecaster.predict({table}horizon={horizon}))"
    else:
        command += f' --cutoff "{cutoff}"'
        python += "from stanhop_app.runs.cutoff import cut\n"
        python += f'made = cut(run.forecaster, "{cutoff}"{", frame" if table else ""})\n'
        python += f"print(made.forecaster.predict(made.history, horizon={horizon}), made.actual)"
    parts.reproduce(f"{command} --plot forecast.html", python)


def _steps_back(place: Any, run: Run, table: Any) -> int:
    """A widget: how many rows are taken away, to see the forecast beside what came."""
    fitted = run.fitted
    rows = len(fitted.rows if table is None else getattr(table, "frame", table))
    most = rows - fitted.lookback
    if isinstance(table, SeriesTable) or fitted.known is not None or most < 1:
        return 0
    if fitted.frequency is None:
        return 0
    told = "Forecast as if the table had ended so many steps earlier, by the scored model, beside what came."
    return selection.number("Steps back", 0, most, "back", default=0, place=place, help=told)


def _earlier(
    forecaster: STanHopForecaster, table: Any, back: int
) -> tuple[STanHopForecaster, pd.DataFrame, pd.DataFrame]:
    """Forecaster, history and what came, so many steps before the end; what there is to say is said."""
    rows = forecaster.fitted_.rows if table is None else table
    made = cut(forecaster, str(rows.index[-1 - back]), table)
    st.caption(made.note)
    return made.forecaster, made.history, made.actual


def _errors(name: str, run: Run, variates: list[str]) -> None:
    """Errors on the test part by step, hour and weekday, where the table is at hand."""
    if run.fitted.known is not None:
        return
    whole, known = opening.kept_table(run), opening.own_frame(run)
    if whole is None and known is None:
        return
    if not selection.switch("Where it errs: all test windows", "errors"):
        return
    try:
        if whole is None:
            assert known is not None
            whole = run.on(known)
        run = whole
        residuals = _residuals(opening.version(name, run), run)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    curves = {v: (list(residuals.by_step.index), list(residuals.by_step[v])) for v in variates}
    title = (
        f"Mean absolute error by step, {residuals.windows:,} test windows, split {run.fitted.split}"
    )
    parts.show(
        curves_figure(curves, x="step of the horizon", y="error, original units", title=title),
        "by_step",
    )
    st.download_button(
        "Download the errors by step (CSV)",
        residuals.by_step.to_csv(),
        file_name="errors-by-step.csv",
        mime="text/csv",
        key="download-errors",
    )
    variate = variates[0]
    parts.show(
        heat_figure(
            residuals.by_hour[variate],
            x="hour of the day",
            y="",
            label="error",
            title=f"Mean absolute error of {variate} by hour and weekday, original units",
        ),
        "by_hour",
    )


@st.cache_data(show_spinner="Forecasting all test windows…", max_entries=8)
def _residuals(version: str, _run: Run) -> Residuals:
    return residuals(_run)
