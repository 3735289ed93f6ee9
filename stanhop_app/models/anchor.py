"""The level of a window: what instance normalisation takes out of it and puts back into the forecast.

Shape letters: B batch, C variates, T steps, K levels.
"""

import torch
from jaxtyping import Bool, Float
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
    the last value far from one that returns. Trials on validation rows (before weights were bounded):
    `tests/benchmarks/deep.md`. Weights are not negative and sum to at most 1. Where they sum to less, a
    level is drawn to 0, the mean of its training rows, and what is left of it stays in the input: a level
    that shifts after training, or that of a series that was not trained on, is followed in part only. That
    is why the mean is the default.

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

    def levels(
        self, x: Float[Tensor, "B C T"], known: Bool[Tensor, "B C T"] | None = None
    ) -> Float[Tensor, "B C K"]:
        """Means of the latest steps, (B, C, T) -> (B, C, K).

        Args:
            x: windows without NaN.
            known: which steps count; None: all. A level of none is the next longer one, the longest 0.
        """
        if known is None:
            return torch.stack([x[..., -steps:].mean(-1) for steps in self.spans], dim=-1)
        level, made = x.new_zeros(x.shape[:-1]), []
        for steps in reversed(self.spans):
            count = known[..., -steps:].sum(-1)
            total = (x[..., -steps:] * known[..., -steps:]).sum(-1)
            level = torch.where(count > 0, total / count.clamp_min(1), level)
            made.append(level)
        return torch.stack(made[::-1], dim=-1)

    def forward(
        self, x: Float[Tensor, "B C T"], known: Bool[Tensor, "B C T"] | None = None
    ) -> Float[Tensor, "B C 1"]:
        """(B, C, T) -> (B, C, 1); the arguments are those of `levels`."""
        return (self.levels(x, known) * self.weight).sum(-1, keepdim=True)
