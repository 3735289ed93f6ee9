"""Levels that follow the errors that came: adaptive conformal inference, per variate.

The quantile at a nominal level q is read at a level a, which moves when the truth of a window is known::

    a <- a + r (q - share of the steps whose truth lay at or below the quantile)

so that in the long run q of all truths lie below, as long as they lie within the residuals that are known: a
level stays in [0, 1], and beyond the largest residual nothing is told. Levels keep their order, so that no
two quantiles cross. A forecast of L steps is judged when its last truth is known.

References:
    Gibbs and Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, arXiv
    2106.00170, equation 2; of one step there, of the mean over the steps of a window here, and of every
    quantile by itself, so that intervals need not be symmetric.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

RATE = 0.05
"""How far a level moves by a window all of whose truths lay on the wrong side.

On validation windows of five tables coverage per variate comes the nearer to nominal the faster levels
follow, and the weighted quantile loss is 0.6% above the least in the mean at this rate, 1.5% at twice it
(`tests/benchmarks/adaptive.py`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Adaptive:
    """Levels at which nominal ones are read."""

    nominal: Tensor
    """(Q,) float64, rising."""
    levels: Tensor
    """(Q, C) float64, in [0, 1], rising along Q."""
    rate: float = RATE

    @classmethod
    def of(cls, levels: Sequence[float], variates: int, rate: float = RATE) -> Self:
        """The nominal levels themselves, before anything came."""
        nominal = torch.tensor(levels, dtype=torch.float64)
        return cls(nominal=nominal, levels=nominal[:, None].expand(-1, variates).clone(), rate=rate)

    def after(self, truth: Tensor, made: Tensor) -> "Adaptive":
        """The levels after a window whose quantiles were these.

        Args:
            truth: (L, C), what came; not a number where nobody knows.
            made: (Q, L, C), as they were read.
        """
        known = (~truth.isnan()).sum(0)
        below = (truth <= made).sum(1) / known.clamp_min(1)
        moved = self.levels + self.rate * (self.nominal[:, None] - below) * (known > 0)
        return replace(self, levels=moved.clamp(0, 1).sort(0).values)


class Followed:
    """Levels that follow the coverage of forecasts whose truth is known."""

    def __init__(self, levels: Sequence[float], variates: int, rate: float = RATE):
        """Begin with the nominal levels."""
        self._adaptive = Adaptive.of(levels, variates, rate)
        self._waiting: deque[tuple[int, Tensor, Tensor]] = deque()

    def at(self, row: int) -> Tensor:
        """Levels (Q, C) at which quantiles are read that are forecast from a row on."""
        while self._waiting and self._waiting[0][0] <= row:
            _, truth, made = self._waiting.popleft()
            self._adaptive = self._adaptive.after(truth, made)
        return self._adaptive.levels

    def learn(self, row: int, truth: Tensor, made: Tensor) -> None:
        """Keep what was forecast from a row on until its last truth is known.

        Args:
            row: of the first target.
            truth: (L, C), in the units of the table.
            made: quantiles (Q, L, C).
        """
        self._waiting.append((row + len(truth), truth, made))
