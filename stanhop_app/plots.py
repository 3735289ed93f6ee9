"""Plotly figures from data. Command line, reports and dashboard draw with these and nothing else."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

HISTORY, FORECAST, ACTUAL = "#0072B2", "#D55E00", "#009E73"
"""Colours that colour-blind readers tell apart, on light and on dark ground (Okabe and Ito)."""
COLOURS = (HISTORY, FORECAST, ACTUAL, "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#B8A900")
"""The same, for many lines."""

BINS_PER_OCTAVE = 16
"""Of the histograms that `stanhop_app.outliers` makes."""


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
        table: columns step, module and max_inf_norm (`stanhop_app.outlier_log.OutlierLog.table`).
        title: of the figure.
        most: modules drawn, those with the largest norm at the last step.
    """
    last = table[table["step"] == table["step"].max()]
    curves = {}
    for name in last.nlargest(most, "max_inf_norm")["module"]:
        rows = table[table["module"] == name]
        curves[str(name)] = (list(rows["step"]), list(rows["max_inf_norm"]))
    return curves_figure(curves, x="optimiser step", y="maximum infinity norm", title=title)


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
            go.Scatter(x=list(xs), y=list(ys), name=name, mode="lines+markers", line=_line(number))
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
                    line=_line(number),
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
                line=_line(number),
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


def heat_figure(table: pd.DataFrame, *, x: str, y: str, label: str, title: str = "") -> go.Figure:
    """A matrix in colours that colour-blind readers can order.

    Args:
        table: rows from top to bottom.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        label: of the values, with unit.
        title: of the figure.
    """
    figure = go.Figure(
        go.Heatmap(
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


def _line(number: int) -> dict[str, Any]:
    """Colour of a line, dashed where colours begin anew."""
    dash = ("solid", "dash", "dot")[number // len(COLOURS) % 3]
    return {"color": COLOURS[number % len(COLOURS)], "dash": dash, "width": 1.8}


STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 1100px; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0 2em; font-size: 14px; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th { background: #f4f4f4; }
.wide { overflow-x: auto; }
"""


def html_page(
    figures: Sequence[go.Figure],
    tables: Mapping[str, pd.DataFrame] | None = None,
    title: str = "",
) -> str:
    """Tables and figures one below the other, as one page that needs no network.

    Args:
        figures: drawn in this order, below the tables.
        tables: by heading.
        title: of the page.
    """
    parts = [f"<!doctype html>\n<meta charset='utf-8'>\n<title>{escape(title)}</title>"]
    parts.append(f"<style>{STYLE}</style>")
    if title:
        parts.append(f"<h1>{escape(title)}</h1>")
    for heading, table in (tables or {}).items():
        parts.append(f"<h2>{escape(heading)}</h2>")
        html = table.to_html(float_format=lambda v: f"{v:.4f}", na_rep="", border=0)
        parts.append(f"<div class='wide'>{html}</div>")
    parts += [
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    return "\n".join(parts) + "\n"
