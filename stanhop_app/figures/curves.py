"""Plotly figures from data. Command line, reports and dashboard draw with these and nothing else."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import FORECAST, HISTORY, line_style


def error_figure(table: pd.DataFrame, *, value: str, label: str, title: str = "") -> go.Figure:
    """One column as points, a panel for every first level of the index, the least in another colour.

    Args:
        table: index of two levels, group and name.
        value: column.
        label: of the axis, with unit.
        title: of the figure.
    """
    groups = list(dict.fromkeys(table.index.get_level_values(0)))
    figure = make_subplots(
        rows=len(groups),
        cols=1,
        subplot_titles=[str(g) for g in groups],
        vertical_spacing=0.3 / len(groups),
    )
    for row, group in enumerate(groups, start=1):
        values = table.loc[group][value]
        colours = [FORECAST if v == values.min() else HISTORY for v in values]
        figure.add_trace(
            go.Scatter(
                y=[str(name) for name in values.index],
                x=values,
                mode="markers+text",
                marker={"color": colours, "size": 11},
                text=[f"{v:.4f}" for v in values],
                textposition="middle right",
                showlegend=False,
            ),
            row=row,
            col=1,
        )
        room = max(values.max() - values.min(), 0.01 * values.max())
        figure.update_xaxes(
            range=[values.min() - 0.1 * room, values.max() + 0.3 * room], row=row, col=1
        )
        figure.update_yaxes(type="category", row=row, col=1)
    figure.update_xaxes(title_text=label, row=len(groups), col=1)
    figure.update_layout(
        title=title,
        height=40 * len(table) + 90 * len(groups) + 120,
        template="plotly_white",
        margin={"l": 160, "r": 20, "t": 90, "b": 50},
    )
    return figure


def curves_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    title: str = "",
) -> go.Figure:
    """Lines by name.

    Args:
        curves: x and y values of every line.
        x: label of the horizontal axis.
        y: label of the vertical axis, with unit.
        title: of the figure.
    """
    figure = go.Figure()
    for number, (name, (xs, ys)) in enumerate(curves.items()):
        figure.add_trace(
            go.Scatter(
                x=list(xs), y=list(ys), name=name, mode="lines+markers", line=line_style(number)
            )
        )
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y, rangemode="tozero")
    figure.update_layout(
        title=title,
        height=440,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 50},
    )
    return figure


def bits_figure(
    table: pd.DataFrame, *, title: str = "", label: str = "test MSE, scaled units"
) -> go.Figure:
    """Error against bits, a line a variant, a panel a group: where variants differ.

    Args:
        table: index (group, variant), a column a number of bits, the columns in the order drawn.
        title: of the figure.
        label: of the vertical axis.
    """
    groups = list(dict.fromkeys(table.index.get_level_values(0)))
    figure = make_subplots(
        rows=len(groups), cols=1, subplot_titles=[str(g) for g in groups], vertical_spacing=0.12
    )
    for row, group in enumerate(groups, start=1):
        for number, (name, values) in enumerate(table.loc[group].iterrows()):
            figure.add_trace(
                go.Scatter(
                    x=list(table.columns),
                    y=values,
                    name=str(name),
                    legendgroup=str(name),
                    showlegend=row == 1,
                    mode="lines+markers",
                    line=line_style(number),
                ),
                row=row,
                col=1,
            )
        figure.update_yaxes(title_text=label, type="log", row=row, col=1)
    figure.update_layout(
        title=title,
        height=340 * len(groups) + 120,
        template="plotly_white",
        margin={"l": 80, "r": 20, "t": 90, "b": 50},
    )
    return figure


def heat_figure(
    table: pd.DataFrame, *, x: str, y: str, label: str, title: str = "", top: float | None = None
) -> go.Figure:
    """A matrix in colours that colour-blind readers can order.

    Args:
        table: rows from top to bottom.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        label: of the values, with unit.
        title: of the figure.
        top: value of the last colour, from 0 on, so that figures can be compared; None: of their own values.
    """
    figure = go.Figure(
        go.Heatmap(
            zmin=None if top is None else 0.0,
            zmax=top,
            z=table.to_numpy(),
            x=[str(name) for name in table.columns],
            y=[str(name) for name in table.index],
            colorscale="Viridis",
            colorbar={"title": label},
        )
    )
    figure.update_xaxes(title_text=x, type="category")
    figure.update_yaxes(title_text=y, type="category", autorange="reversed")
    figure.update_layout(
        title=title,
        height=max(30 * len(table), 160) + 170,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 50},
    )
    return figure
