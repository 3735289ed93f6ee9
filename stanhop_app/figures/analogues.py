"""Figure of a forecast and the past windows that its external memory moved it by."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import ACTUAL, FORECAST, HISTORY

PAST = "230, 159, 0"
"""Colour of analogues, by red, green and blue: that of `COLOURS` which no other line of the figure has."""
FAINTEST = 0.25
"""Opacity of the analogue of least weight; that of most weight has 1."""


def analogues_figure(
    window: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    alone: pd.DataFrame,
    drawn: Mapping[int, pd.DataFrame],
    windows: pd.DataFrame,
    actual: pd.DataFrame | None = None,
    title: str = "",
) -> go.Figure:
    """The window, analogues laid over it, what followed them, and the forecast with and without.

    Args:
        window: the steps that are compared.
        forecast: with the memory; its columns are drawn, one row each.
        alone: without it.
        drawn: stored windows and what followed, by number, at the stamps of ``window`` and ``forecast``.
        windows: by number: first step of what followed (first) and weight; those of most weight first.
        actual: what came, where it is known.
        title: should name model and data.
    """
    columns = list(forecast.columns)
    figure = make_subplots(
        rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.25 / len(columns)
    )
    for row, column in enumerate(columns, start=1):
        _draw_past(figure, row, {n: frame[column] for n, frame in drawn.items()}, windows)
        lines = [
            ("window", window, HISTORY, "solid"),
            ("forecast without the memory", alone, FORECAST, "dot"),
            ("forecast", forecast, FORECAST, "solid"),
        ]
        if actual is not None:
            lines.append(("what came", actual, ACTUAL, "solid"))
        for name, frame, colour, dash in lines:
            trace = go.Scatter(
                x=frame.index,
                y=frame[column],
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={"color": colour, "dash": dash, "width": 2},
            )
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title_text=column, row=row, col=1)
        figure.add_vline(x=window.index[-1], line={"color": "#888", "dash": "dash"}, row=row, col=1)
    figure.update_layout(
        title=title,
        height=220 * len(columns) + 150,
        hovermode="closest",
        # Below, where five long names on a telephone hide nothing.
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0},
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 60, "b": 110},
    )
    return figure


def _draw_past(
    figure: go.Figure, row: int, drawn: Mapping[int, pd.Series], windows: pd.DataFrame
) -> None:
    """Lines of stored windows of one variate, the weightiest last and darkest."""
    for left, (place, values) in enumerate(reversed(list(drawn.items()))):
        weight = float(windows["weight"][place])
        share = weight / float(windows["weight"].iloc[0])
        opacity = FAINTEST + (1 - FAINTEST) * share
        trace = go.Scatter(
            x=values.index,
            y=values,
            name="analogues and what followed",
            legendgroup="analogues",
            showlegend=row == 1 and left == len(drawn) - 1,
            hovertemplate=f"before {windows['first'][place]}, weight {weight:.1%}: %{{y:.3g}}"
            "<extra></extra>",
            line={"color": f"rgba({PAST}, {opacity:.2f})", "width": 1.2},
        )
        figure.add_trace(trace, row=row, col=1)
