"""Plotly figures of associative memories."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.plots import COLOURS


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
