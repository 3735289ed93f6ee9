"""Memory layers with tables of 8-bit integers, for inference.

Shape letters: D width of the input, F width of the output, K tables.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers import memory_kernel
from stanhop_app.layers.hashing import Hashed
from stanhop_app.layers.memory import MemoryLayer, check_hashing, swap_modules


class Int8MemoryLayer(nn.Module):
    """A `MemoryLayer` whose tables are int8 with one scale each, a quarter of the bytes.

    ``T_k ~ scale_k Q_k`` with ``scale_k = max |T_k| / 127`` and Q rounded to the nearest integer. Hash
    and weights stay exact; of normal tables the output is 1% off. Where layers follow each other that
    can flip a sign near 0, and with it the row. It has no parameters and is not trained.

    Args:
        layer: the trained layer.

    Raises:
        OptionError: if a row is not finite.
    """

    table: Tensor
    scales: Tensor
    bias: Tensor | None

    def __init__(self, layer: MemoryLayer):
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.hashing, self.widths = layer.hashing, layer.widths
        table = layer.table.detach().float()
        if not table.isfinite().all():
            raise OptionError("the tables hold values that are not finite; int8 cannot.")
        tables = table.split([2**width for width in layer.widths])
        largest = torch.stack([part.abs().amax() for part in tables])
        scales = torch.where(largest > 0, largest / 127, 1.0)
        rounded = [(part / scale).round() for part, scale in zip(tables, scales, strict=True)]
        self.register_buffer("scales", scales)
        self.register_buffer("table", torch.cat(rounded).to(torch.int8))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, x: Float[Tensor, "*batch D"] | Hashed) -> Float[Tensor, "*batch F"]:
        """(..., D) -> (..., F)."""
        if not isinstance(x, Hashed) and self.uses_loop(x):
            out = memory_kernel.look_up(x, self.table, self.hashing, self.scales)
        else:
            hashed = x if isinstance(x, Hashed) else self.hash(x)
            check_hashing(hashed, self.hashing)
            weights = (hashed.scores * self.scales).to(hashed.scores.dtype)
            out = weights.new_zeros(*weights.shape[:-1], self.out_features)
            for k in range(weights.shape[-1]):  # one table after the other: never all rows at once
                rows = self.table[hashed.rows[..., k]].to(out.dtype)
                out = out + weights[..., k, None] * rows
        return out if self.bias is None else out + self.bias

    def hash(self, x: Float[Tensor, "*batch D"]) -> Hashed:
        """Rows and weights of every token, as of the layer it was made from."""
        return self.hashing(x)

    def uses_loop(self, x: Float[Tensor, "*batch D"]) -> bool:
        """Whether the compiled loop takes these tokens, which hashes them itself."""
        return memory_kernel.is_usable(x, self.table)


def int8_memory(module: nn.Module) -> nn.Module:
    """A copy of a module in evaluation mode, with int8 tables in all its memory layers."""
    module = copy.deepcopy(module).eval()
    layers = [part for part in module.modules() if isinstance(part, MemoryLayer)]
    return swap_modules(module, {id(layer): Int8MemoryLayer(layer).eval() for layer in layers})
