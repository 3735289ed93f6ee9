"""Position-wise feed-forward networks, dense or of memory layers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.memory import MemoryBlock
from stanhop_app.layers.names import KINDS

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}
"""Activation functions of dense feed-forward networks."""


def normal(*shape: int, std: float = 1.0) -> Tensor:
    """Normal numbers of this deviation."""
    return torch.randn(*shape).mul_(std)


def dense(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A linear map with Glorot-uniform weights and zero bias, the start of every map here."""
    linear = nn.Linear(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class FeedForward(nn.Module):
    """``W_2 a(W_1 x + b_1) + b_2``, applied to the last dimension.

    Args:
        dim: width D of input and output.
        hidden_dim: width between the two maps.
        activation: a, "gelu" or "relu".

    Raises:
        OptionError: for another activation.
    """

    def __init__(self, dim: int, hidden_dim: int, activation: str = "gelu"):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise OptionError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}."
            )
        self.up = dense(dim, hidden_dim)
        self.activation = ACTIVATIONS[activation]()
        self.down = dense(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """(..., D) -> (..., D)."""
        out: Tensor = self.down(self.activation(self.up(x)))
        return out


class SwiGLU(nn.Module):
    """``W_3 (silu(W_1 x) * W_2 x)``, without biases, applied to the last dimension.

    Args:
        dim: width D of input and output.
        hidden_dim: width between the maps; two thirds of a `FeedForward`'s has as many weights.

    References:
        Shazeer, arXiv 2002.05202, equation 6.
    """

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.gate = dense(dim, hidden_dim, bias=False)
        self.up = dense(dim, hidden_dim, bias=False)
        self.down = dense(hidden_dim, dim, bias=False)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """(..., D) -> (..., D)."""
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


def find_kind(option: str, kind: str) -> str:
    """The kind, if there is one of this name.

    Raises:
        OptionError: for an unknown one, naming the option and the list.
    """
    if kind not in KINDS:
        raise OptionError(f"{option} must be one of {', '.join(KINDS)}, got {kind!r}.")
    return kind


def make_feed_forward(
    kind: str,
    dim: int,
    hidden_dim: int,
    *,
    activation: str = "gelu",
    bits: int = 4,
    expand_bits: int = 2,
) -> nn.Module:
    """The feed-forward network of a block that normalises what it reads: (..., D) -> (..., D).

    Args:
        kind: "dense" for `FeedForward`, "memory" for `MemoryBlock`.
        dim: width D of input and output.
        hidden_dim: of "dense"; the width inside a memory block follows from its bits.
        activation: of "dense"; "swiglu" is `SwiGLU`.
        bits: of "memory".
        expand_bits: of "memory".
    """
    if find_kind("feed_forward", kind) == "dense":
        if activation == "swiglu":
            return SwiGLU(dim, hidden_dim)
        return FeedForward(dim, hidden_dim, activation)
    return MemoryBlock(dim, bits=bits, expand_bits=expand_bits, input_norm=False)
