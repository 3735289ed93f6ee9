"""Memory: tables of a run's memory layers and what they cost; an associative memory to play with."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st
import torch
from stanhop_app.datasets.images import load_images
from stanhop_app.ui import parts, runs

from stanhop_app.forecasting.analysis import run_parts
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.layers.memory_cost import Cost, count_cost
from stanhop_app.layers.occupancy import Occupancy, occupancies, record_buckets
from stanhop_app.models.stanhop import DeepPart
from stanhop_app.plots import bucket_figure, curves_figure
from stanhop_app.plots_memory import picture_figure, share_figure
from stanhop_app.theory.recall import DAMAGES, Recall, damage, recall, standardise

MOST = 512
"""Test windows whose look-ups are counted, evenly spaced."""
WINDOW = 48
"""Steps of a stored window."""
IMAGES, WINDOWS = "handwritten digits", "windows of the run's table"


def show() -> None:
    """The page."""
    st.title("Memory")
    name, forecaster = parts.choose_run()
    st.header("Memory layers")
    _tables(name, forecaster)
    st.header("An associative memory")
    _play(name, forecaster)


def _tables(name: str, forecaster: STanHopForecaster) -> None:
    """Cost of the run's network, dense and of memory layers, and the use of its buckets."""
    config = forecaster.network_.config
    st.dataframe(_costs(config))
    if "memory" not in (config.feed_forward, config.projection):
        st.info(
            f"{name} has no memory layers; the table says what they would cost. Train with "
            "--feed-forward memory to see which buckets they use."
        )
        return
    frame = parts.own_frame(forecaster)
    if frame is None:
        options = (forecaster.source_ or {}).get("options", {})
        frame = parts.upload("The table that the run was trained on", options)
    if frame is None:
        st.info("Bring the table that the run was trained on.")
        return
    try:
        found = _occupancy(name, forecaster, frame)
    except parts.ERRORS as error:
        st.error(str(error))
        return
    table = occupancy_table(found)
    left, middle, right = st.columns(3)
    left.metric("Dead buckets", f"{100 * table['dead'].mean():.1f}%")
    middle.metric("Entropy (1: all alike)", f"{table['entropy'].mean():.3f}")
    right.metric("Tables", f"{len(found):,}")
    title = f"{name}: share of buckets that no test window reads, split {forecaster.split}"
    by_layer = table.groupby("layer", sort=False)["dead"].mean()
    shares = {str(layer): float(dead) for layer, dead in by_layer.items()}
    parts.show(share_figure(shares, label="share of dead buckets", title=title), "dead")
    layer = st.selectbox("Layer", list(by_layer.index), key="layer")
    of_layer = [o for o in found if o.layer == layer]
    drawn = [
        {"layer": o.layer, "table": o.table, "hits": o.hits}
        for o in dict.fromkeys((of_layer[0], of_layer[-1]))
    ]
    parts.show(bucket_figure(drawn, title=f"{name}: hits of every bucket, {layer}"), "buckets")
    st.download_button(
        "Download the use of all tables (CSV)",
        table.to_csv(index=False),
        file_name="buckets.csv",
        mime="text/csv",
        key="download",
    )
    parts.reproduce(
        f"stanhop train sample --feed-forward memory --output {runs.root().name}/{name}",
        "from stanhop_app.layers.occupancy import occupancies, record_buckets\n\n"
        "with record_buckets(forecaster.network_.deep) as counts:\n"
        "    forecaster.predict()\n"
        "print(occupancies(forecaster.network_.deep, counts))",
    )


def occupancy_table(found: list[Occupancy]) -> pd.DataFrame:
    """One row a table: dead buckets, entropy, hits of the fullest over the mean."""
    names = ("layer", "table", "dead", "entropy", "peak")
    return pd.DataFrame([{name: getattr(o, name) for name in names} for o in found])


@st.cache_data(show_spinner=False, max_entries=16)
def _costs(config: object) -> pd.DataFrame:
    """Parameters, megabytes and multiply-adds of the deep part, dense and of memory layers."""
    rows = {}
    for label, feed_forward, projection in (
        ("dense", "dense", "dense"),
        ("memory feed-forward", "memory", "dense"),
        ("memory projections", "dense", "memory"),
        ("both", "memory", "memory"),
    ):
        wanted = replace(config, feed_forward=feed_forward, projection=projection)  # type: ignore[type-var]
        network = DeepPart(wanted)  # type: ignore[arg-type]
        window = torch.zeros(1, wanted.lookback, wanted.num_variates)  # type: ignore[attr-defined]
        cost: Cost = count_cost(network, window)
        rows[label] = {
            "parameters": cost.parameters,
            "megabytes": round(cost.bytes / 1e6, 2),
            "multiply-adds of a window": cost.multiply_adds,
            "look-ups of a window": cost.look_ups,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


@st.cache_data(show_spinner="Counting look-ups…", max_entries=8)
def _occupancy(name: str, _forecaster: STanHopForecaster, _frame: pd.DataFrame) -> list[Occupancy]:
    windows = run_parts(_forecaster, _frame)["test"]
    deep = _forecaster.network_.deep
    chosen = torch.arange(min(MOST, len(windows))) * len(windows) // min(MOST, len(windows))
    with record_buckets(deep) as counts, torch.no_grad():
        for batch in chosen.split(64):
            deep(windows.gather(batch)[0])
    return occupancies(deep, counts)


def _play(name: str, forecaster: STanHopForecaster) -> None:
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
    try:
        patterns, shape = _patterns(kind, count, forecaster)
    except parts.ERRORS as error:
        st.error(str(error))
        return
    chosen = st.number_input("Which one is damaged", 1, len(patterns), 1, key="chosen") - 1
    query = damage(patterns[chosen], harm, amount)
    found = recall(patterns, query, beta=float(beta), steps=steps)
    what = f"{len(patterns)} stored, damage: {harm} {amount:g}, beta {beta}"
    if kind == IMAGES:
        parts.show(_pictures(patterns[chosen], found, shape, f"Retrieval, {what}"), "recall")
    else:
        lines = {"stored": patterns[chosen], "damaged": query}
        lines |= {one.association: one.states[-1] for one in found}
        curves = {k: (list(range(1, len(v) + 1)), v.tolist()) for k, v in lines.items()}
        title = f"Retrieval after {steps} steps, {what}"
        parts.show(curves_figure(curves, x="step", y="standardised value", title=title), "recall")
    energies = {o.association: (list(range(steps + 1)), o.energies.tolist()) for o in found}
    title = f"Energy of each association on the way, {what}"
    parts.show(curves_figure(energies, x="retrieval step", y="energy", title=title), "energy")
    table = pd.DataFrame(
        {
            "right": [o.found == chosen for o in found],
            "most like number": [o.found + 1 for o in found],
            "cosine with the stored one": [float(o.similarities[-1, chosen]) for o in found],
            "left to the no-op, first step": [o.no_op[0] for o in found],
        },
        index=[o.association for o in found],
    )
    st.dataframe(table.round(3))
    st.download_button(
        "Download the retrieval (CSV)",
        table.to_csv(),
        file_name="retrieval.csv",
        mime="text/csv",
        key="download-recall",
    )
    with st.expander("Reproduce the memory"):
        source = (
            'load_images("digits").pixels'
            if kind == IMAGES
            else "frame.iloc[:, 0].to_numpy()  # cut into windows"
        )
        st.code(
            "import torch\nfrom stanhop_app.datasets.images import load_images\n"
            "from stanhop_app.theory.recall import damage, recall, standardise\n\n"
            f"stored = torch.tensor({source}[:{count}]).float().flatten(1)\n"
            "patterns = standardise(stored)\n"
            f"query = damage(patterns[{chosen}], {harm!r}, {amount:g})\n"
            f"print(recall(patterns, query, beta={float(beta)}, steps={steps}))",
            language="python",
        )


def _patterns(
    kind: str, count: int, forecaster: STanHopForecaster
) -> tuple[torch.Tensor, tuple[int, int]]:
    """Standardised patterns (S, D), and height and width of each."""
    if kind == IMAGES:
        pixels = load_images("digits").pixels[:count, 0]
        return standardise(torch.from_numpy(pixels).float().flatten(1)), pixels.shape[1:]
    frame = parts.own_frame(forecaster)
    values = (forecaster.context_ if frame is None else frame).iloc[:, 0].to_numpy(dtype=np.float32)
    starts = np.unique(np.linspace(0, len(values) - WINDOW, count).astype(int))
    windows = torch.from_numpy(np.stack([values[i : i + WINDOW] for i in starts]))
    return standardise(windows[windows.std(1) > 0]), (1, WINDOW)


def _pictures(
    stored: torch.Tensor, found: list[Recall], shape: tuple[int, int], title: str
) -> object:
    """The stored picture, then a row of states for every association."""
    steps = len(found[0].states) - 1
    shown = sorted({0, 1, 2, steps} & set(range(steps + 1)))
    rows = [("stored", [("", stored.reshape(shape).numpy())])]
    for one in found:
        pictures = [
            ("damaged" if i == 0 else f"step {i}", one.states[i].reshape(shape).numpy())
            for i in shown
        ]
        rows.append((one.association, pictures))
    return picture_figure(rows, title=title)
