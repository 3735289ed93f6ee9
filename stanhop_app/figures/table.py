"""Figure of a table as it was read, with what stands out in it."""

from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.data.findings import Findings
from stanhop_app.figures.page import COLOURS, FORECAST, HISTORY

PANELS = 24
"""Columns that are drawn; more make a page that no browser scrolls."""
POINTS = 4000
"""Points of a line; of more rows the least and the greatest of each piece are drawn."""
MARKS = {
    "holes": ("x-thin", COLOURS[3]),
    "outliers": ("circle-open", FORECAST),
    "code": ("diamond-open", COLOURS[4]),
    "constant": ("line-ew", COLOURS[6]),
    "jump": ("triangle-up", COLOURS[2]),
}
"""Mark and colour of each kind of finding in a column."""


def table_figure(findings: Findings, *, title: str = "") -> go.Figure:
    """Every column over time, one panel each, marked where something stands out first.

    Columns with findings come first; of more than 24 columns the others are left out, which the title says.

    Args:
        findings: of a table (`stanhop_app.data.findings.find`).
        title: of the figure.
    """
    marked = {finding.column for finding in findings.listed}
    names = sorted(findings.frame.columns, key=lambda name: name not in marked)
    left_out = len(names) - PANELS
    names = names[:PANELS]
    figure = make_subplots(
        rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.25 / len(names)
    )
    legend: set[str] = set()
    for row, name in enumerate(names, start=1):
        column = findings.frame[name]
        thin = thinned(column)
        line = {"color": HISTORY, "width": 1.2}
        trace = go.Scatter(x=thin.index, y=thin, name="value", line=line, showlegend=False)
        figure.add_trace(trace, row=row, col=1)
        bottom = float(column.min()) if column.notna().any() else 0.0
        for finding in findings.listed:
            if finding.column != name:
                continue
            symbol, colour = MARKS[finding.kind]
            value = column[finding.first]
            mark = go.Scatter(
                x=[finding.first],
                y=[bottom if pd.isna(value) else value],
                mode="markers",
                name=finding.kind,
                legendgroup=finding.kind,
                showlegend=finding.kind not in legend,
                marker={
                    "symbol": symbol,
                    "size": 11,
                    "color": colour,
                    "line": {"color": colour, "width": 2},
                },
                hovertext=finding.sentence,
                hoverinfo="text",
            )
            legend.add(finding.kind)
            figure.add_trace(mark, row=row, col=1)
        figure.update_yaxes(title_text=str(name)[:24], row=row, col=1)
    more = f" ({PANELS} of {PANELS + left_out} columns)" if left_out > 0 else ""
    figure.update_layout(
        title=f"{title}{more}",
        height=130 * len(names) + 150,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 40},
    )
    return figure


def thinned(column: pd.Series) -> pd.Series:
    """A column as a line shows it: of many rows the least and the greatest of each piece, in their order."""
    pieces = POINTS // 2
    if len(column) <= POINTS:
        return column
    edges = np.linspace(0, len(column), pieces + 1).astype(int)
    values = column.to_numpy(dtype=np.float64)
    kept: set[int] = set()
    for first, last in pairwise(edges.tolist()):
        piece = values[first:last]
        if np.isnan(piece).all():
            kept.add(first)  # a hole stays one
        else:
            kept |= {first + int(np.nanargmin(piece)), first + int(np.nanargmax(piece))}
    return column.iloc[sorted(kept)]
