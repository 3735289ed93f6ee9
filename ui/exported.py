"""Forecast of an exported folder: it predicts, with bands where it carries them, and has no more to show."""

import shlex
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from stanhop_app.ui import brought, download, opening, parts, selection

from stanhop_app.figures.forecast import by_time, forecast_figure
from stanhop_app.options import join_names
from stanhop_app.runs.exported import ExportedForecaster

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
    outlook, how = forecaster.outlook_, brought.read_options(forecaster)
    table = parts.upload("Forecast another table (CSV, Parquet or Excel) with this export", *how)
    left, middle, right = st.columns(3)
    horizon = opening.choose_horizon(forecaster.horizon, left)
    variates = opening.choose_variates(forecaster.columns_, right)
    which: dict[str, Any] = {}
    history = forecaster.context_ if table is None else table
    try:
        if outlook.series is not None:
            many = outlook.kept() if table is None else forecaster.matched(table)
            which = {
                "ids": [selection.one("Series, by its name", many.ids, "series", place=middle)]
            }
            history = many.chosen(which["ids"])
        prediction = forecaster.predict(table, horizon, **which)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    assert isinstance(prediction, pd.DataFrame)
    told = None
    try:
        if horizon == forecaster.horizon:
            told = forecaster.bands(table, **which)
    except parts.ERRORS as error:
        st.caption(f"No bands: {error}")
    rows = getattr(history, "frame", history)
    drawn, bands = by_time(prediction, told)
    data = forecaster.source_.get("data", "a table")
    series = f"{which['ids'][0]}: " if which else ""
    title = (
        f"{series}{horizon} steps after {rows.index[-1]}{opening.of_file()}: {name}, {forecaster.kind}, "
        f"trained on {data}"
    )

    def draw() -> go.Figure:
        shown = rows[variates].iloc[-HISTORY_SHOWN:]
        return forecast_figure(shown, drawn[variates], bands=bands, title=title)

    parts.show(draw(), "forecast")
    st.caption(f"By a model {forecaster.seen_}.")
    download.offer(prediction, told, draw)
    ids = f" --ids {shlex.quote(join_names(which['ids']))}" if which else ""
    parts.reproduce(
        f"stanhop forecast {opening.folder(name)}{opening.file()}{ids} --horizon {horizon}"
        + ("" if which else " --plot forecast.html"),
        _python(name, forecaster, horizon, which),
    )


def _python(name: str, forecaster: ExportedForecaster, horizon: int, which: dict[str, Any]) -> str:
    chosen = "".join(f", {key}={value!r}" for key, value in which.items())
    return (
        "from stanhop_app.runs.exported import ExportedForecaster\n\n"
        f"forecaster = ExportedForecaster.load({opening.literal(name)})\n"
        f"{brought.read_file(forecaster)}"
        f"print(forecaster.predict({'frame, ' if parts.brought() else ''}horizon={horizon}{chosen}))"
    )
