"""Dense against memory feed-forward networks and projections, and MemoryFormer's ablations at our scale."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.combination import join
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.fitted import DEEP, WHOLE
from stanhop_app.forecasting.linear.fit import LinearFit, fit_linear
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.layers.block import CrossBlock, STanHopBlock
from stanhop_app.layers.memory import MemoryBlock
from stanhop_app.layers.memory_cost import count_cost
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.runs.measures import window_occupancy
from stanhop_app.studies.cells import Cell, fill, keep, open_results
from stanhop_app.studies.study import Study
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.loop import train

KIND, VERSION = "memory", 2
"""Kind and version of the results file; the version rises when cells hold something else or are
made otherwise."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to build and train the network; what is not named is the default."""

    network: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `STanHopConfig`."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingConfig`."""
    gelu: bool = False
    """Whether GELU stands between the two layers of every memory block."""
    norms: bool = True
    """Whether LayerNorm stands before every hash of the feed-forward networks."""


DENSE, MEMORY = "dense", "memory feed-forward"
KINDS = {
    DENSE: Variant(),
    MEMORY: Variant(network={"feed_forward": "memory"}),
    "memory projections": Variant(network={"projection": "memory"}),
    "both": Variant(network={"feed_forward": "memory", "projection": "memory"}),
}
"""The main comparison: every horizon and seed."""


def _memory(network: Mapping[str, Any] | None = None, **rest: Any) -> Variant:
    return Variant(network={"feed_forward": "memory", **(network or {})}, **rest)


ABLATIONS = {
    "norm before the hash": {"no": _memory(norms=False)},
    "bits": {str(b): _memory({"bits": b}) for b in (2, 6, 8)},
    "learning rate": {
        f"{rate:g}": _memory(training={"learning_rate": rate}) for rate in (1e-3, 2e-3, 4e-3)
    },
    "expand bits": {str(b): _memory({"expand_bits": b}) for b in (0, 1, 3)},
    "learning rate, dense": {"0.001": Variant(training={"learning_rate": 1e-3})},
    "GELU between the layers": {"yes": _memory(gelu=True)},
}
"""Trials of memory feed-forward networks at the first horizon and seed: the paper's tables 3 to 6
and its norm."""
DEFAULTS = {
    "bits": str(STanHopConfig.bits),
    "expand bits": str(STanHopConfig.expand_bits),
    "GELU between the layers": "no",
    "norm before the hash": "yes",
}
"""What the main comparison has; its learning rate is an option."""


def compare_memory(
    frame: pd.DataFrame,
    *,
    horizons: Sequence[int],
    seeds: Sequence[int],
    split: str,
    lookback: int,
    max_epochs: int,
    learning_rate: float,
    ablations: bool,
    results: Path,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells that are missing in a results file, and return its content.

    Args:
        frame: regular frame.
        horizons: of the main comparison; ablations use the first.
        seeds: of the main comparison; ablations use the first.
        split: by name or ratio.
        lookback: time steps read.
        max_epochs: passes over the training windows.
        learning_rate: of every cell but the ablations of the learning rate.
        ablations: whether to run `ABLATIONS` too.
        results: JSON file; a cell is written when it is done, so that all can be interrupted.
        say: told of every cell that begins.

    Raises:
        ArtefactError: if the file holds results of other options or other data.
    """
    options = {
        "split": split,
        "lookback": lookback,
        "max_epochs": max_epochs,
        "learning_rate": learning_rate,
    }
    panel = Panel.of(frame, split)
    identity = {"options": options, "data_sha256": panel.fingerprint}
    content = open_results(results, KIND, VERSION, identity)
    if not horizons or not seeds:
        raise OptionError("horizons and seeds must name at least one number each.")
    study = _Study(panel, lookback)
    for horizon in horizons:  # bad options fail before anything is trained
        study.build(Variant(), horizon, seeds[0])
        study.parts(horizon)
    main = [(k, v, h, s) for s in seeds for h in horizons for k, v in KINDS.items()]
    cells = [cell for cell in main if cell[0] in (DENSE, MEMORY) or cell[3] == seeds[0]]
    if ablations:
        cells += [
            (f"{option}: {value}", variant, horizons[0], seeds[0])
            for option, variants in ABLATIONS.items()
            for value, variant in variants.items()
            if variant.training.get("learning_rate") != learning_rate
        ]
    cells += [cell for cell in main if cell not in cells]
    if "speed" not in content:
        say("speed")
        content["speed"] = speed({k: study.build(v, horizons[0], 0) for k, v in KINDS.items()})
        keep(content, results)
    variants = {name: variant for name, variant, _, _ in cells}

    def make(cell: Cell, folder: Path | None) -> dict[str, Any]:
        variant = variants[cell["variant"]]
        common = {"max_epochs": max_epochs, "learning_rate": learning_rate, "seed": cell["seed"]}
        training = TrainingConfig(**{**common, **variant.training})
        return study.fit(variant, cell["horizon"], training, folder)

    return fill(
        content,
        results,
        [{"variant": name, "horizon": h, "seed": s} for name, _, h, s in cells],
        make,
        name=lambda cell: "{variant}, horizon {horizon}, seed {seed}".format(**cell),
        say=say,
    )


class _Study(Study):
    """What a horizon's variants share: windows and linear parts."""

    def __init__(self, panel: Panel, lookback: int):
        super().__init__(panel, lookback)
        self.linear: dict[int, list[LinearFit]] = {}

    def build(self, variant: Variant, horizon: int, seed: int) -> STanHopNet:
        """The untrained network of a variant."""
        network = self.network(variant.network, horizon, seed)
        if variant.gelu:
            for block in _all(network, MemoryBlock):
                block.activation = nn.GELU()
        if not variant.norms:
            remove_norms(network)
        return network

    def fit(
        self, variant: Variant, horizon: int, training: TrainingConfig, folder: Path | None
    ) -> dict[str, Any]:
        """Train one variant; errors, costs and occupancy of its buckets, as JSON values."""
        learn, validation, test = self.parts(horizon)
        network = self.build(variant, horizon, training.seed)
        history = train(
            network.deep,
            ForecastTask(learn, validation),
            training,
            folder=folder,
            resume=True,
            identity={
                **asdict(network.config),
                "variant": [variant.gelu, variant.norms],
                "data_sha256": self.panel.fingerprint,
            },
        )
        if horizon not in self.linear:
            self.linear[horizon] = fit_linear(learn, validation)
        combination = join(network, self.linear[horizon], validation)
        errors = {}
        for label, model in ((WHOLE, network), (DEEP, network.deep)):
            for part, windows in (("validation", validation), ("test", test)):
                scores = score(
                    Predictor(predict=model, lookback=self.lookback), windows, self.scaler
                )
                errors[f"{label} {part}"] = {"mse": scores.mse, "mae": scores.mae}
        window, _ = test.gather(torch.arange(1))
        cost = count_cost(network.deep, window)
        feed = _feed_forwards(network)
        return {
            "errors": errors,
            "rules": list(combination.rules),
            "epochs": len(history),
            "training_windows_per_second": history[-1]["samples_per_second"],
            "parameters": cost.parameters,
            "bytes": cost.bytes,
            "multiply_adds": cost.multiply_adds,
            "feed_forward_multiply_adds": sum(
                count_cost(f, torch.zeros(1, network.config.dim)).multiply_adds for f in feed
            )
            // len(feed),
            "occupancy": _occupancy(network.deep, test),
        }


def remove_norms(network: nn.Module) -> None:
    """Take away, in place, every norm that stands before the hash of a feed-forward network."""
    for block in _all(network, STanHopBlock):
        block.time_feed_norm = block.series_feed_norm = nn.Identity()
    for block in _all(network, CrossBlock):
        block.feed_norm = nn.Identity()
    for block in _all(network, MemoryBlock):
        block.inner_norm = nn.Identity()


def _feed_forwards(network: nn.Module) -> list[nn.Module]:
    feeds = []
    for block in _all(network, STanHopBlock):
        feeds += [block.time_feed, block.series_feed]
    return feeds + [block.feed for block in _all(network, CrossBlock)]


def _all(network: nn.Module, kind: Any) -> Iterable[Any]:
    return (module for module in network.modules() if isinstance(module, kind))


@torch.no_grad()
def _occupancy(network: nn.Module, windows: Windows) -> list[dict[str, Any]]:
    """What `occupancies` says of every table over all windows; hits of each layer's first and last."""
    occupied = window_occupancy(network, windows)
    last = {o.layer: o.table for o in occupied}
    return [
        {
            "layer": o.layer,
            "table": o.table,
            "buckets": len(o.hits),
            "dead": o.dead,
            "entropy": o.entropy,
            "peak": o.peak,
            "hits": list(o.hits) if o.table in (0, last[o.layer]) else None,
        }
        for o in occupied
    ]


def speed(networks: Mapping[str, STanHopNet], rounds: int = 15) -> dict[str, dict[str, float]]:
    """Least milliseconds over rounds in which the deep parts take turns.

    For each: a forecast of one window, of 256 windows, and a training step (forward and backward) of 64.
    """
    best = {name: [float("inf")] * 3 for name in networks}
    for _ in range(rounds):
        for name, network in networks.items():
            config, deep = network.config, network.deep
            for i, (batch, training) in enumerate(((1, False), (256, False), (64, True))):
                x = torch.randn(batch, config.lookback, config.num_variates)
                deep.train(training)
                with torch.set_grad_enabled(training):
                    started = time.perf_counter()
                    out: Tensor = deep(x)
                    if training:
                        torch.autograd.grad(out.square().mean(), list(deep.parameters()))
                    best[name][i] = min(best[name][i], time.perf_counter() - started)
    return {
        name: {
            "one_window_ms": round(1e3 * one, 3),
            "windows_per_second": round(256 / many, 1),
            "training_step_ms": round(1e3 * step, 2),
        }
        for name, (one, many, step) in best.items()
    }
