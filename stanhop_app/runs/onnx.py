"""Networks as files that run elsewhere: ONNX, ONNX in int8, and torch.export.

Every file takes batches of any size: dimension 0 is free. Parity is the caller's to check; see
`stanhop_app.runs.exporting` for the forecaster. ONNX needs the extra ``export``.
"""

import contextlib
import inspect
import io
import logging
from ast import literal_eval
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stanhop_app.errors import ConversionError, ExportError, warnings_as
from stanhop_app.files import write_atomic
from stanhop_app.models.config import FLOAT_PARTS, STanHopConfig

INPUT, OUTPUT = "window", "forecast"
"""Names of the first input and the one output of an ONNX file."""


def export_onnx(model: nn.Module, example: Tensor, path: Path, **beside: Tensor) -> None:
    """Write a model as ONNX, in float32, in one file.

    Args:
        model: takes tensors and returns one.
        example: its first input, of at least two samples; the first dimension becomes free.
        path: file to write, atomically.
        **beside: its further inputs by keyword, under whose names the file takes them.

    Raises:
        ExportError: if the extra is missing or the model cannot be expressed in ONNX.
    """
    _need("onnxscript")
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                model.eval(),
                (example,),
                kwargs=beside,
                dynamo=True,
                input_names=[INPUT, *beside],
                output_names=[OUTPUT],
                dynamic_shapes=_free(model, beside),
                verbose=False,
            )
        except Exception as error:  # the exporter raises whatever the model made it stumble over
            raise ConversionError(f"cannot be expressed in ONNX ({_first_line(error)})") from error
        assert program is not None
        write_atomic(path, lambda file: program.save(file))


def export_program(model: nn.Module, example: Tensor, path: Path, **beside: Tensor) -> None:
    """Write a model as a torch.export archive (.pt2); arguments as of `export_onnx`.

    The example input, which PyTorch would pickle into the archive, is left out.
    """
    with _quiet(), torch.no_grad():
        try:
            program = torch.export.export(
                model.eval(), (example,), kwargs=beside, dynamic_shapes=_free(model, beside)
            )
        except Exception as error:
            raise ConversionError(f"cannot be exported by torch ({_first_line(error)})") from error
        program._example_inputs = None
        # In memory first: where a disk is full, torch's own writer ends in a trace or ends the process.
        archive = io.BytesIO()
        torch.export.save(program, archive)
        write_atomic(path, lambda file: file.write_bytes(archive.getvalue()))


def _free(model: nn.Module, beside: Mapping[str, Tensor]) -> dict[str, dict[int, Any]]:
    """The leading dimension of every input, which is free."""
    first, *_ = inspect.signature(model.forward).parameters
    batch = torch.export.Dim("batch")
    return {name: {0: batch} for name in (first, *beside)}


def quantize_onnx(
    source: Path, target: Path, calibration: Iterable[Mapping[str, np.ndarray]]
) -> int:
    """Write an ONNX model with its linear layers in static int8 (ONNX Runtime, QDQ).

    Weights are int8, symmetric, a scale per output channel; activations uint8 with the range that the
    calibration data showed. Heads, gates and products of two activations stay in float.

    Args:
        source: what `export_onnx` wrote.
        target: file to write, atomically.
        calibration: inputs by name, of training data.

    Returns:
        How many layers are in int8.

    Raises:
        ExportError: if the extra is missing, there is no calibration data or no layer to quantise.
    """
    _need("onnxruntime")
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load(source)
    names = _linear_nodes(model)
    if not names:
        raise ExportError("the network has no linear layer that could be in int8.")
    reader = _Reader(calibration)
    if reader.empty:
        raise ExportError("int8 cannot be calibrated without data.")
    with _quiet():
        write_atomic(
            target,
            lambda file: quantize_static(
                source,
                file,
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=names,
            ),
        )
    return len(names)


def _linear_nodes(model: Any) -> list[str]:
    """Products with a constant matrix, outside of what stays in float."""
    constants = {i.name for i in model.graph.initializer if len(i.dims) == 2}
    names = []
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            continue
        kept = {part for scope in _scopes(node) for part in scope.split(".")} & set(FLOAT_PARTS)
        if not kept:
            names.append(node.name)
    return names


def _scopes(node: Any) -> list[str]:
    """Names of the modules that a node came from."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            return [str(scope) for scope in literal_eval(entry.value)]
    return []


class _Reader:
    """Calibration data in the form that ONNX Runtime asks for."""

    def __init__(self, batches: Iterable[Mapping[str, np.ndarray]]):
        self.batches = [
            {n: np.ascontiguousarray(array, dtype=np.float32) for n, array in batch.items()}
            for batch in batches
        ]
        self.empty, self.next = not self.batches, iter(self.batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or None after the last."""
        return next(self.next, None)


def _need(package: str) -> None:
    try:
        __import__(package)
    except ImportError:
        raise ExportError(
            f"the export needs {package}, which is not installed: pip install 'stanhop-app[export]'"
        ) from None


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings, log lines and prints of the exporters to themselves: errors are raised."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings_as("ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(level)


def explain_failure(config: STanHopConfig, to: str, reason: str) -> str:
    """What could not be exported, and what to do."""
    what = f"association {config.association!r}"
    other = "association softmax1, softmax, sparsemax or entmax15"
    if "memory" in (config.feed_forward, config.projection):
        what += " with memory layers"
        other += ", or dense layers"
    hint = f"train with {other}"
    if to != "torch-export":
        hint = f"try --to torch-export, or {hint}"
    return f"a network of {what} {reason}; {hint}."
