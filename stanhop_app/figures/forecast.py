"""Figures of a history and its forecast."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import ACTUAL, FORECAST, HISTORY

BAND = "rgba(213, 94, 0, 0.18)"
"""Colour of a band: that of the forecast, so thin that bands within bands are told apart."""


def forecast_figure(
    history: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    actual: pd.DataFrame | None = None,
    unchanged: pd.DataFrame | None = None,
    bands: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]] | None = None,
    others: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]] | None = None,
    title: str = "",
) -> go.Figure:
    """History and forecast of every variate, one row each, with a line where the forecast begins.

    Args:
        history: the rows before the forecast, time index, original units.
        forecast: what `STanHopForecaster.predict` returned; its columns are drawn.
        actual: what came, where it is known.
        unchanged: the forecast with the covariates that the table tells, where some were changed.
        bands: by name, widest first, where the forecast's values lie at least and at most.
        others: by name, forecasts of other models and their lines (`stanhop_app.figures.page.model_styles`).
        title: of the figure; should name model and data.
    """
    columns = list(forecast.columns)
    figure = make_subplots(
        rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.25 / len(columns)
    )
    lines = [("history", history, HISTORY, "solid"), ("forecast", forecast, FORECAST, "solid")]
    if actual is not None:
        lines.append(("actual", actual, ACTUAL, "dot"))
    if unchanged is not None:
        lines.append(("as the table tells", unchanged, ACTUAL, "dot"))
    for row, column in enumerate(columns, start=1):
        for name, (low, high) in (bands or {}).items():
            _draw_band(figure, row, name, low[column], high[column])
        for name, (frame, line) in (others or {}).items():
            _draw_other(figure, row, name, frame[column], line)
        for name, frame, colour, dash in lines:
            trace = go.Scatter(
                x=frame.index,
                y=frame[column],
                name=name,
                mode="lines" if len(frame) > 1 else "markers",
                legendgroup=name,
                showlegend=row == 1,
                line={"color": colour, "dash": dash, "width": 1.6},
            )
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title_text=column, row=row, col=1)
    figure.update_layout(
        title=title,
        shapes=[_end(history, row) for row in range(1, len(columns) + 1)],
        height=150 * len(columns) + 150,
        hovermode="x unified",
        # Below, where five names on a telephone hide nothing.
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0},
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 60, "b": 110},
    )
    return figure


def _draw_other(
    figure: go.Figure, row: int, name: str, values: pd.Series, line: Mapping[str, Any]
) -> None:
    """The forecast of another model for one variate."""
    trace = go.Scatter(
        x=values.index,
        y=values,
        name=name,
        mode="lines" if len(values) > 1 else "markers",
        legendgroup=name,
        showlegend=row == 1,
        line=dict(line),
    )
    figure.add_trace(trace, row=row, col=1)


def _end(history: pd.DataFrame, row: int) -> dict[str, Any]:
    """A line where the history ends, in one panel.

    Made here: `add_vline` looks through all panels for every panel, which takes minutes of 200.
    """
    axis = "" if row == 1 else str(row)
    return {
        "type": "line",
        "xref": f"x{axis}",
        "yref": f"y{axis} domain",
        "x0": history.index[-1],
        "x1": history.index[-1],
        "y0": 0,
        "y1": 1,
        "line": {"color": "#888", "dash": "dash"},
    }


def _draw_band(figure: go.Figure, row: int, name: str, low: pd.Series, high: pd.Series) -> None:
    """A filled band of one variate."""
    trace = go.Scatter(
        x=[*low.index, *high.index[::-1]],
        y=[*low, *high[::-1]],
        name=name,
        legendgroup=name,
        showlegend=row == 1,
        mode="lines",  # short ones would have a marker at every point of the outline
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        hoverinfo="skip",
    )
    figure.add_trace(trace, row=row, col=1)


def by_time(point: pd.DataFrame, bands: Any) -> tuple[pd.DataFrame, Any]:
    """A forecast of one series and its bands, by time alone where it is one of many."""
    if not isinstance(point.index, pd.DatetimeIndex):
        point = point.iloc[:, 1:].set_index(point.columns[1])
    if bands and next(iter(bands.values()))[0].index.nlevels > 1:
        bands = {n: tuple(side.droplevel(0) for side in pair) for n, pair in bands.items()}
    return point, bands
