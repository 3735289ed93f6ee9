"""Figure of what retrievals read, level by level."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.page import line_style


def sparsity_figure(table: pd.DataFrame, *, title: str = "") -> go.Figure:
    """Alpha with the range of its heads, and the share of patterns read, against the steps of a token.

    Args:
        table: `stanhop_app.runs.sparsity.Sparsity.table`.
        title: should name the run.
    """
    figure = make_subplots(
        rows=1,
        cols=2,
        subplot_titles=("alpha: 1 reads all, 2 few", "patterns read, effective share"),
    )
    for number, (part, rows) in enumerate(table.groupby("part", sort=False)):
        steps = rows["steps"].tolist()
        style = {"name": str(part), "legendgroup": str(part), "mode": "lines+markers"}
        ends = {
            "array": (rows["alpha_most"] - rows["alpha"]).tolist(),
            "arrayminus": (rows["alpha"] - rows["alpha_least"]).tolist(),
        }
        figure.add_trace(
            go.Scatter(
                x=steps,
                y=rows["alpha"].tolist(),
                error_y={"type": "data", "symmetric": False, **ends},
                line=line_style(number),
                **style,
            ),
            row=1,
            col=1,
        )
        share = (rows["effective"] / rows["patterns"]).tolist()
        figure.add_trace(
            go.Scatter(x=steps, y=share, line=line_style(number), showlegend=False, **style),
            row=1,
            col=2,
        )
    figure.update_xaxes(title_text="steps of a token", tickvals=sorted(set(table["steps"])))
    figure.update_yaxes(range=[0.95, 2.05], row=1, col=1)
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%", row=1, col=2)
    figure.update_layout(
        title=title,
        height=440,
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 90, "b": 50},
    )
    return figure
