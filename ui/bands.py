"""A forecast with bands that hold what will come, of a run of one table or of one of many series."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from stanhop_app.ui import parts, selection

from stanhop_app.forecasting.forecaster import STanHopForecaster


def show(
    forecaster: STanHopForecaster,
    horizon: int,
    draw: Callable[[Any, str], None],
    table: Any,
    **which: Any,
) -> Any:
    """Draw a forecast, with bands where they are wanted and can be told; these, or None.

    Args:
        forecaster: of the run.
        horizon: steps that are forecast; bands are of the trained ones.
        draw: draws bands, or None, under a key.
        table: another history than the run's own; None: that one.
        **which: further arguments of `STanHopForecaster.bands`.
    """
    wanted, place = _wanted(forecaster, horizon), st.empty()
    if wanted and not forecaster.has_intervals:  # which take a while: what is known is shown first
        with place.container():
            draw(None, "forecast-first")
    told = _told(forecaster, table, which) if wanted else None
    with place.container():
        draw(told, "forecast")
    return told


def _wanted(forecaster: STanHopForecaster, horizon: int) -> bool:
    """A widget, where bands can be told: of the trained horizon, with time stamps."""
    fitted = forecaster.fitted_
    if fitted.frequency is None or horizon != fitted.horizon:
        return False
    return selection.switch("Bands that hold 80 and 95% of what will come", "bands", default=True)


def _told(forecaster: STanHopForecaster, table: Any, which: dict[str, Any]) -> Any:
    """What is drawn around the forecast, where it is told: 80 and 95% of what will come."""
    try:
        with st.spinner("Reading what was missed of past windows…"):
            return forecaster.bands(table, **which)
    except parts.ERRORS as error:
        st.caption(f"No bands: {error}")
        return None
