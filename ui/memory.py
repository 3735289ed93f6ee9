"""Memory: tables of a run's memory layers and what they cost; an associative memory to play with."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
import torch
from stanhop_app.datasets.images import load_images
from stanhop_app.ui import opening, parts, selection
from torch import Tensor

from stanhop_app.figures.curves import curves_figure
from stanhop_app.figures.memory import bucket_figure, picture_figure, share_figure
from stanhop_app.layers.memory_cost import count_cost
from stanhop_app.layers.occupancy import Occupancy
from stanhop_app.models.stanhop import DeepPart, STanHopConfig
from stanhop_app.runs.measures import window_occupancy
from stanhop_app.runs.run import Run
from stanhop_app.theory.recall import DAMAGES, Recall, cut_windows, damage, recall, standardise

MOST = 512
"""Test windows whose look-ups are counted, evenly spaced."""
WINDOW = 48
"""Steps of a stored window."""
SHOWN = 6
"""States that are drawn, the query and the last among them."""
IMAGES, WINDOWS = "handwritten digits", "windows of the run's table"
KINDS = {
    "dense": ("dense", "dense"),
    "memory feed-forward": ("memory", "dense"),
    "memory projections": ("dense", "memory"),
    "both": ("memory", "memory"),
}


def show() -> None:
    """The page."""
    st.title("Memory")
    name, run = opening.choose_run()
    st.header("Memory layers")
    _tables(name, run)
    st.header("An associative memory")
    _play(name, run)


def _tables(name: str, run: Run) -> None:
    """Cost of the run's network, dense and of memory layers, and the use of its buckets."""
    config = run.fitted.network.config
    st.dataframe(_costs(config))
    if "memory" not in (config.feed_forward, config.projection):
        st.info(
            f"{name} has no memory layers; the table says what they would cost. Train with "
            "--feed-forward memory to see which buckets they use."
        )
        return
    opened = opening.with_table(run)
    if opened is None:
        return
    try:
        use, windows = _occupancy(opening.version(name, opened), opened)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    table = occupancy_table(use)
    left, middle, right = st.columns(3)
    left.metric("Dead buckets", f"{100 * table['dead'].mean():.1f}%")
    middle.metric("Entropy (1: all alike)", f"{table['entropy'].mean():.3f}")
    right.metric("Tables", f"{len(use):,}")
    where = f"{windows:,} test windows, split {run.fitted.split}"
    by_layer = table.groupby("layer", sort=False)["dead"].mean()
    shares = {str(layer): float(dead) for layer, dead in by_layer.items()}
    title = f"{name}: share of buckets that none of {where} reads"
    parts.show(share_figure(shares, label="share of dead buckets", title=title), "dead")
    layer = selection.one("Layer", list(by_layer.index), "layer")
    of_layer = [o for o in use if o.layer == layer]
    drawn = [
        {"layer": o.layer, "table": o.table, "hits": o.hits}
        for o in dict.fromkeys((of_layer[0], of_layer[-1]))
    ]
    parts.show(bucket_figure(drawn, title=f"{name}: hits of every bucket, {where}"), "buckets")
    st.download_button(
        "Download the use of all tables (CSV)",
        table.to_csv(index=False),
        file_name="buckets.csv",
        mime="text/csv",
        key="download",
    )
    parts.reproduce(
        "stanhop compare-memory etth1 --output memory.json --plot memory.html",
        f"{opening.lines(name, run)}"
        "from stanhop_app.runs.measures import window_occupancy\n\n"
        f'for table in window_occupancy(run.fitted.network.deep, run.parts["test"], {MOST}):\n'
        "    print(table.layer, table.table, table.dead, table.entropy)",
    )


def occupancy_table(tables: list[Occupancy]) -> pd.DataFrame:
    """One row a table: dead buckets, entropy, hits of the fullest over the mean."""
    names = ("layer", "table", "dead", "entropy", "peak")
    return pd.DataFrame([{name: getattr(o, name) for name in names} for o in tables])


@st.cache_data(show_spinner=False, max_entries=16)
def _costs(config: STanHopConfig) -> pd.DataFrame:
    """Parameters, megabytes and multiply-adds of the deep part, dense and of memory layers."""
    rows: dict[str, dict[str, Any]] = {}
    for label, (feed_forward, projection) in KINDS.items():
        wanted = replace(config, feed_forward=feed_forward, projection=projection)
        try:
            network = DeepPart(wanted)
        except ValueError as error:
            rows[label] = {"not possible": str(error)}
            continue
        cost = count_cost(network, torch.zeros(1, wanted.lookback, wanted.num_variates))
        rows[label] = {
            "parameters": cost.parameters,
            "megabytes": round(cost.bytes / 1e6, 2),
            "multiply-adds of a window": cost.multiply_adds,
            "look-ups of a window": cost.look_ups,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


@st.cache_data(show_spinner="Counting look-ups…", max_entries=8)
def _occupancy(version: str, _run: Run) -> tuple[list[Occupancy], int]:
    windows = _run.parts["test"]
    deep = copy.deepcopy(_run.fitted.network.deep)  # look-ups of other visitors must not count
    return window_occupancy(deep, windows, MOST), min(MOST, len(windows))


def _play(name: str, run: Run) -> None:
    """Store, damage, retrieve."""
    left, middle, right = st.columns(3)
    with left:
        kind = st.selectbox("Stored patterns", [IMAGES, WINDOWS], key="patterns")
        count = st.slider("How many are stored", 2, 500, 50, key="count")
    with middle:
        harm = st.selectbox("Damage", DAMAGES, key="damage")
        amount = st.slider("How much", 0.0, 1.0, 0.5, key="amount")
    with right:
        beta = st.select_slider("beta", [1, 2, 5, 10, 20, 50, 100, 200], 50, key="beta")
        steps = st.slider("Steps", 1, 20, 5, key="steps")
    what = "handwritten digits"
    if kind == WINDOWS:
        variate = selection.one("Variate", run.fitted.columns, "variates")
        what = f"windows of {WINDOW} steps of {variate}, {name}"
    try:
        if kind == IMAGES:
            pixels = load_images("digits").pixels[:count, 0]
            patterns, shape = torch.from_numpy(pixels).float().flatten(1), pixels.shape[1:]
        else:
            frame = opening.own_frame(run)
            table = _rows(run) if frame is None else frame
            known = table[variate].dropna().to_numpy(dtype=np.float32)
            series = torch.from_numpy(known.copy())
            patterns, shape = cut_windows(series, WINDOW, count), (1, WINDOW)
        patterns = standardise(patterns)
    except parts.ERRORS as error:
        st.error(f"{what}: {error}")
        return
    chosen = st.number_input("Which one is damaged", 1, len(patterns), 1, key="chosen") - 1
    query = damage(patterns[chosen], harm, amount)
    recalls = recall(patterns, query, beta=float(beta), steps=steps)
    how = f"{len(patterns)} {what}, damage: {harm} {amount:g}, beta {beta}"
    if kind == IMAGES:
        parts.show(_pictures(patterns[chosen], recalls, shape, how), "recall")
    else:
        at = st.slider("Step shown", 0, steps, steps, key="at")
        parts.show(_lines(patterns[chosen], recalls, at, how), "recall")
    energies = {o.association: (list(range(steps + 1)), o.energies.tolist()) for o in recalls}
    title = f"Energy of each association on the way: {how}"
    parts.show(curves_figure(energies, x="retrieval step", y="energy", title=title), "energy")
    st.dataframe(_summary(recalls, chosen))
    st.download_button(
        "Download every state and energy (CSV)",
        _states(recalls).to_csv(index=False),
        file_name="retrieval.csv",
        mime="text/csv",
        key="download-recall",
    )
    with st.expander("Reproduce the memory"):
        st.code(_python(name, run, kind, count) + _rest(chosen, harm, amount, beta, steps))


def _rows(run: Run) -> pd.DataFrame:
    """The last rows that a run keeps, of many series those of the first."""
    if run.fitted.series is None:
        return run.fitted.context
    kept = run.fitted.outlook.kept()
    return kept.chosen(kept.ids[:1]).frame


def _summary(recalls: list[Recall], chosen: int) -> pd.DataFrame:
    """One row an association: what it ended at."""
    table = pd.DataFrame(
        {
            "right": [o.nearest == chosen for o in recalls],
            "most like number": [o.nearest + 1 for o in recalls],
            "cosine with the stored one": [float(o.similarities[-1, chosen]) for o in recalls],
            "left to the no-op, first step": [o.no_op[0] for o in recalls],
        },
        index=[o.association for o in recalls],
    )
    return table.round(3)


def _states(recalls: list[Recall]) -> pd.DataFrame:
    """One row an association and step: energy and state."""
    rows = [
        {
            "association": one.association,
            "step": step,
            "energy": float(energy),
            **{f"x{i + 1}": float(value) for i, value in enumerate(state)},
        }
        for one in recalls
        for step, (energy, state) in enumerate(zip(one.energies, one.states, strict=True))
    ]
    return pd.DataFrame(rows)


def _pictures(stored: Tensor, recalls: list[Recall], shape: tuple[int, ...], how: str) -> Any:
    """The stored picture, then a row of states for every association."""
    steps = len(recalls[0].states) - 1
    shown = np.unique(np.linspace(0, steps, SHOWN).round().astype(int)).tolist()
    rows = [("stored", [("", stored.reshape(shape).numpy())])]
    for one in recalls:
        pictures = [
            ("damaged" if i == 0 else f"step {i}", one.states[i].reshape(shape).numpy())
            for i in shown
        ]
        rows.append((one.association, pictures))
    return picture_figure(rows, title=f"Retrieval: {how}")


def _lines(stored: Tensor, recalls: list[Recall], at: int, how: str) -> Any:
    """The stored window, the damaged one, and the state of every association at one step."""
    lines = {"stored": stored, "damaged": recalls[0].states[0]}
    lines |= {one.association: one.states[at] for one in recalls}
    curves = {k: (list(range(1, len(v) + 1)), v.tolist()) for k, v in lines.items()}
    title = f"After {at} steps: {how}"
    return curves_figure(curves, x="time step", y="standardised value", title=title)


def _python(name: str, run: Run, kind: str, count: int) -> str:
    """Lines that make the stored patterns."""
    if kind == IMAGES:
        return (
            "import torch\nfrom stanhop_app.datasets.images import load_images\n"
            "from stanhop_app.theory.recall import damage, recall, standardise\n\n"
            f'pixels = load_images("digits").pixels[:{count}]\n'
            "patterns = standardise(torch.tensor(pixels).float().flatten(1))\n"
        )
    variate = st.session_state["variates"]
    return (
        "import torch\nfrom stanhop_app import datasets\n"
        "from stanhop_app.theory.recall import cut_windows, damage, recall, standardise\n\n"
        f"{_reading(name, run)}"
        f"series = torch.tensor(frame[{variate!r}].dropna().to_numpy(dtype='float32'))\n"
        f"patterns = standardise(cut_windows(series, {WINDOW}, {count}))\n"
    )


def _reading(name: str, run: Run) -> str:
    """Lines that make the rows that windows are cut from."""
    if run.fitted.series is None:
        return opening.reading(name, run)
    return (
        f"{opening.bare(name)}kept = run.fitted.outlook.kept()\n"
        "frame = kept.chosen(kept.ids[:1]).frame\n"
    )


def _rest(chosen: int, harm: str, amount: float, beta: int, steps: int) -> str:
    return (
        f"query = damage(patterns[{chosen}], {harm!r}, {amount:g})\n"
        f"for found in recall(patterns, query, beta={float(beta)}, steps={steps}):\n"
        "    print(found.association, found.nearest + 1, found.energies)"
    )
