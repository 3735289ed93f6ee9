"""Look at the weights of retrievals while a module runs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.layers.retrieval import Retrieval, associate


@contextlib.contextmanager
def record_weights(module: nn.Module) -> Iterator[dict[str, Float[Tensor, "B H L S"]]]:
    """Keep the weights of every retrieval of the latest call, while the context is open.

    Yields:
        By name of the `Hopfield` layer, (B, H, L, S) on the CPU; filled as the module is called. What
        the rows leave to 1 went to the no-op.
    """
    found: dict[str, Tensor] = {}
    handles = []

    def hook(name: str) -> Any:
        @torch.no_grad()
        def keep(layer: nn.Module, given: Any, named: dict[str, Any], output: Tensor) -> None:
            options = {**named, "return_weights": True, "dropout_p": 0.0}
            found[name] = associate(*given, **options)[1].cpu()

        return keep

    for name, part in module.named_modules():
        if isinstance(part, Retrieval):
            owner = name.rpartition(".")[0]
            handles.append(part.register_forward_hook(hook(owner), with_kwargs=True))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
