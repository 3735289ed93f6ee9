"""Attention variants side by side: errors, outliers, errors at fewer bits, cost.

The deep network does the forecasting here, without the linear part: with it, differences between variants
would be those of a small share of the forecast.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.config import STanHopConfig, default_clip
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.models.variants import parse_variant
from stanhop_app.outliers import find_modules, preset_outliers
from stanhop_app.quantization import QuantizationConfig, parse_bits
from stanhop_app.runs.measures import BITS, quantized_errors, window_outliers
from stanhop_app.studies.cells import fill, open_results, trained_cells
from stanhop_app.studies.config import ComparisonConfig as ComparisonConfig
from stanhop_app.studies.study import Study
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.folder import OUTLIERS
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OutlierLog

KIND, VERSION = "variants", 1
"""Kind and version of the results file; the version rises when cells hold something else or are
made otherwise."""
RECORDED = 512
"""Test windows, evenly spaced, over which outliers are measured."""
LOOKS = 25
"""Measurements of outliers during a training."""


def variant_network(name: str, config: ComparisonConfig) -> dict[str, Any]:
    """Fields of `STanHopConfig` of a variant (`stanhop_app.models.variants.parse_variant`)."""
    options = parse_variant(name, clip=config.clip or _clip(config), gate=config.gate)
    return {"linear_skip": False, **config.network, **options}


def _clip(config: ComparisonConfig) -> tuple[float, float]:
    network = STanHopConfig(num_variates=1, lookback=config.lookback, **config.network)
    return default_clip(network.num_patches)


def compare(
    frame: pd.DataFrame,
    config: ComparisonConfig,
    *,
    variants: Sequence[str],
    horizons: Sequence[int],
    seeds: Sequence[int],
    results: Path,
    say: Callable[[str], None] = lambda text: None,
    progress: bool | None = False,
) -> dict[str, Any]:
    """Fill the cells that are missing in a results file, and return its content.

    A cell that was interrupted goes on from its checkpoint, which lies in the folder ``<results>.cells``
    until the cell is done.

    Args:
        frame: regular frame.
        config: what is common to all cells.
        variants: names (`stanhop_app.models.variants.parse_variant`).
        horizons: steps forecast.
        seeds: of the networks.
        results: JSON file; a cell is written when it is done.
        say: told of every cell that begins.
        progress: whether to draw a bar for every training.

    Raises:
        ArtefactError: if the file holds results of other options or other data.
        OptionError: for variants that cannot be, before anything is trained.
        TrainingError: if no cell could be trained.
    """
    if not (variants and horizons and seeds):
        raise OptionError("variants, horizons and seeds must name at least one each.")
    panel = Panel.of(frame, config.split)
    data_sha256 = panel.fingerprint
    identity = {"options": asdict(config), "data_sha256": data_sha256}
    content = open_results(results, KIND, VERSION, identity)
    if "shared_by" not in content:  # a file of an older version has cells already
        there = [cell["variant"] for cell in trained_cells(content)]
        content["shared_by"] = list(dict.fromkeys(there or variants))
    study = Study(panel, config.lookback)
    for horizon in horizons:  # bad options fail before anything is trained
        if not len(study.parts(horizon)[2]):
            raise OptionError(
                f"split {config.split} has no test part, on which variants are compared."
            )
        for variant in variants:
            study.network(variant_network(variant, config), horizon, seeds[0])
    cells = [
        {"variant": variant, "horizon": horizon, "seed": seed}
        for seed in seeds
        for horizon in horizons
        for variant in variants
    ]
    return fill(
        content,
        results,
        cells,
        lambda cell, folder: _cell(study, config, cell, data_sha256, folder, progress),
        name=lambda cell: "{variant}, horizon {horizon}, seed {seed}".format(**cell),
        say=say,
    )


def _cell(
    study: Study,
    config: ComparisonConfig,
    cell: Mapping[str, Any],
    data_sha256: str,
    folder: Path | None,
    progress: bool | None,
) -> dict[str, Any]:
    """Train and measure one network; JSON values."""
    variant, horizon, seed = cell["variant"], cell["horizon"], cell["seed"]
    learn, validation, test = study.parts(horizon)
    network = study.network(variant_network(variant, config), horizon, seed)
    training = TrainingConfig(
        max_epochs=config.max_epochs,
        learning_rate=config.learning_rate,
        seed=seed,
        **config.training,
    )
    log = _log(network, learn, validation, training, folder)
    history = train(
        network.deep,
        ForecastTask(learn, validation),
        training,
        folder=folder,
        resume=True,
        identity={
            **{"variant": variant, "split": config.split, "data_sha256": data_sha256},
            **asdict(network.config),
        },
        progress=progress,
        watch=log,
    )
    report = window_outliers(network.deep, test, most=RECORDED)
    configs = [
        QuantizationConfig(weight_bits=w, activation_bits=a) for w, a in map(parse_bits, BITS)
    ]
    low_bits = quantized_errors(network, learn, test, study.scaler, configs).loc[WHOLE]
    whole = Predictor(predict=network, lookback=study.lookback)
    seen, tested = (score(whole, part, study.scaler) for part in (validation, test))
    left = [row.no_op for row in report.rows if row.no_op is not None]
    return {
        "validation_mse": seen.mse,
        "test_mse": low_bits.loc["float", "mse"],
        "test_mae": low_bits.loc["float", "mae"],
        "over_time": [round(loss, 6) for loss in in_blocks(tested.over_time, horizon)],
        "bits": {bits: low_bits.loc[bits, "mse"] for bits in BITS},
        "outliers": preset_outliers(report, network.deep),
        "modules": {
            row.module: [round(row.kurtosis, 4), round(row.max_inf_norm, 4)] for row in report.rows
        },
        "no_op": sum(left) / len(left),
        "steps": log.norms(),
        "parameters": sum(p.numel() for p in network.deep.parameters()),
        "epochs": len(history),
        "training_windows_per_second": history[-1]["samples_per_second"],
        "one_window_ms": _milliseconds(network, test),
    }


def in_blocks(losses: np.ndarray, size: int) -> list[float]:
    """Means of so many windows each, in order of time; what is left over at the end belongs to the last."""
    count = max(len(losses) // size, 1)
    edges = np.arange(count) * size
    lengths = np.diff([*edges, len(losses)])
    return [float(total) for total in np.add.reduceat(losses, edges) / lengths]


def _log(
    network: STanHopNet,
    learn: Windows,
    validation: Windows,
    training: TrainingConfig,
    folder: Path | None,
) -> OutlierLog:
    """What measures whole blocks `LOOKS` times during a training."""
    epoch = -(-len(learn) // training.batch_size)
    steps = min(training.max_epochs * epoch, training.max_steps or 10**9)
    return OutlierLog(
        validation.gather(torch.arange(min(len(validation), training.batch_size)))[0],
        max(steps // LOOKS, 1),
        modules=list(find_modules(network.deep, "layer-outputs")),
        file=None if folder is None else folder / OUTLIERS,
    )


@torch.no_grad()
def _milliseconds(network: STanHopNet, test: Windows, rounds: int = 10) -> float:
    """Least of several rounds for one window."""
    window, best = test.gather(torch.arange(1))[0], float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        network(window)
        best = min(best, time.perf_counter() - started)
    return round(1e3 * best, 3)
