"""Figures of memory layers and of retrieved patterns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import COLOURS, FORECAST, HISTORY


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


def picture_figure(
    rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]], *, title: str = ""
) -> go.Figure:
    """Small pictures in rows, all in one scale of greys.

    Args:
        rows: name of every row, and its pictures: what stands above each, and a matrix.
        title: of the figure.
    """
    columns = max(len(pictures) for _, pictures in rows)
    figure = make_subplots(
        rows=len(rows),
        cols=columns,
        subplot_titles=[
            pictures[c][0] if c < len(pictures) else ""
            for _, pictures in rows
            for c in range(columns)
        ],
        horizontal_spacing=0.02,
        vertical_spacing=0.25 / len(rows),
    )
    top = max(float(np.abs(picture).max()) for _, pictures in rows for _, picture in pictures)
    for row, (name, pictures) in enumerate(rows, start=1):
        for column, (label, picture) in enumerate(pictures, start=1):
            trace = go.Heatmap(
                z=picture,
                zmin=-top,
                zmax=top,
                colorscale="Greys_r",
                showscale=False,
                name=f"{name}, {label}",
            )
            figure.add_trace(trace, row=row, col=column)
        figure.update_yaxes(title_text=name, row=row, col=1)
    figure.update_xaxes(showticklabels=False, ticks="", constrain="domain")
    figure.update_yaxes(showticklabels=False, ticks="", autorange="reversed", constrain="domain")
    for axis in figure.select_yaxes():  # square pixels
        axis.scaleanchor = axis.anchor
    figure.update_annotations(font_size=11)
    figure.update_layout(
        title=title,
        height=130 * len(rows) + 110,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 90, "b": 20},
    )
    return figure


def share_figure(shares: dict[str, float], *, label: str, title: str = "") -> go.Figure:
    """One bar a name.

    Args:
        shares: by name.
        label: of the values, with unit.
        title: of the figure.
    """
    figure = go.Figure(
        go.Bar(
            y=list(shares)[::-1],
            x=list(shares.values())[::-1],
            orientation="h",
            marker_color=COLOURS[0],
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=label)
    figure.update_layout(
        title=title,
        height=18 * len(shares) + 170,
        bargap=0.25,
        template="plotly_white",
        margin={"l": 165, "r": 20, "t": 80, "b": 50},
    )
    return figure
