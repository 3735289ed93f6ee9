"""Intervals: what a run says of its own errors, sample paths, and sums."""

import shlex
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.ui import opening, parts, selection

from stanhop_app.figures.forecast import by_time, forecast_figure
from stanhop_app.figures.paths import paths_figure
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.options import join_names
from stanhop_app.runs.run import Run

LEVELS = (50, 80, 90, 95, 99)
HORIZONS_BEFORE = 5
"""How much of the history is drawn, in horizons."""


def show() -> None:
    """The page."""
    st.title("Intervals")
    name, run = opening.choose_run()
    forecaster = run.forecaster
    which = _which(run)
    left, middle, right = st.columns(3)
    variate = selection.one("Variate", forecaster.columns_, "variates", place=left)
    wanted = selection.several(
        "Coverage, %", list(map(str, LEVELS)), "levels", default=["80", "95"], place=middle
    )
    levels = sorted(map(int, wanted))
    bounded = selection.switch("No value is below 0", "bounded", place=right)
    lower = 0.0 if bounded else None
    try:
        with st.spinner("Reading what was missed of past windows…"):
            known = forecaster.intervals()
            bands = forecaster.bands(levels=levels or (80,), lower=lower, **which)
            point = forecaster.predict(**which)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    assert isinstance(point, pd.DataFrame)
    history = _history(forecaster, which)
    point, bands = by_time(point, bands)
    title = f"{name}: {variate} by {known.best.pool.way.name}"
    shown = {band: (low[[variate]], high[[variate]]) for band, (low, high) in bands.items()}
    figure = forecast_figure(history[[variate]], point[[variate]], bands=shown, title=title)
    parts.show(figure, "bands")
    _paths(forecaster, variate, point, levels or [80], {"lower": lower, **which})
    with st.expander("How residuals are read: ways tried on validation, the first is used"):
        tried = {judged.pool.way.name: judged.loss for judged in known.judged}
        st.dataframe(pd.DataFrame({"weighted quantile loss, out of fold": tried}).round(4))
    _reproduce(name, run, levels or [80], lower, which)


def _which(run: Run) -> dict[str, Any]:
    """The series that is shown, of many."""
    if run.fitted.series is None:
        return {}
    return {"ids": [selection.one("Series", run.fitted.series.ids, "series")]}


def _history(forecaster: STanHopForecaster, which: dict[str, Any]) -> pd.DataFrame:
    """The last rows before the forecast."""
    fitted = forecaster.fitted_
    rows = fitted.outlook.kept().chosen(which["ids"]).frame if which else forecaster.context_
    return rows.iloc[-HORIZONS_BEFORE * fitted.horizon :]


def _paths(
    forecaster: STanHopForecaster,
    variate: str,
    point: pd.DataFrame,
    levels: list[int],
    given: dict[str, Any],
) -> None:
    """Sample paths, and the total of all steps."""
    try:
        paths = forecaster.sample(count=100, **given)
        total = forecaster.predict_total(over=["steps"], levels=levels, **given)
    except parts.ERRORS as error:
        st.caption(f"No sample paths: {error}")
        return
    if paths.index.nlevels > 2:
        paths = paths.droplevel(1)
    drawn = paths[variate].unstack(level=0)
    parts.show(paths_figure(drawn, point[variate], title=f"100 sample paths of {variate}"), "paths")
    st.caption("The total of all steps, from sample paths: steps belong together.")
    own = [n for n in total if n in ("steps", variate) or str(n).startswith(f"{variate}-")]
    st.dataframe(total[own].round(3), hide_index=True)


def _reproduce(
    name: str, run: Run, levels: list[int], lower: float | None, which: dict[str, Any]
) -> None:
    listed = ",".join(map(str, sorted(levels)))
    command = f"{opening.made(name)}stanhop forecast {opening.folder(name)} --levels {listed}"
    command += "" if lower is None else " --lower 0"
    given = ", ".join(
        [f"levels={tuple(sorted(levels))}", *([] if lower is None else ["lower=0.0"])]
        + [f"{key}={value!r}" for key, value in which.items()]
    )
    if which:
        command += f" --ids {shlex.quote(join_names(which['ids']))}"
    python = f"{opening.bare(name)}print(run.forecaster.predict_interval({given}))"
    parts.reproduce(command, python)
