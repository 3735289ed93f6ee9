"""Figures of energies over a plane: minima, basins and paths."""

from collections.abc import Sequence
from textwrap import wrap

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.theory.landscape import Landscape


def landscape_figure(landscapes: Sequence[Landscape], *, title: str = "") -> go.Figure:
    """Energies over a plane side by side, with patterns, minima and basins.

    Args:
        landscapes: drawn from left to right.
        title: of the figure.

    Basins have white edges.
    """
    figure = make_subplots(
        rows=1,
        cols=len(landscapes),
        subplot_titles=["<br>".join(wrap(one.title, 38)) for one in landscapes],
        horizontal_spacing=0.08,
    )
    for column, one in enumerate(landscapes, start=1):
        figure.add_traces(_traces(one, legend=column == 1), rows=1, cols=column)
    for axis in figure.select_yaxes():
        axis.scaleanchor, axis.constrain = axis.anchor, "domain"
    figure.update_annotations(font_size=11)
    figure.update_layout(
        title=title,
        height=460,
        legend={"orientation": "h", "y": -0.16},
        template="plotly_white",
        margin={"l": 50, "r": 20, "t": 120, "b": 50},
    )
    return figure


def _traces(one: Landscape, *, legend: bool) -> list[go.Contour | go.Scatter]:
    """Energy, edges of basins, patterns and minima of one landscape."""
    plane = {"x": one.xs.tolist(), "y": one.ys.tolist(), "showscale": False}
    traces: list[go.Contour | go.Scatter] = [
        go.Contour(
            **plane, z=one.values.tolist(), ncontours=30, colorscale="Viridis", name=one.energy
        ),
        go.Contour(
            **plane,
            z=one.basins.tolist(),
            contours={"coloring": "none", "start": -0.5, "end": len(one.minima), "size": 1},
            line={"color": "white", "width": 2, "smoothing": 0},
            hoverinfo="skip",
            name="edge of a basin",
            showlegend=False,
        ),
    ]
    for name, points, marker in (
        ("patterns", one.points, {"color": "#D55E00", "size": 10, "symbol": "circle"}),
        ("minima", one.minima, {"color": "#56B4E9", "size": 14, "symbol": "x-thin-open"}),
    ):
        traces.append(
            go.Scatter(
                x=points[:, 0].tolist(),
                y=points[:, 1].tolist(),
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=legend,
                marker={**marker, "line": {"width": 3, "color": marker["color"]}},
            )
        )
    return traces
