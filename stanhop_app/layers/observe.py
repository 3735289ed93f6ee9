"""Look at modules while they run. Whatever watches forward passes does it through `hooked`."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.layers.retrieval import Retrieval, associate

Watcher = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
"""Given a module, its arguments, its named arguments and its output."""


@contextlib.contextmanager
def hooked(
    watchers: Iterable[tuple[nn.Module, Watcher]], *, before: bool = False
) -> Iterator[None]:
    """Call watchers at every forward pass of their modules while the context is open.

    Args:
        watchers: pairs of a module and what is called for it.
        before: whether they are called before the pass; their output is None then.
    """

    def ahead(watch: Watcher) -> Callable[..., None]:
        return lambda module, given, named: watch(module, given, named, None)

    def after(watch: Watcher) -> Callable[..., None]:
        return lambda module, given, named, output: watch(module, given, named, output)

    handles = [
        module.register_forward_pre_hook(ahead(watch), with_kwargs=True)
        if before
        else module.register_forward_hook(after(watch), with_kwargs=True)
        for module, watch in watchers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def record_weights(module: nn.Module) -> Iterator[dict[str, Float[Tensor, "B H L S"]]]:
    """Keep the weights of every retrieval of the latest call, while the context is open.

    Yields:
        By name of the `Hopfield` layer, (B, H, L, S) on the CPU; filled as the module is called. What
        the rows leave to 1 went to the no-op.
    """
    weights: dict[str, Tensor] = {}

    def keeper(name: str) -> Watcher:
        @torch.no_grad()
        def keep(layer: nn.Module, given: Any, named: dict[str, Any], output: Any) -> None:
            options = {**named, "return_weights": True, "dropout_p": 0.0}
            weights[name] = associate(*given, **options)[1].cpu()

        return keep

    retrievals = ((n, part) for n, part in module.named_modules() if isinstance(part, Retrieval))
    with hooked((part, keeper(name.rpartition(".")[0])) for name, part in retrievals):
        yield weights
