"""Ridge regressions on moments of windows, for every penalty at once.

Shape letters: C variates, T lookback, L horizon.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stanhop_app.forecasting.linear.moments import Moments
from stanhop_app.models.stanhop import LinearPart

PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Ridge penalties tried, per training sample: ``lambda = penalty * number of samples``."""


@dataclass(frozen=True, kw_only=True)
class RidgeOptions:
    """What validation chose of a ridge regression."""

    lookback: int
    """Steps that it reads."""
    pooling: float | None
    """Weight of the pooled moments; None: one map for all variates."""
    penalty: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RidgeFit:
    """Ridge regressions, one a variate or one for all."""

    weight: Tensor
    """(C, T, L), or (1, T, L) if all variates share it; float64, 0 for steps that it does not read."""
    options: tuple[RidgeOptions, ...]
    """What validation chose: one entry a variate, or one for all of them."""
    errors: Tensor
    """Mean squared error on validation, per variate (C,), or (1,) if all were summed."""

    @property
    def validation_mse(self) -> float:
        """Mean over the variates."""
        return float(self.errors.mean())

    def module(self, holes: bool = False) -> LinearPart:
        """The map as a network module in float32; ``holes``: whether windows may have some."""
        return as_module(self.weight, holes)


def ridge(
    sums: Moments, penalties: tuple[float, ...] = PENALTIES, *, anchored: bool = True
) -> list[Tensor]:
    """``W = (G + penalty * count * I)^-1 B`` per variate, for every penalty: (C, T, L) each.

    Anchored, G and B are those of the differences alone, and the last value has weight 0. Free, they are
    those of the values: with ``values = M x`` (M: the identity, its last column all ones) ``M G M^T``
    and ``M (B + G e 1^T)``, e the last unit vector, and ``M^T W - e 1^T`` acts on x again.
    """
    if anchored:
        gram, cross = sums.gram[:, :-1, :-1], sums.cross[:, :-1]
        return [
            F.pad(weight, (0, 0, 0, 1)) for weight in _solve(gram, cross, penalties, sums.count)
        ]
    to_values = torch.eye(sums.gram.shape[1], dtype=sums.gram.dtype)
    to_values[:, -1] = 1.0
    gram = to_values @ sums.gram @ to_values.T
    cross = to_values @ (sums.cross + sums.gram[:, :, -1:])
    weights = _solve(gram, cross, penalties, sums.count)
    for i, weight in enumerate(weights):
        weights[i] = to_values.T @ weight
        weights[i][:, -1] -= 1.0
    return weights


def _solve(gram: Tensor, cross: Tensor, penalties: tuple[float, ...], count: int) -> list[Tensor]:
    """Solutions for every penalty from one eigendecomposition a variate; of one penalty without it."""
    if len(penalties) == 1:
        damping = penalties[0] * count * torch.eye(gram.shape[-1], dtype=gram.dtype)
        return [torch.linalg.solve(gram + damping, cross)]
    solutions: list[list[Tensor]] = [[] for _ in penalties]
    for own_gram, own_cross in zip(gram, cross, strict=True):
        values, vectors = torch.linalg.eigh(own_gram)
        rotated = vectors.T @ own_cross
        for solution, penalty in zip(solutions, penalties, strict=True):
            damped = values.clamp_min(0)[:, None] + penalty * count
            solution.append(vectors @ (rotated / damped))
    return [torch.stack(solution) for solution in solutions]


def squared_errors(weight: Tensor, on: Moments) -> Tensor:
    """Mean squared error of a map per variate, on the windows behind some moments.

    ``(sum y^2 - 2 <W, B> + <W, G W>) / (count L)``, an equality.
    """
    quadratic = (weight * (on.gram @ weight)).sum((1, 2))
    error = on.energy - 2 * (weight * on.cross).sum((1, 2)) + quadratic
    return error / (on.count * weight.shape[-1])


def as_module(weight: Tensor, holes: bool = False) -> LinearPart:
    """A map (C or 1, T, L) as a network module in float32; ``holes``: whether windows may have some."""
    part = LinearPart(*weight.shape, holes=holes)
    part.weight = weight.float().contiguous()
    return part
