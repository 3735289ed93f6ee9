"""Figures of forecasts at many cut-offs: errors by step, calibration, coverage over time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.figures.page import ACTUAL, FORECAST, line_style

GREY = "#8C8C8C"


def lines_figure(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str = "",
    points: bool = False,
    styles: Mapping[str, Mapping[str, Any]] | None = None,
) -> go.Figure:
    """A line a column over the index.

    Args:
        table: such as errors by step of the horizon, a column a model.
        x: label of the index.
        y: label of the values, with unit.
        title: of the figure.
        points: whether every value has a point, which can be picked on a page.
        styles: lines by column; None: one colour after the other.
    """
    figure = go.Figure()
    for number, name in enumerate(table.columns):
        mode = "lines+markers" if points else "lines" if len(table) > 1 else "markers"
        line = line_style(number) if styles is None else dict(styles[str(name)])
        trace = {"name": str(name), "mode": mode, "line": line, "marker": {"size": 5}}
        figure.add_trace(go.Scatter(x=table.index, y=table[name], **trace))
    return _laid_out(figure, title, x, y)


def reliability_figure(shares: pd.DataFrame, *, title: str = "") -> go.Figure:
    """How many truths lay below each quantile, by its level, a line a model; the diagonal is calibrated.

    Args:
        shares: index nominal level in (0, 1), a column a model.
        title: of the figure.
    """
    figure = go.Figure()
    diagonal = {"color": GREY, "dash": "dash", "width": 1}
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], name="calibrated", mode="lines", line=diagonal))
    for number, name in enumerate(shares.columns):
        figure.add_trace(
            go.Scatter(
                x=shares.index,
                y=shares[name],
                name=str(name),
                mode="lines+markers",
                line=line_style(number),
            )
        )
    axis = {"range": [0, 1], "tickformat": ".0%"}
    figure.update_layout(xaxis=axis, yaxis=axis)
    return _laid_out(figure, title, "nominal level", "share of truths below the quantile")


def pit_figure(table: pd.DataFrame, *, title: str = "") -> go.Figure:
    """Where truths lay among the quantiles: bars of height 1 are calibrated, a U is too narrow a forecast.

    Args:
        table: index level at which each bin ends, column "density" a share of truths over the bin's width.
        title: of the figure.
    """
    ends = table.index.to_numpy(dtype=float)
    begins = np.concatenate([[0.0], ends[:-1]])
    figure = go.Figure(
        go.Bar(
            x=(begins + ends) / 2,
            width=ends - begins,
            y=table["density"],
            marker={"color": FORECAST, "line": {"color": "white", "width": 1}},
            showlegend=False,
        )
    )
    figure.add_hline(y=1, line={"color": GREY, "dash": "dash", "width": 1})
    figure.update_layout(xaxis={"range": [0, 1]}, bargap=0)
    return _laid_out(figure, title, "level of the truth", "density")


def beside_figure(
    actual: pd.Series, forecasts: Sequence[pd.Series], *, title: str = "", unit: str = ""
) -> go.Figure:
    """What came as one line, and every forecast as one of its own.

    Args:
        actual: by time.
        forecasts: by time, one a cut-off.
        title: of the figure.
        unit: of the values, or the variate's name.
    """
    figure = go.Figure(
        go.Scatter(x=actual.index, y=actual, name="actual", line={"color": ACTUAL, "width": 1.6})
    )
    for number, forecast in enumerate(forecasts):
        figure.add_trace(
            go.Scatter(
                x=forecast.index,
                y=forecast,
                name="forecast",
                legendgroup="forecast",
                showlegend=number == 0,
                line={"color": FORECAST, "width": 1.3},
            )
        )
    return _laid_out(figure, title, "", unit)


def _laid_out(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title=title,
        height=420,
        template="plotly_white",
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0},
        margin={"l": 70, "r": 20, "t": 60, "b": 120},
    )
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure
