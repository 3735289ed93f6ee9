"""Tensors in files: atomic, without pickle.

A checkpoint and an artefact both hold their tensors as safetensors, whose header carries JSON.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import read_plain, to_json, write_atomic, write_hashed

FILLING = ("normal_", "uniform_", "constant_", "zeros_", "ones_", "fill_", "zero_", "mul_")
"""Functions that give a tensor its first values in place; `torch.nn.init` and networks call no others."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header as one safetensors file, atomically, with their checksum in it.

    Raises:
        StorageError: if it cannot be written; what was there is kept.
    """
    write_atomic(path, _writer(tensors, header))


def save_hashed(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """As `save_tensors`, under a name that says what is in it (`write_hashed`); its SHA-256."""
    return write_hashed(path, _writer(tensors, header))


def _writer(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Callable[[Path], object]:
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = to_json(header)
    # One key: the order of several is left to chance, and a seed fixes files to the bit.
    metadata = {"header": to_json({"content": header, "sha256": _digest(content, text)})}

    # Not `save_file`, which has temporary files of its own that a kill leaves.
    return lambda file: file.write_bytes(save(content, metadata=metadata))


def _digest(tensors: Mapping[str, Tensor], header: str) -> str:
    """SHA-256 of names, types, shapes and values, and of the header."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_tensors(
    path: Path, *, sha256: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote, onto the CPU.

    Args:
        path: the file.
        sha256: what its checksum must be; None: only the one that it holds is compared.

    Raises:
        FileNotFoundError: if there is no such file and ``sha256`` is given, so that a caller can look again.
        ArtefactError: if the file is missing or damaged.
    """
    try:
        content = read_plain(path)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ArtefactError(f"{path}: checksum does not match config.json; it is damaged.")
        metadata = _metadata(content)
        # In memory of their own: where in a file a tensor lies must not change the last bit of a product.
        tensors = {name: tensor.clone() for name, tensor in load(content).items()}
        header = json.loads(metadata.get("header", "{}"))
        if header.keys() != {"content", "sha256"}:  # of an older version, without a checksum
            return tensors, header
        if _digest(tensors, to_json(header["content"])) != header["sha256"]:
            raise ArtefactError(f"{path}: damaged (its checksum does not match its content).")
        return tensors, header["content"]
    except ArtefactError:
        raise
    except FileNotFoundError:
        if sha256 is not None:
            raise
        raise ArtefactError(f"{path}: no such file.") from None
    except (safetensors.SafetensorError, OSError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged ({error}).") from None


def _metadata(content: bytes) -> dict[str, str]:
    """What stands beside the tensors in a safetensors file: its first 8 bytes say how long its header is."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise OptionError("its metadata is no mapping")
    return metadata


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix.`` before every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with ``prefix.``, by the rest of their name."""
    start = prefix + "."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as named tensors: ``0.exp_avg``, ``0.step``, ..."""
    state = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": torch.as_tensor(value)
        for parameter, values in state.items()
        for name, value in values.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that `optimizer_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, key = name.split(".", 1)
        state.setdefault(int(parameter), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are that are filled in place, and draws none."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function.__name__
        if name == "randn":
            return torch.empty(*args, **kwargs)
        if name in FILLING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Networks made here have shapes alone and take no memory; `load_weights` gives them what they lack.

    On torch's meta device, without its random numbers: there these are written in Python, and import the
    compiler or SymPy, which was half a second and more of every command that opens a run.
    """
    with torch.device("meta"), _Undrawn():
        yield


def load_weights(
    model: nn.Module, tensors: Mapping[str, Tensor], name: str, *, assign: bool = False
) -> None:
    """Load weights into a model; ``assign`` takes the tensors themselves, for a model on "meta".

    Raises:
        ArtefactError: if names or shapes do not fit, naming the first.
    """
    try:
        model.load_state_dict(dict(tensors), strict=True, assign=assign)
    except RuntimeError as error:
        raise ArtefactError(f"{name}: weights do not fit the network ({error}).") from None
