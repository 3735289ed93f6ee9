"""Export a fitted forecaster, checked against itself before it is accepted."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.context import stamp
from stanhop_app.data.windows import Windows
from stanhop_app.errors import ConversionError, ExportError, OptionError
from stanhop_app.files import hashed_name, is_hashed, is_part, sha256, write_atomic
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.outlook.rolling import Predict
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.runs.carrying import write_intervals
from stanhop_app.runs.config import EXPORTS, ExportConfig
from stanhop_app.runs.exported import (
    CONTEXT,
    INTERVALS,
    ExportedForecaster,
)
from stanhop_app.runs.measures import calibration_batches
from stanhop_app.runs.onnx import explain_failure, export_onnx, export_program, quantize_onnx
from stanhop_app.runs.run import Run
from stanhop_app.runs.session import onnx_session
from stanhop_app.training.folder import (
    CONFIG,
    EXPORT,
    FORMATS,
    WRITER,
    keep_only,
    write_config,
    writing,
)
from stanhop_app.version import __version__

LARGEST_DIFFERENCE = 1e-4
"""Largest difference of a float export from the network, relative to the largest value forecast."""
LARGEST_LOSS = 0.01
"""Share by which the validation error of an int8 export may exceed that of the network."""
SCRATCH = ".export-"
"""Beginning of the name of the folder in which an export is made; a kill may leave one."""
FLOAT = "float.onnx"
"""What int8 is made from; it is timed beside it, and not kept."""
BATCHES = (1, 64)
"""Sizes of batches whose latency is measured."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was checked before an export was accepted."""

    kind: str
    difference: float
    """Largest difference from the network's forecasts, relative to the largest value forecast."""
    errors: dict[str, dict[str, float]]
    """Mean squared error by part ("validation", "test") of the network and the export; empty without data."""
    milliseconds: dict[str, dict[str, float]]
    """Least of several rounds in turn, by batch size, of PyTorch, the export and, beside int8, float ONNX."""
    layers: int
    """Linear layers in int8."""


def export_run(run: Run, folder: Path, *, to: str, force: bool = False) -> ExportReport:
    """Write an exported folder, from which `ExportedForecaster` and ``stanhop forecast`` forecast.

    Args:
        run: with the table of its training where there is one. "onnx-int8" needs it: it is calibrated on
            training windows, and refused if its error on validation windows is more than 1% above the
            network's.
        folder: made if need be; holds ``config.json``, the model and the last rows of the history.
        to: "onnx", "onnx-int8" or "torch-export".
        force: overwrite an earlier export.

    Raises:
        ExportError: if the network cannot be exported so, or the export's forecasts are not the network's.
        OptionError: for an unknown kind, or if the folder may not be written.
        DataError: if the table is not that of the training.
    """
    ExportConfig(to=to)
    network = run.fitted.network.config
    if run.fitted.series is not None or network.holes or run.fitted.known is not None:
        raise OptionError(
            "runs of many series, with covariates and of --missing mask cannot be exported."
        )
    if to == "onnx-int8" and run.panel is None:
        raise OptionError(
            "onnx-int8 is calibrated on training rows: give the table of the training."
        )
    _check_folder(folder, force)
    parts = {} if run.panel is None else run.parts
    made = not folder.exists()
    try:
        with writing(folder):
            return _export(run, folder, to, parts)
    except BaseException:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _export(run: Run, folder: Path, to: str, parts: Mapping[str, Windows]) -> ExportReport:
    """Make an export beside the one that may be there, judge it, and let it count."""
    fitted = run.fitted
    for left in folder.glob(f"{SCRATCH}*"):  # by a kill
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as name:
        scratch, window = Path(name), _window(fitted)
        layers = _convert(fitted.forecasting, scratch, to, window, parts)
        exported = _finish(run, scratch, to)
        difference = _difference(fitted.forecasting, exported, window)
        errors = {
            part: _errors(fitted, exported, windows)
            for part, windows in parts.items()
            if part != "train" and len(windows)
        }
        _accept(to, difference, errors)
        predictors = {"PyTorch": _eager(fitted.forecasting), "export": exported.predict_windows}
        if to == "onnx-int8":
            predictors["float ONNX"] = onnx_session(scratch / FLOAT)
        milliseconds = _milliseconds(predictors, window.numpy()[:1])
        _move(scratch, folder, to)
    return ExportReport(
        kind=to,
        difference=difference,
        errors=errors,
        milliseconds=milliseconds,
        layers=layers,
    )


def _convert(
    network: STanHopNet, scratch: Path, to: str, window: Tensor, parts: Mapping[str, Windows]
) -> int:
    """Write the model; how many layers are in int8."""
    path = scratch / (FLOAT if to == "onnx-int8" else EXPORTS[to])
    try:
        if to == "torch-export":
            export_program(network, window, path)
            return 0
        export_onnx(network, window, path)
    except ConversionError as error:
        raise ExportError(explain_failure(network.config, to, str(error))) from error
    if to == "onnx":
        return 0
    batches = [batch.numpy() for batch in calibration_batches(parts["train"])]
    return quantize_onnx(path, scratch / EXPORTS[to], batches)


def _move(scratch: Path, folder: Path, to: str) -> None:
    """Put the files of an accepted export beside the old ones, then replace ``config.json``."""
    names = [_hashed(scratch, name) for name in _written(scratch, to)]
    for name in (*names, CONFIG):
        (scratch / name).replace(folder / name)
    keep_only(folder, names)


def _written(scratch: Path, to: str) -> list[str]:
    """Names of the files that stand beside ``config.json``."""
    return [EXPORTS[to], CONTEXT, *([INTERVALS] if (scratch / INTERVALS).exists() else [])]


def _hashed(scratch: Path, name: str) -> str:
    """Name a file after its content."""
    hashed = hashed_name(name, sha256(scratch / name))
    (scratch / name).replace(scratch / hashed)
    return hashed


def _check_folder(folder: Path, force: bool) -> None:
    if folder.is_file():
        raise OptionError(f"{folder}: is a file; choose another --output.")
    there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    left = {e for e in there if is_part(e) or e.startswith(SCRATCH) or e == WRITER}
    names = (CONTEXT, INTERVALS, *EXPORTS.values())
    known = {e for e in there if e in (CONFIG, *names) or any(is_hashed(e, n) for n in names)}
    if there - known - left:
        raise OptionError(f"{folder}: holds other files; choose another --output.")
    if CONFIG in there and not force:
        raise OptionError(f"{folder}: exists; choose another --output, or --force.")


def _window(fitted: Fitted) -> Tensor:
    """Two windows: the last rows of the history, and the same disturbed."""
    rows = fitted.context.to_numpy(dtype=np.float64)
    window = torch.from_numpy(fitted.scaler.transform(rows))
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(0))
    return torch.stack([window, window + 0.1 * noise])


def _finish(run: Run, folder: Path, to: str) -> ExportedForecaster:
    """Write what stands beside the model, and read all of it back."""
    fitted, forecaster = run.fitted, run.forecaster
    context = fitted.context.to_numpy(dtype=np.float64)

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            np.save(stream, context, allow_pickle=False)

    write_atomic(folder / CONTEXT, write)
    write_intervals(fitted, folder / INTERVALS)
    config: dict[str, Any] = {
        "format": EXPORT,
        "format_version": max(FORMATS[EXPORT]),
        "package_version": __version__,
        "kind": to,
        "columns": fitted.columns,
        "frequency": fitted.frequency,
        "seen": fitted.seen,
        "context_end": stamp(fitted.context),
        "scaler": {"mean": fitted.scaler.mean, "scale": fitted.scaler.scale},
        "parameters": {
            "horizon": fitted.horizon,
            "lookback": fitted.lookback,
            "association": fitted.network.config.association,
            "split": fitted.split,
            "missing": forecaster.missing,
        },
        "source": dict(run.source) or None,
        "sha256": {name: sha256(folder / name) for name in _written(folder, to)},
    }
    write_config(folder, config)
    return ExportedForecaster.load(folder, trust=True)  # it was made here


def _difference(network: STanHopNet, exported: ExportedForecaster, window: Tensor) -> float:
    """Largest relative difference over batches of 1, 2 and 5 windows; infinite if it gives no number."""
    differences = []
    for batch in (window[:1], window, window.repeat(3, 1, 1)[:5]):
        with torch.no_grad():
            wanted = network(batch).numpy()
        forecast = exported.predict_windows(batch.numpy())
        if not np.isfinite(forecast).all():
            return float("inf")
        largest = max(float(np.abs(wanted).max()), float(np.finfo(np.float32).tiny))
        differences.append(float(np.abs(forecast - wanted).max()) / largest)
    return max(differences)


def _errors(fitted: Fitted, exported: ExportedForecaster, windows: Windows) -> dict[str, float]:
    predictors: dict[str, Callable[[Tensor], Tensor]] = {
        "network": fitted.forecasting,
        "export": lambda x: torch.from_numpy(exported.predict_windows(x.numpy())),
    }
    return {
        name: score(
            Predictor(predict=predict, lookback=fitted.lookback), windows, fitted.scaler
        ).mse
        for name, predict in predictors.items()
    }


def _accept(to: str, difference: float, errors: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse an export that is not the network."""
    if to != "onnx-int8":
        if difference <= LARGEST_DIFFERENCE:
            return
        reason = f"its forecasts differ by {difference:.1e} of the largest value"
    else:
        mse = errors["validation"]
        if mse["export"] <= (1 + LARGEST_LOSS) * mse["network"]:
            return
        reason = (
            f"its error on validation windows is {mse['export']:.5f}, more than {LARGEST_LOSS:.0%} above "
            f"the network's {mse['network']:.5f}"
        )
    raise ExportError(f"the export was refused: {reason}; try another --to.")


def _eager(network: STanHopNet) -> Predict:
    def predict(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            forecast: np.ndarray = network(torch.from_numpy(windows)).numpy()
        return forecast

    return predict


def _milliseconds(
    predictors: Mapping[str, Predict], window: np.ndarray, rounds: int = 12
) -> dict[str, dict[str, float]]:
    times: dict[str, dict[str, float]] = {}
    for size in BATCHES:
        windows, best = window.repeat(size, axis=0), dict.fromkeys(predictors, float("inf"))
        for _ in range(rounds):
            for name, predict in predictors.items():
                started = time.perf_counter()
                predict(windows)
                best[name] = min(best[name], time.perf_counter() - started)
        times[str(size)] = {name: round(1e3 * seconds, 3) for name, seconds in best.items()}
    return times
