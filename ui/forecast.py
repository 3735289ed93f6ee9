"""Forecast: a run and a table in, history and forecast out, and where the run errs."""

from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.ui import analogues, parts, series, what_if

from stanhop_app.data.reading import reading_of
from stanhop_app.figures.curves import curves_figure, heat_figure
from stanhop_app.figures.forecast import forecast_figure
from stanhop_app.runs.residuals import Residuals, residuals
from stanhop_app.runs.run import Run

LONGEST = 20_000
"""Rows that are drawn; of longer histories the latest."""


def show() -> None:
    """The page."""
    st.title("Forecast")
    name, run = parts.choose_run(forecasts=True)
    if run.fitted.series is not None:
        series.show(name, run)
        return
    forecaster = run.forecaster
    table = parts.upload(
        "Forecast another table (CSV, Parquet or Excel) with this run", *reading_of(run.source)
    )
    left, middle, right = st.columns(3)
    horizon = left.number_input(
        "Horizon (steps)", 1, 20 * forecaster.horizon, forecaster.horizon, key="horizon"
    )
    shown = middle.number_input("History shown (steps)", 1, LONGEST, 14 * 24, key="history")
    variates = right.multiselect(
        "Variates", forecaster.columns_, default=forecaster.columns_[:1], key="variates"
    )
    try:
        future = what_if.future(run, table, int(horizon))
        prediction = forecaster.predict(table, int(horizon), future=future)
        unchanged = None if future is None else forecaster.predict(table, int(horizon))
    except parts.ERRORS as error:
        st.error(str(error))
        return
    assert isinstance(prediction, pd.DataFrame)
    assert unchanged is None or isinstance(unchanged, pd.DataFrame)
    history = forecaster.context_ if table is None else getattr(table, "frame", table)
    known = parts.own_frame(run)
    if table is None and known is not None:
        history = known
    chosen = variates or forecaster.columns_[:1]
    data = run.source.get("data", "an array")
    title = (
        f"{int(horizon)} steps after {history.index[-1]}: STanHop-Net, {forecaster.association}, "
        f"trained on {data}, split {forecaster.split}"
    )
    figure = forecast_figure(
        history[chosen].iloc[-int(shown) :],
        prediction[chosen],
        unchanged=unchanged,
        bands=_bands(run, table, int(horizon)),
        title=title,
    )
    parts.show(figure, "forecast")
    st.caption(f"By a model {forecaster.seen_}.")
    st.download_button(
        "Download the forecast (CSV)",
        prediction.rename_axis(str(prediction.index.name or "time")).to_csv(lineterminator="\n"),
        file_name="forecast.csv",
        mime="text/csv",
        key="download",
    )
    with st.expander("Table"):
        st.dataframe(prediction)
    _reasons(name, run, table, chosen)
    parts.reproduce(
        f"stanhop forecast {parts.folder(name)} --horizon {int(horizon)} --plot forecast.html",
        f"{parts.opening(name, run)}\nprint(run.forecaster.predict(horizon={int(horizon)}))",
    )


def _bands(run: Run, table: Any, horizon: int) -> dict[str, Any] | None:
    """What is drawn around the forecast, where the run tells it: 80 and 95% of what will come."""
    fitted = run.fitted
    if fitted.known is not None or fitted.frequency is None or horizon != fitted.horizon:
        return None
    if not st.toggle("Bands that hold 80 and 95% of what will come", value=True, key="bands"):
        return None
    try:
        with st.spinner("Reading what was missed of past windows…"):
            return run.forecaster.bands(table)
    except parts.ERRORS as error:
        st.caption(f"No bands: {error}")
        return None


def _reasons(name: str, run: Run, table: Any, variates: list[str]) -> None:
    """Why the forecast is what it is, where the run can say so, and where such forecasts err."""
    if run.fitted.memory is not None and run.fitted.known is None:
        analogues.show(name, run, table, variates)
    known = parts.own_frame(run)
    if known is not None:
        _errors(name, run, known, variates)


def _errors(name: str, run: Run, frame: pd.DataFrame, variates: list[str]) -> None:
    """Errors on the test part by step, hour and weekday."""
    if not st.toggle("Where it errs: all test windows", key="errors"):
        return
    try:
        run = run.on(frame)
        residuals = _residuals(parts.version(name, run), run)
    except parts.ERRORS as error:
        st.error(str(error))
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
