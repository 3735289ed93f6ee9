"""Tensors in files: atomic, without pickle.

A checkpoint and an artefact both hold their tensors as safetensors, whose header carries JSON.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stanhop_app.errors import ArtefactError
from stanhop_app.files import to_json, write_atomic


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header as one safetensors file, atomically."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"header": to_json(header)}
    write_atomic(path, lambda file: save_file(content, file, metadata=metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote, onto the CPU.

    Raises:
        ArtefactError: if the file is missing or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
        # In memory of their own: where in a file a tensor lies must not change the last bit of a product.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}, header
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file.") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path}: damaged ({error}).") from None


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
