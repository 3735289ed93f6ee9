"""Memory layers: a fully-connected layer as hashing and table look-ups.

Shape letters: D width of the input, F width of the output, K tables.

References:
    Ding et al., "MemoryFormer", arXiv 2411.12992, equations 2-13; Zeng et al., "LookupFFN",
    arXiv 2403.07221, for the score "l1".
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers import memory_kernel
from stanhop_app.layers.hashing import Hashed, Hashing, chunk_widths, score_power
from stanhop_app.layers.look_up import look_up
from stanhop_app.layers.names import MOST_BITS

LARGEST_BYTES = 2**31
"""What the tables of one layer may take; a slip in ``bits`` must not take the machine."""


RESIDUAL_START = 0.1
"""Factor of the first rows of layers whose output is added to a residual stream.

Untrained look-ups are noise, which training removes only row by row. In a STanHop-Net on ETTh1 the factor
lowered the validation error of memory blocks after two epochs from 0.488 to 0.316 (dense: 0.312).
"""


class MemoryLayer(nn.Module):
    """``y = sum_k p(z_k) T_k[h(z_k)]``: the input is cut into K chunks, each looks up one row of its table.

    The signs of a chunk are the bits of its row's number, ``sign(0) = +1``, first coordinate
    lowest. With u = |z| / t, the weight is::

        "softmax"   p = prod_i sigmoid(2 u_i)                the paper's, equations 8-10
        "l1"        p = sum_i u_i prod_i sigmoid(2 u_i)      LookupFFN's and the public reproduction's

    "softmax" is the share of the row among all rows of the table when the similarity of a row is
    the inner product of its signs and z. Gradients reach the rows that were looked up, and z through p; the
    choice of the row has none. The inputs should have mean zero, or few rows are ever used: put a
    `LayerNorm` before.

    A width that ``bits`` does not divide is cut as evenly as possible: K = ceil(D / bits) chunks, the
    first D mod K of them one longer. Rows start as normal numbers with the deviation that gives outputs
    of variance 1 for standard normal inputs; the paper names none, and the public reproduction's
    0.02 shrinks activations 40-fold.

    Args:
        in_features: width D.
        out_features: width F.
        bits: coordinates of a chunk, at most; a table has ``2**bits`` rows.
        temperature: t. The paper has no value for it; 1 is that of the public reproduction.
        score: "softmax" or "l1".
        bias: whether a learned vector, 0 at the start, is added. The paper has none.

    Raises:
        OptionError: bits outside 1..16 or above the width, or tables above 2 GiB.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bits: int = 4,
        temperature: float = 1.0,
        score: str = "softmax",
        bias: bool = False,
    ):
        super().__init__()
        self.hashing = Hashing(in_features, bits, temperature, score)
        if out_features < 1:
            raise OptionError(f"out_features must be at least 1, got {out_features}.")
        self.widths = self.hashing.widths
        rows = sum(2**width for width in self.widths)
        size = rows * out_features * torch.get_default_dtype().itemsize
        if size > LARGEST_BYTES:
            raise OptionError(
                f"the tables would take {size:,} bytes ({rows:,} rows of {out_features}), above the limit "
                f"of {LARGEST_BYTES:,}; choose fewer bits than {bits}."
            )
        self.in_features, self.out_features = in_features, out_features
        self.table = nn.Parameter(torch.empty(rows, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        variance = sum(score_power(width, temperature, score) for width in self.widths)
        nn.init.normal_(self.table, std=variance**-0.5)

    def forward(self, x: Float[Tensor, "*batch D"] | Hashed) -> Float[Tensor, "*batch F"]:
        """(..., D) -> (..., F); of layers that share their input, give all the same `hash`."""
        if not isinstance(x, Hashed) and self.uses_loop(x):
            out = memory_kernel.look_up(x, self.table, self.hashing)
        else:
            hashed = x if isinstance(x, Hashed) else self.hash(x)
            check_hashing(hashed, self.hashing)
            flat, tables = hashed.rows.shape[:-1], len(self.widths)
            weights = hashed.scores.to(self.table.dtype).reshape(-1, tables)
            out = look_up(hashed.rows.reshape(-1, tables), weights, self.table)
            out = out.reshape(*flat, self.out_features)
        return out if self.bias is None else out + self.bias

    def hash(self, x: Float[Tensor, "*batch D"]) -> Hashed:
        """Rows and weights of every token, (..., K) each."""
        return self.hashing(x)

    def uses_loop(self, x: Float[Tensor, "*batch D"]) -> bool:
        """Whether the compiled loop takes these tokens, which hashes them itself."""
        return not self.training and memory_kernel.is_usable(x, self.table)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.in_features}, {self.out_features}, bits={self.hashing.bits}, "
            f"tables={len(self.widths)}, temperature={self.hashing.temperature:g}, "
            f"score={self.hashing.score!r}, bias={self.bias is not None}"
        )


def check_hashing(hashed: Hashed, hashing: Hashing) -> None:
    """Raise OptionError for a hash that was made for layers of other options."""
    if hashed.by != hashing:
        raise OptionError(
            f"the hash was made by {hashed.by}, the layer needs {hashing}; share it between layers "
            "of equal width, bits, temperature and score only."
        )


class MemoryBlock(nn.Module):
    """``M_2(N(M_1(N(x))))``: the feed-forward network of MemoryFormer, two memory layers and no activation.

    M_1 maps D to ``(bits + expand_bits) K``, so that M_2 cuts it into as many chunks K, each
    ``expand_bits`` longer. N is `LayerNorm`: equally likely signs need a mean of zero, which the
    public reproduction's RMSNorm does not give. Equation 13 of the paper, where ``Norm(X)`` must
    be ``Norm(Z)``.

    The output is meant for a residual stream: the rows of M_2 start small (`RESIDUAL_START`).

    Args:
        dim: width D of input and output.
        bits: bits of M_1.
        expand_bits: further bits of M_2.
        temperature: of both, see `MemoryLayer`.
        score: of both.
        gelu: whether GELU stands between the layers, as in the paper's table 6.
        input_norm: whether the input is normalised here; no, where the block around does it.
    """

    def __init__(
        self,
        dim: int,
        *,
        bits: int = 4,
        expand_bits: int = 2,
        temperature: float = 1.0,
        score: str = "softmax",
        gelu: bool = False,
        input_norm: bool = True,
    ):
        super().__init__()
        if expand_bits < 0:
            raise OptionError(f"expand_bits must be at least 0, got {expand_bits}.")
        tables = len(chunk_widths(dim, bits))
        if bits + expand_bits > MOST_BITS:
            raise OptionError(
                f"bits + expand_bits must be at most {MOST_BITS}, got {bits} + {expand_bits}."
            )
        hidden = tables * (bits + expand_bits)
        self.norm = nn.LayerNorm(dim) if input_norm else nn.Identity()
        self.first = MemoryLayer(dim, hidden, bits=bits, temperature=temperature, score=score)
        self.activation = nn.GELU() if gelu else nn.Identity()
        self.inner_norm = nn.LayerNorm(hidden)
        self.second = MemoryLayer(
            hidden, dim, bits=bits + expand_bits, temperature=temperature, score=score
        )
        with torch.no_grad():
            self.second.table.mul_(RESIDUAL_START)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """(..., D) -> (..., D)."""
        hidden = self.activation(self.first(self.norm(x)))
        out: Tensor = self.second(self.inner_norm(hidden))
        return out


def replace_linear(
    module: nn.Module,
    *,
    bits: int,
    filter: Callable[[str, nn.Linear], bool] = lambda name, linear: True,
    temperature: float = 1.0,
    score: str = "softmax",
) -> nn.Module:
    """Put a fresh `MemoryLayer` in the place of every `nn.Linear` of a module.

    The new layers are of the same widths, device and dtype, have a bias where the old ones had one, and know
    nothing of their weights: the network must be trained, as in the paper. Layers that are
    reached by two names stay one. Classes derived from `nn.Linear` are left alone.

    Args:
        module: changed in place.
        bits: of every new layer.
        filter: ``(name, linear)`` -> whether to replace it; the paper keeps embedding and head.
        temperature: see `MemoryLayer`.
        score: the same.

    Returns:
        The module, or the new layer if the module is itself an `nn.Linear`.

    Raises:
        OptionError: a weight that another part of the module shares, or widths below ``bits``; nothing
            is changed then.
    """
    owners: dict[int, set[int]] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners.setdefault(id(parameter), set()).add(id(part))
    new: dict[int, MemoryLayer] = {}
    for name, part in module.named_modules():
        if type(part) is not nn.Linear or not filter(name, part):
            continue
        if any(len(owners[id(parameter)]) > 1 for parameter in part.parameters()):
            raise OptionError(
                f"{name or 'module'}: shares a weight with another part; leave it out by filter."
            )
        try:
            layer = MemoryLayer(
                part.in_features,
                part.out_features,
                bits=bits,
                temperature=temperature,
                score=score,
                bias=part.bias is not None,
            )
        except ValueError as error:
            raise OptionError(f"{name or 'module'}: {error}") from None
        new[id(part)] = layer.to(part.weight.device, part.weight.dtype).train(part.training)
    return swap_modules(module, new)


def swap_modules(module: nn.Module, new: Mapping[int, nn.Module]) -> nn.Module:
    """Put new modules in the places of those with these ids, in place; the new one if it is the whole."""
    if id(module) in new:
        return new[id(module)]
    for part in list(module.modules()):
        for name, child in list(part._modules.items()):
            if id(child) in new:
                setattr(part, name, new[id(child)])
                if isinstance(part, nn.TransformerEncoderLayer):
                    # Its fast path of evaluation mode reads the weights of its linear layers.
                    part.activation_relu_or_gelu = 0
    return module
