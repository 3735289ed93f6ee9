"""Position-wise feed-forward network."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def dense(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A linear map with Glorot-uniform weights and zero bias, the start of every map here."""
    linear = nn.Linear(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class FeedForward(nn.Module):
    """``W_2 gelu(W_1 x + b_1) + b_2``, applied to the last dimension.

    Args:
        dim: width D of input and output.
        hidden_dim: width between the two maps.
    """

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.up = dense(dim, hidden_dim)
        self.down = dense(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """(..., D) -> (..., D)."""
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out
