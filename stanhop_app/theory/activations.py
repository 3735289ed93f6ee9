"""What a layer makes of samples."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.observe import hooked


@torch.no_grad()
def activations(
    model: nn.Module, inputs: Tensor, layer: str, *, batch_size: int = 64
) -> Float[Tensor, "N D"]:
    """Output of a module for every sample, the mean over all but its first and last dimension.

    Args:
        model: called with the inputs in evaluation mode.
        inputs: (N, ...).
        layer: name of a module whose output has one entry a sample.
        batch_size: samples at a time.

    Raises:
        OptionError: if there is no such module, it is not called, or its output is not by sample.
    """
    modules = dict(model.named_modules())
    if layer not in modules:
        raise OptionError(
            f"the model has no module {layer!r}; it has {', '.join(list(modules)[1:9])}, ..."
        )
    outputs: list[Tensor] = []

    def keep(module: nn.Module, given: Any, named: Any, output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    training = model.training
    model.eval()
    parts = []
    try:
        with hooked([(modules[layer], keep)]):
            for batch in inputs.split(batch_size):
                outputs.clear()
                model(batch)
                if not outputs or len(outputs[-1]) != len(batch):
                    raise OptionError(
                        f"module {layer!r} is not called, or its output is not one a sample."
                    )
                last = outputs[-1].float()
                parts.append(last.reshape(len(batch), -1, last.shape[-1]).mean(1))
    finally:
        model.train(training)
    return torch.cat(parts)
