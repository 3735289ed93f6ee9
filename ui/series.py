"""Forecast of a run of many series: one chosen by its name, and the errors of all."""

import shlex
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from stanhop_app.ui import bands, brought, download, opening, parts, selection, what_if

from stanhop_app.data.series import SeriesTable
from stanhop_app.figures.forecast import by_time, forecast_figure
from stanhop_app.options import join_names
from stanhop_app.runs.run import Run

MOST = 5000
"""Series whose forecasts are made for one download; more are left to the command line."""


def show(name: str, run: Run) -> None:
    """The page, below its title and the choice of the run."""
    forecaster, fitted = run.forecaster, run.fitted
    assert fitted.series is not None
    how = brought.read_options(forecaster)
    table = parts.upload("Forecast another long table with this run", *how)
    history = fitted.outlook.kept() if table is None else table
    left, middle, right = st.columns(3)
    horizon = opening.choose_horizon(forecaster.horizon, left)
    chosen = selection.one("Series, by its name", history.ids, "series", place=middle)
    column = selection.one("Column", forecaster.columns_, "variates", place=right)
    try:
        future = what_if.future(run, table, horizon, chosen)
        prediction = forecaster.predict(table, horizon, ids=[chosen], future=future)
        unchanged = None if future is None else forecaster.predict(table, horizon, ids=[chosen])
    except parts.ERRORS as error:
        parts.fail(error)
        return
    assert isinstance(prediction, pd.DataFrame)
    drawn = history.chosen([chosen])

    def draw(told: Any, key: str) -> None:
        parts.show(_figure(drawn, prediction, unchanged, column, run, told), key)

    told = bands.show(forecaster, horizon, draw, table, ids=[chosen], future=future)
    download.offer(
        prediction, told, lambda: _figure(drawn, prediction, unchanged, column, run, told)
    )
    st.caption(f"{len(history.ids):,} series; by a model {forecaster.seen_}.")
    _errors(run)
    _download(run, table, history, horizon)
    parts.reproduce(
        f"stanhop forecast {opening.folder(name)}{opening.file()} --ids "
        f"{shlex.quote(join_names([chosen]))} --horizon {horizon}",
        f"{opening.bare(name)}{brought.read_file(run.forecaster)}"
        f"print(run.forecaster.predict({'frame, ' if parts.brought() else ''}horizon={horizon}, "
        f"ids=[{chosen!r}]))",
    )


def _figure(
    history: SeriesTable,
    prediction: pd.DataFrame,
    unchanged: Any,
    column: str,
    run: Run,
    told: Any,
) -> go.Figure:
    """History and forecast of one series, with bands where there are some."""
    future, told = by_time(prediction, told)
    before = None if unchanged is None else by_time(unchanged, None)[0][[column]]
    title = (
        f"{history.ids[0]}: {len(future)} steps after {history.frame.index[-1]}, STanHop-Net, "
        f"trained on {run.table_name}"
    )
    rows = history.frame[[column]]
    return forecast_figure(rows, future[[column]], unchanged=before, bands=told, title=title)


def _errors(run: Run) -> None:
    """Errors of every series on the last part, the worst first."""
    rows = (run.metrics or {}).get("variates")
    if not rows:
        return
    table = pd.DataFrame(rows).T.sort_values("mase", ascending=False)
    table.index.name = run.fitted.series.id_name if run.fitted.series is not None else "series"
    with st.expander("Errors of every series, the worst first"):
        st.caption(
            f"Means over windows of the last part of split {run.fitted.split}, in its own units."
        )
        st.dataframe(table)


def _download(run: Run, table: Any, history: SeriesTable, horizon: int) -> None:
    """A button that downloads the forecasts of all series."""
    if len(history.ids) > MOST:
        st.caption(f"Forecasts of more than {MOST:,} series: use stanhop forecast.")
        return
    if not selection.switch("Forecast all series", "all"):
        return
    whole = run.forecaster.predict(table, horizon)
    assert isinstance(whole, pd.DataFrame)
    st.download_button(
        "Download all forecasts (CSV)",
        whole.to_csv(index=False, lineterminator="\n"),
        file_name="forecasts.csv",
        mime="text/csv",
        key="download",
    )
