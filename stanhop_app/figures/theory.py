"""Plotly figures of associative memories."""

from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from stanhop_app.figures.curves import curves_figure
from stanhop_app.figures.page import COLOURS
from stanhop_app.theory.exponent import LINEAR, PAPER, Fit
from stanhop_app.theory.memorization import MemorizationReport
from stanhop_app.theory.trace import Trace

DASHES = ("solid", "dot", "solid", "solid", "dash")
"""Lines that lie on each other stay two to be seen."""


def memory_curves(
    table: pd.DataFrame, *, x: str, title: str = "", log: bool = False
) -> list[go.Figure]:
    """Share retrieved and squared error of every memory against a value, with deviations.

    Args:
        table: `stanhop_app.studies.capacity.memory_table`.
        x: label of the value, with unit.
        title: should name data, beta, steps and repeats.
        log: whether the values' axis is one of logarithms.
    """
    figures = []
    for column, label in (("retrieved", "share retrieved"), ("error", "mean squared error")):
        figure = go.Figure()
        for number, memory in enumerate(dict.fromkeys(table.index.get_level_values("memory"))):
            rows = table.xs(memory, level="memory")
            figure.add_trace(
                go.Scatter(
                    x=list(rows.index),
                    y=rows[column].tolist(),
                    error_y={"type": "data", "array": rows[f"{column}_sd"].tolist()},
                    name=str(memory),
                    mode="lines+markers",
                    line={"color": COLOURS[number], "dash": DASHES[number % len(DASHES)]},
                )
            )
        figure.update_xaxes(title_text=x, type="log" if log else "linear", dtick=1 if log else None)
        figure.update_yaxes(title_text=f"{label}, deviation over repeats", rangemode="tozero")
        figure.update_layout(
            title=f"{label}: {title}",
            height=440,
            template="plotly_white",
            margin={"l": 70, "r": 20, "t": 80, "b": 50},
        )
        figures.append(figure)
    return figures


def distance_figure(report: MemorizationReport) -> go.Figure:
    """Distances to the nearest member, of members and of others, in every space."""
    figure = make_subplots(
        rows=len(report.spaces),
        cols=1,
        subplot_titles=[f"{space.space} (width {space.width})" for space in report.spaces],
        vertical_spacing=0.09,
    )
    for row, space in enumerate(report.spaces, start=1):
        for name, values, colour in (
            ("members, to the nearest other one", space.member_distances, COLOURS[0]),
            ("others, to the nearest member", space.other_distances, COLOURS[1]),
        ):
            figure.add_trace(
                go.Histogram(
                    x=list(values),
                    name=name,
                    legendgroup=name,
                    showlegend=row == 1,
                    nbinsx=50,
                    bingroup=row,
                    opacity=0.6,
                    marker_color=colour,
                ),
                row=row,
                col=1,
            )
    figure.update_xaxes(title_text="Euclidean distance", row=len(report.spaces), col=1)
    figure.update_layout(
        title=f"Distances to the nearest training sample, {report.layer}",
        barmode="overlay",
        height=210 * len(report.spaces) + 120,
        legend={"orientation": "h", "y": -0.08},
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 90, "b": 50},
    )
    return figure


def loss_figure(report: MemorizationReport) -> go.Figure:
    """Loss of every other sample against its distance to the nearest member: does distance tell the error?"""
    figure = go.Figure(
        go.Scatter(
            x=list(report.spaces[0].other_distances),
            y=list(report.other_losses),
            mode="markers",
            marker={"color": COLOURS[1], "opacity": 0.5},
            hovertemplate="distance %{x:.3f}<br>loss %{y:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="Euclidean distance to the nearest training sample")
    figure.update_yaxes(title_text="loss", type="log")
    figure.update_layout(
        title=f"Loss of other samples: rank correlation with distance {report.distance_tells_loss:.2f}",
        height=440,
        template="plotly_white",
        margin={"l": 70, "r": 20, "t": 80, "b": 50},
    )
    return figure


def trace_figures(trace: Trace, *, title: str = "") -> list[go.Figure]:
    """Energies by layer and step sizes by layer: medians, and the middle half of every group.

    Args:
        trace: of a network.
        title: should name it.
    """
    energies, moves = go.Figure(), go.Figure()
    scale = 2 * torch.tensor(trace.betas[1:])[:, None]
    for number, (group, energies_of_group) in enumerate(trace.energies.items()):
        whole = torch.cat([energies_of_group, trace.global_energies()[group][None]])
        for figure, names, values in (
            (energies, [*trace.layers, "global"], whole),
            (moves, trace.layers[1:], scale * trace.steps[group]),
        ):
            low, middle, high = values.quantile(torch.tensor([0.25, 0.5, 0.75]), dim=1)
            spread = {"array": (high - middle).tolist(), "arrayminus": (middle - low).tolist()}
            figure.add_trace(
                go.Scatter(
                    x=list(names),
                    y=middle.tolist(),
                    error_y={"type": "data", "symmetric": False, **spread},
                    name=group,
                    mode="markers",
                    marker={"color": COLOURS[number], "size": 10},
                )
            )
    for figure, what, label in (
        (energies, trace.TITLE, "energy x beta, middle half"),
        (moves, trace.MOVES, "squared step / squared distance, middle half"),
    ):
        figure.update_yaxes(title_text=label)
        figure.update_layout(
            title="<br>".join([*wrap(what, 60), title]),
            height=440,
            scattermode="group",
            template="plotly_white",
            margin={"l": 70, "r": 20, "t": 120, "b": 50},
        )
    return [energies, moves]


def blur_figures(sizes: pd.DataFrame, novelty: pd.DataFrame, *, title: str = "") -> list[go.Figure]:
    """Retrieval by the number of stored windows, and what was missed by novelty.

    Args:
        sizes: as of `stanhop_app.runs.blur.Blur`.
        novelty: the same.
        title: names the run.
    """
    names = {"own weight": "own weight", "bound": "at least, by theory", "recalled": "recalled"}
    curves = {label: (list(sizes.index), sizes[column].tolist()) for column, label in names.items()}
    retrieval = curves_figure(
        curves, x="windows stored", y="share", title=f"Retrieval by size of the store: {title}"
    )
    retrieval.update_xaxes(type="log")
    figures = [retrieval]
    if len(novelty):
        missed = {"missed": (list(novelty.index), novelty["missed"].tolist())}
        figures.append(
            curves_figure(
                missed,
                x="newer than so many training windows",
                y="mean square of what the linear map missed",
                title=f"Errors by novelty: {title}",
            )
        )
    return figures


def scaling_figure(table: pd.DataFrame, fit: Fit) -> go.Figure:
    """Parameters against labels learned, with the fit and the slopes of the paper and of linear capacity.

    Args:
        table: `stanhop_app.studies.scaling.scaling_table`.
        fit: `stanhop_app.studies.scaling.fit_exponent`.
    """
    shown = table[table["learned"] > 0]
    ends = np.array([shown["learned"].min(), shown["learned"].max()], dtype=float)
    middle = np.exp(np.log(shown["learned"]).mean())
    height = fit.factor * middle**fit.exponent
    figure = go.Figure(
        go.Scatter(
            x=shown["learned"].tolist(),
            y=shown["parameters"].tolist(),
            mode="markers",
            name="a width and seed",
            marker={"color": COLOURS[0], "size": 10},
        )
    )
    for name, slope, dash, colour in (
        (f"fit, slope {fit.exponent:.2f}", fit.exponent, "solid", COLOURS[1]),
        (f"the paper's slope {PAPER:g}", PAPER, "dash", COLOURS[2]),
        (f"linear capacity, slope {LINEAR:g}", LINEAR, "dot", COLOURS[6]),
    ):
        figure.add_trace(
            go.Scatter(
                x=ends.tolist(),
                y=(height * (ends / middle) ** slope).tolist(),
                mode="lines",
                name=name,
                line={"dash": dash, "color": colour},
            )
        )
    figure.update_xaxes(title_text="random labels learned by heart, D", type="log")
    figure.update_yaxes(title_text="parameters, N", type="log")
    figure.update_layout(
        title="Parameters that random labels need",
        height=480,
        template="plotly_white",
        margin={"l": 80, "r": 20, "t": 80, "b": 50},
    )
    return figure


def convergence_figures(
    curves: pd.DataFrame, table: pd.DataFrame, *, samples: int, title: str = ""
) -> list[go.Figure]:
    """Training loss by step, and error on held-out images by the number learned from.

    Args:
        curves: `stanhop_app.studies.convergence.curve_table`.
        table: `stanhop_app.studies.convergence.convergence_table`.
        samples: images of the curves.
        title: should name data, width and seeds.
    """
    loss, error = go.Figure(), go.Figure()
    for number, association in enumerate(dict.fromkeys(curves.index.get_level_values(0))):
        line = {"color": COLOURS[number], "dash": DASHES[number % len(DASHES)]}
        rows, by_size = curves.loc[association], table.xs(association, level="association")
        for figure, xs, ys, spread in (
            (loss, rows.index, rows["loss"], rows["sd"]),
            (error, by_size.index, by_size["test_error"], by_size["test_error_sd"]),
        ):
            figure.add_trace(
                go.Scatter(
                    x=list(xs),
                    y=ys.tolist(),
                    error_y={"type": "data", "array": spread.tolist(), "thickness": 1, "width": 2},
                    name=str(association),
                    mode="lines+markers",
                    line=line,
                )
            )
    loss.update_xaxes(title_text="optimiser step")
    loss.update_yaxes(title_text="cross-entropy in nats, deviation over seeds", type="log")
    error.update_xaxes(title_text="images learned from", type="log")
    error.update_yaxes(
        title_text="share of wrong classes, deviation over seeds", rangemode="tozero"
    )
    for figure, what in (
        (loss, f"Training loss on {samples:,} images"),
        (error, "Error on held-out images"),
    ):
        figure.update_layout(
            title=f"{what}: {title}",
            height=440,
            template="plotly_white",
            margin={"l": 70, "r": 20, "t": 80, "b": 50},
        )
    return [loss, error]
