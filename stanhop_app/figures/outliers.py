"""Figures of outliers: by module, by value, over training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from stanhop_app.figures.curves import curves_figure
from stanhop_app.figures.page import COLOURS, FORECAST, HISTORY, line_style

BINS_PER_OCTAVE = 16
"""The axis of the histograms that `stanhop_app.outliers` makes."""


def outlier_figures(
    table: pd.DataFrame, rows: Sequence[Any] = (), *, title: str = ""
) -> list[go.Figure]:
    """Max norm and kurtosis of every module (dashed: 3, a Gaussian's kurtosis); histograms of some.

    Args:
        table: `stanhop_app.outliers.OutlierReport.table`.
        rows: of the report, for the histograms; none: the first figure only.
        title: should name model, data and part.
    """
    figures = [_module_figure(table, title)]
    if rows:
        largest = sorted(rows, key=lambda row: row.max_inf_norm, reverse=True)[:6]
        named = {row.module: row for row in largest}
        figures.append(histogram_figure(named, f"{title}: the modules of largest norm"))
    return figures


def _module_figure(table: pd.DataFrame, title: str) -> go.Figure:
    names = [str(name) for name in table.index][::-1]
    figure = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        subplot_titles=["max norm", "kurtosis"],
    )
    for column, (value, colour) in enumerate(
        (("max_inf_norm", HISTORY), ("kurtosis", FORECAST)), start=1
    ):
        figure.add_trace(
            go.Bar(
                y=names,
                x=table[value][::-1],
                orientation="h",
                marker_color=colour,
                showlegend=False,
                hovertemplate="%{y}: %{x:.3f}<extra></extra>",
            ),
            row=1,
            col=column,
        )
    figure.add_vline(x=3, line={"color": "#888", "dash": "dash"}, row=1, col=2)
    figure.update_yaxes(tickmode="array", tickvals=names, tickfont={"size": 9})
    figure.update_layout(
        title=title,
        height=15 * len(names) + 160,
        bargap=0.25,
        template="plotly_white",
        margin={"l": 175, "r": 20, "t": 90, "b": 40},
    )
    return figure


def histogram_figure(rows: Mapping[str, Any], title: str = "") -> go.Figure:
    """Histograms of |activation|, both axes logarithmic.

    Args:
        rows: `stanhop_app.outliers.ModuleOutliers` by the name of their line.
        title: of the figure.
    """
    figure = go.Figure()
    for number, (name, row) in enumerate(rows.items()):
        edges = [edge for edge, _ in row.histogram if edge > 0]
        # Bins are of equal width within an octave, so that what is drawn is a density.
        counts = [
            count / math.log2(1 + 2 ** math.floor(math.log2(edge)) / BINS_PER_OCTAVE / edge)
            for edge, count in row.histogram
            if edge > 0
        ]
        figure.add_trace(
            go.Scatter(
                x=edges,
                y=counts,
                name=name,
                mode="lines",
                line={"shape": "hv", "color": COLOURS[number % len(COLOURS)], "width": 1.6},
            )
        )
    top = max([row.largest for row in rows.values()] + [0.01])  # nothing but zeros has no logarithm
    figure.update_xaxes(title_text="|activation|", type="log", range=[-3, math.log10(top) + 0.1])
    figure.update_yaxes(title_text="count per octave", type="log")
    figure.update_layout(
        title=title,
        height=420,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 50},
    )
    return figure


def norm_figure(table: pd.DataFrame, *, title: str = "", most: int = 8) -> go.Figure:
    """Maximum infinity norm over the steps of a training: the papers' figure 2.

    Args:
        table: columns step, module and max_inf_norm (`stanhop_app.training.outlier_log.OutlierLog.table`).
        title: of the figure.
        most: modules drawn, those with the largest norm at the last step.
    """
    last = table[table["step"] == table["step"].max()]
    curves = {}
    for name in last.nlargest(most, "max_inf_norm")["module"]:
        rows = table[table["module"] == name]
        curves[str(name)] = (list(rows["step"]), list(rows["max_inf_norm"]))
    return curves_figure(curves, x="optimiser step", y="maximum infinity norm", title=title)


def component_figure(
    table: pd.DataFrame, *, title: str = "", label: str = "maximum infinity norm"
) -> go.Figure:
    """One value by module, a line a variant: the papers' figures 3 and 4 where it is the norm."""
    figure = go.Figure()
    for number, name in enumerate(table.columns):
        figure.add_trace(
            go.Scatter(
                x=[str(module) for module in table.index],
                y=table[name],
                name=str(name),
                mode="lines+markers",
                line=line_style(number),
            )
        )
    figure.update_yaxes(title_text=label, rangemode="tozero")
    figure.update_layout(
        title=title,
        height=460,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 140},
    )
    return figure
