"""Plotly figures from data. Command line, reports and dashboard draw with these and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

HISTORY, FORECAST, ACTUAL = "#0072B2", "#D55E00", "#009E73"
"""Colours that colour-blind readers tell apart, on light and on dark ground (Okabe and Ito)."""


def forecast_figure(
    history: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    actual: pd.DataFrame | None = None,
    title: str = "",
) -> go.Figure:
    """History and forecast of every variate, one row each, with a line where the forecast begins.

    Args:
        history: the rows before the forecast, time index, original units.
        forecast: what `STanHopForecaster.predict` returned; its columns are drawn.
        actual: what came, where it is known.
        title: of the figure; should name model and data.
    """
    columns = list(forecast.columns)
    figure = make_subplots(
        rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.25 / len(columns)
    )
    lines = [("history", history, HISTORY, "solid"), ("forecast", forecast, FORECAST, "solid")]
    if actual is not None:
        lines.append(("actual", actual, ACTUAL, "dot"))
    for row, column in enumerate(columns, start=1):
        for name, frame, colour, dash in lines:
            trace = go.Scatter(
                x=frame.index,
                y=frame[column],
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={"color": colour, "dash": dash, "width": 1.6},
            )
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title_text=column, row=row, col=1)
        figure.add_vline(
            x=history.index[-1], line={"color": "#888", "dash": "dash"}, row=row, col=1
        )
    figure.update_layout(
        title=title,
        height=150 * len(columns) + 150,
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 40},
    )
    return figure


def bucket_figure(tables: Sequence[Mapping[str, Any]], *, title: str = "") -> go.Figure:
    """Hits of every bucket, one panel a table, with a line at the mean: MemoryFormer's figure 4.

    Args:
        tables: ``layer``, ``table`` and ``hits`` of each, as `stanhop_app.layers.occupancy` counts them.
        title: of the figure; should name model and data.
    """
    columns = 2 if len(tables) > 1 else 1
    rows = -(-len(tables) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[f"{t['layer']}, table {t['table'] + 1}" for t in tables],
        vertical_spacing=0.4 / rows,
    )
    for number, table in enumerate(tables):
        row, column = number // columns + 1, number % columns + 1
        hits = table["hits"]
        figure.add_trace(
            go.Bar(x=list(range(len(hits))), y=hits, marker_color=HISTORY, showlegend=False),
            row=row,
            col=column,
        )
        mean = sum(hits) / len(hits)
        figure.add_hline(y=mean, line={"color": FORECAST, "dash": "dash"}, row=row, col=column)
    figure.update_layout(
        title=title,
        height=170 * rows + 120,
        bargap=0.05,
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 90, "b": 40},
    )
    return figure


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


def html_page(figures: Sequence[go.Figure]) -> str:
    """Figures one below the other, as one page that needs no network."""
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    return "<!doctype html>\n<meta charset='utf-8'>\n" + "\n".join(parts) + "\n"
