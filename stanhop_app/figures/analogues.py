"""Figure of a forecast and the past windows that its external memory moved it by."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import ACTUAL, FORECAST, HISTORY
from stanhop_app.forecasting.external.analogues import Analogues

PAST = "230, 159, 0"
"""Colour of analogues, by red, green and blue: that of `COLOURS` which no other line of the figure has."""
FAINTEST = 0.25
"""Opacity of the analogue of least weight; that of most weight has 1."""


def analogues_figure(
    told: Analogues,
    columns: Sequence[str],
    *,
    actual: pd.DataFrame | None = None,
    title: str = "",
) -> go.Figure:
    """The window, analogues laid over it, what followed them, and the forecast with and without.

    Args:
        told: of one forecast.
        columns: variates that are drawn, one row each.
        actual: what came, where it is known.
        title: should name model and data.
    """
    figure = make_subplots(
        rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.25 / len(columns)
    )
    weights = told.windows["weight"]
    for row, column in enumerate(columns, start=1):
        for number, (place, frame) in enumerate(reversed(told.drawn.items())):
            share = float(weights[place] / weights.iloc[0])
            figure.add_trace(
                go.Scatter(
                    x=frame.index,
                    y=frame[column],
                    name="analogues and what followed",
                    legendgroup="analogues",
                    showlegend=row == 1 and number == len(told.drawn) - 1,
                    hovertemplate=f"before {told.windows['first'][place]}, weight "
                    f"{weights[place]:.1%}: %{{y:.3g}}<extra></extra>",
                    line={
                        "color": f"rgba({PAST}, {FAINTEST + (1 - FAINTEST) * share:.2f})",
                        "width": 1.2,
                    },
                ),
                row=row,
                col=1,
            )
        lines = [
            ("window", told.window, HISTORY, "solid"),
            ("forecast without the memory", told.alone, FORECAST, "dot"),
            ("forecast", told.forecast, FORECAST, "solid"),
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
        figure.add_vline(
            x=told.window.index[-1], line={"color": "#888", "dash": "dash"}, row=row, col=1
        )
    figure.update_layout(
        title=title,
        height=220 * len(columns) + 150,
        hovermode="closest",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 90, "b": 40},
    )
    return figure
