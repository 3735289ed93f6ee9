"""The level of a window: what instance normalisation takes out of it and puts back into the forecast.

Shape letters: B batch, C variates, T steps, K levels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.models.config import STanHopConfig

NEAR = 2
"""Patches of a horizon up to which a window has one level."""
PATCHES = 7
"""Patches in the longest but one of the levels: a week, where a patch is a day."""


def spans(config: STanHopConfig) -> tuple[int, ...]:
    """Latest steps that each level is the mean of, rising: one step, a patch, seven, all that are read.

    Of a horizon of two patches or less all that are read alone.

    Examples:
        >>> spans(STanHopConfig(num_variates=1, horizon=96))
        (1, 24, 168, 336)
        >>> spans(STanHopConfig(num_variates=1, horizon=24))
        (336,)
    """
    patch, steps = config.patch_length, config.deep_steps
    if config.horizon <= NEAR * patch:
        return (steps,)
    return tuple(sorted({1, min(patch, steps), min(PATCHES * patch, steps), steps}))


class Anchor(nn.Module):
    """Level of a window ``sum_k w_ck m_k``, with m_k the mean of its latest steps (`spans`).

    The window's mean, which instance normalisation takes usually, lies far behind a series that drifts, and
    the last value far from one that returns: at 96 steps, validation errors of the deep part fell by 0.5 to
    34% on six of six tables with fitted weights instead of the mean (`tests/benchmarks/deep.md`). At 24, one
    patch, they rose on three of six with the last steps in it, whose phase the network must take out again;
    with a share of the mean alone they fell. Where the weights of a variate sum to less than 1, its level is
    drawn to 0, the mean of its training rows, and what is left of it stays in the input.

    `stanhop_app.forecasting.linear.anchor.fit_anchor` fills the weights in closed form; they are not trained
    by gradient. Before that the level is the mean of the window.
    """

    weight: Tensor
    """(C, K)."""

    def __init__(self, config: STanHopConfig):
        super().__init__()
        self.spans = spans(config)
        mean = torch.zeros(config.num_variates, len(self.spans))
        mean[:, -1] = 1.0
        self.register_buffer("weight", mean)

    def levels(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B C K"]:
        """Means of the latest steps, (B, C, T) -> (B, C, K)."""
        return torch.stack([x[..., -steps:].mean(-1) for steps in self.spans], dim=-1)

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B C 1"]:
        """(B, C, T) without holes -> (B, C, 1)."""
        return (self.levels(x) * self.weight).sum(-1, keepdim=True)
