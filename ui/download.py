"""A forecast to take away: the table that is shown, with the ends of its bands, and the chart as a page."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from stanhop_app.forecasting.intervals.levels import with_bands
from stanhop_app.runs.encoding import encode

TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
"""Formats of tables and what browsers call them."""


def offer(prediction: pd.DataFrame, told: Any, draw: Callable[[], go.Figure]) -> None:
    """Buttons that save a forecast, and the forecast as a table.

    Args:
        prediction: points, wide, or of many series.
        told: bands that are drawn around it; None: there are none.
        draw: makes the chart anew, for a page of its own.
    """
    table = prediction if told is None else with_bands(prediction, told)
    places = st.columns(3)
    for place, (kind, mime) in zip(places, TYPES.items(), strict=False):
        place.download_button(
            f"Download the forecast ({kind.upper() if kind == 'csv' else kind.title()})",
            partial(encode, table, kind),
            file_name=f"forecast.{kind}",
            mime=mime,
            key=f"download-{kind}",
            on_click="ignore",
        )
    places[2].download_button(
        "Download the chart (HTML)",
        lambda: draw().to_html(),
        file_name="forecast.html",
        mime="text/html",
        key="download-html",
        on_click="ignore",
    )
    with st.expander("Table"):
        st.dataframe(table)
