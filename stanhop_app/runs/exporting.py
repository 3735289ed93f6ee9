"""Export a fitted forecaster, checked against itself before it is accepted."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from stanhop_app.data.windows import Windows
from stanhop_app.errors import ConversionError, ExportError, OptionError
from stanhop_app.files import hashed_name, is_hashed, is_part, sha256, write_atomic
from stanhop_app.forecasting.outlook.keeping import outlook_arrays, outlook_as_json
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.runs.carrying import write_intervals
from stanhop_app.runs.config import EXPORTS, ExportConfig
from stanhop_app.runs.exported import (
    BESIDE,
    CONTEXT,
    INTERVALS,
    ExportedForecaster,
)
from stanhop_app.runs.measures import calibration_batches
from stanhop_app.runs.onnx import INPUT, explain_failure, export_onnx, export_program, quantize_onnx
from stanhop_app.runs.parity import (
    Inputs,
    accept,
    beside_of,
    difference,
    eager,
    errors,
    example,
    milliseconds,
)
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

SCRATCH = ".export-"
"""Beginning of the name of the folder in which an export is made; a kill may leave one."""
FLOAT = "float.onnx"
"""What int8 is made from; it is timed beside it, and not kept."""


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
        scratch, inputs = Path(name), example(fitted)
        layers = _convert(fitted.forecasting, scratch, to, inputs, parts)
        exported = _finish(run, scratch, to)
        differs = difference(fitted.forecasting, exported, inputs)
        missed = {
            part: errors(run, exported, windows)
            for part, windows in parts.items()
            if part != "train" and len(windows)
        }
        accept(to, differs, missed)
        predictors = {"PyTorch": eager(fitted.forecasting), "export": exported.predict_windows}
        if to == "onnx-int8":
            predictors["float ONNX"] = onnx_session(scratch / FLOAT)
        times = milliseconds(predictors, inputs)
        _move(scratch, folder, to)
    return ExportReport(
        kind=to,
        difference=differs,
        errors=missed,
        milliseconds=times,
        layers=layers,
    )


def _convert(
    network: STanHopNet, scratch: Path, to: str, example: Inputs, parts: Mapping[str, Windows]
) -> int:
    """Write the model; how many layers are in int8."""
    path = scratch / (FLOAT if to == "onnx-int8" else EXPORTS[to])
    try:
        if to == "torch-export":
            export_program(network, path=path, example=example["x"], **beside_of(example))
            return 0
        export_onnx(network, path=path, example=example["x"], **beside_of(example))
    except ConversionError as error:
        raise ExportError(explain_failure(network.config, to, str(error))) from error
    if to == "onnx":
        return 0
    batches = [
        {INPUT if name == "x" else name: batch[name].numpy() for name in example}
        for batch in calibration_batches(parts["train"])
    ]
    return quantize_onnx(path, scratch / EXPORTS[to], batches)


def _move(scratch: Path, folder: Path, to: str) -> None:
    """Put the files of an accepted export beside the old ones, then replace ``config.json``."""
    names = [_hashed(scratch, name) for name in _written(scratch, to)]
    for name in (*names, CONFIG):
        (scratch / name).replace(folder / name)
    keep_only(folder, names)


def _written(scratch: Path, to: str) -> list[str]:
    """Names of the files that stand beside ``config.json``."""
    beside = [name for name in (BESIDE, INTERVALS) if (scratch / name).exists()]
    return [EXPORTS[to], CONTEXT, *beside]


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
    names = (CONTEXT, BESIDE, INTERVALS, *EXPORTS.values())
    known = {e for e in there if e in (CONFIG, *names) or any(is_hashed(e, n) for n in names)}
    if there - known - left:
        raise OptionError(f"{folder}: holds other files; choose another --output.")
    if CONFIG in there and not force:
        raise OptionError(f"{folder}: exists; choose another --output, or --force.")


def _finish(run: Run, folder: Path, to: str) -> ExportedForecaster:
    """Write what stands beside the model, and read all of it back."""
    fitted, outlook = run.fitted, run.fitted.outlook.shortened()
    context = outlook.rows.to_numpy(dtype=np.float64)

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            np.save(stream, context, allow_pickle=False)

    write_atomic(folder / CONTEXT, write)
    if arrays := outlook_arrays(outlook):
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        write_atomic(folder / BESIDE, lambda file: file.write_bytes(content))
    write_intervals(fitted, folder / INTERVALS)
    config: dict[str, Any] = {
        "format": EXPORT,
        "format_version": max(FORMATS[EXPORT]),
        "package_version": __version__,
        "kind": to,
        **outlook_as_json(outlook),
        "holes": outlook.holes,
        "seen": fitted.seen,
        "parameters": {
            "horizon": fitted.horizon,
            "lookback": fitted.lookback,
            "association": fitted.network.config.association,
            "split": fitted.split,
            "reading": run.forecaster.kept_reading(),
        },
        "source": dict(run.source) or None,
        "sha256": {name: sha256(folder / name) for name in _written(folder, to)},
    }
    write_config(folder, config)
    return ExportedForecaster.load(folder, trust=True)  # it was made here
