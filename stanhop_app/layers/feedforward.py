"""Position-wise feed-forward network."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FeedForward(nn.Module):
    """``W_2 gelu(W_1 x + b_1) + b_2``, applied to the last dimension.

    Args:
        dim: width D of input and output.
        hidden_dim: width between the two maps.
    """

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.up = nn.Linear(dim, hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """(..., D) -> (..., D)."""
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out
