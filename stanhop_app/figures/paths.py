"""Figure of sample paths."""

import pandas as pd
import plotly.graph_objects as go

from stanhop_app.figures.page import FORECAST, HISTORY


def paths_figure(paths: pd.DataFrame, point: pd.Series, *, title: str = "") -> go.Figure:
    """Trajectories as thin lines, the forecast as a thick one.

    Args:
        paths: index time, a column a path.
        point: the forecast, by time.
        title: of the figure.
    """
    figure = go.Figure()
    for number, name in enumerate(paths.columns):
        figure.add_trace(
            go.Scatter(
                x=paths.index,
                y=paths[name],
                name="sample path",
                legendgroup="path",
                showlegend=number == 0,
                opacity=0.25,
                hoverinfo="skip",
                line={"color": HISTORY, "width": 0.8},
            )
        )
    line = {"color": FORECAST, "width": 2.2}
    figure.add_trace(go.Scatter(x=point.index, y=point, name="forecast", line=line))
    figure.update_layout(
        title=title,
        height=420,
        template="plotly_white",
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0},
        margin={"l": 70, "r": 20, "t": 60, "b": 90},
    )
    return figure
