"""Forecast of an exported folder: it predicts, with bands where it carries them, and has no more to show."""

import pandas as pd
import streamlit as st
from stanhop_app.ui import opening, parts

from stanhop_app.data.series import SeriesTable
from stanhop_app.figures.forecast import forecast_figure

HISTORY_SHOWN = 14 * 24
"""Rows before the forecast that are drawn, of a table that is brought; the export keeps fewer."""


def show(name: str) -> None:
    """The page, below its title and the choice of the run."""
    try:
        forecaster = opening.open_export(name)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    if not isinstance(forecaster.context_.index, pd.DatetimeIndex):
        st.info(f"{name} was fitted on an array without time stamps; use it from Python.")
        return
    table = parts.upload("Forecast another table (CSV, Parquet or Excel) with this export", {})
    if isinstance(table, SeriesTable):
        st.error(
            f"{parts.brought()}: is a long table of many series; this export forecasts one table."
        )
        return
    left, right = st.columns(2)
    horizon = opening.choose_horizon(forecaster.horizon, left)
    variates = opening.choose_variates(forecaster.columns_, right)
    try:
        prediction = forecaster.predict(table, horizon)
        told = forecaster.bands(table) if horizon == forecaster.horizon else None
    except parts.ERRORS as error:
        parts.fail(error)
        return
    assert isinstance(prediction, pd.DataFrame)
    history = forecaster.context_ if table is None else table
    data = forecaster.source_.get("data", "a table")
    figure = forecast_figure(
        history[variates].iloc[-HISTORY_SHOWN:],
        prediction[variates],
        bands=told,
        title=f"{horizon} steps after {history.index[-1]}{opening.of_file()}: {name}, {forecaster.kind}, "
        f"trained on {data}",
    )
    parts.show(figure, "forecast")
    st.caption(f"By a model {forecaster.seen_}.")
    parts.offer(prediction)
    parts.reproduce(
        f"stanhop forecast {opening.folder(name)}{opening.file()} --horizon {horizon} --plot forecast.html",
        _python(name, horizon),
    )


def _python(name: str, horizon: int) -> str:
    return (
        "from stanhop_app.runs.exported import ExportedForecaster\n\n"
        f"forecaster = ExportedForecaster.load({opening.literal(name)})\n"
        f"{opening.read_file()}"
        f"print(forecaster.predict({'frame, ' if parts.brought() else ''}horizon={horizon}))"
    )
