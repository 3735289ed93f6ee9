"""Convex combination of two forecasts, found in closed form on validation.

For forecasts a (deep) and b (linear) of y, the error of ``b + w (a - b)`` is quadratic in w::

    sum (y - b)^2 - 2 w sum (y - b)(a - b) + w^2 sum (a - b)^2

so three sums per forecast step and variate say all. Shape letters: F folds, L horizon, C variates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stanhop_app.forecasting.windows import Windows

SHRINKAGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Strengths tried with which every weight is drawn towards one half."""
FOLDS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """The three sums per fold of the validation windows: (F, L, C), float64."""

    linear_error: Tensor
    covariance: Tensor
    difference: Tensor

    def error(self, weights: Tensor) -> float:
        """Sum of squared errors with weights (L, C) or (F, L, C)."""
        terms = self.linear_error - 2 * weights * self.covariance + weights**2 * self.difference
        return float(terms.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Combination:
    """Weights of the deep part and how they were chosen."""

    weights: Tensor
    """(L, C) in [0, 1], float32."""
    rule: str
    """"deep", "linear", or "shrinkage K"."""
    errors: dict[str, float]
    """Out-of-fold mean squared error of every rule tried."""


Forecast = Callable[[Tensor], Tensor]


@torch.no_grad()
def sums(deep: Forecast, linear: Forecast, windows: Windows, batch_size: int = 512) -> Sums:
    """Collect the sums over contiguous folds of the windows, in batches."""
    folds = min(FOLDS, len(windows))
    shape = (folds, windows.horizon, windows.values.shape[1])
    linear_error, covariance, difference = (
        torch.zeros(shape, dtype=torch.float64) for _ in range(3)
    )
    for fold, part in enumerate(torch.arange(len(windows)).tensor_split(folds)):
        for batch in part.split(batch_size):
            x, y = windows.gather(batch)
            b = linear(x)
            gap, rest = (deep(x) - b).double(), (y - b).double()
            linear_error[fold] += rest.square().sum(0)
            covariance[fold] += (rest * gap).sum(0)
            difference[fold] += gap.square().sum(0)
    return Sums(linear_error=linear_error, covariance=covariance, difference=difference)


def weights_from(covariance: Tensor, difference: Tensor, shrinkage: float) -> Tensor:
    """Best weight per step and variate, drawn towards one half, clipped to [0, 1].

    ``(cov + s m / 2) / (dif + s m)`` with m the mean of dif: the least-squares weight with s
    times the typical evidence for equal weights added.

    Args:
        covariance: sum (y - b)(a - b), (L, C).
        difference: sum (a - b)^2, (L, C).
        shrinkage: s, above 0.
    """
    evidence = (shrinkage * difference.mean()).clamp_min(torch.finfo(difference.dtype).tiny)
    return ((covariance + evidence / 2) / (difference + evidence)).clamp(0.0, 1.0)


def combine(of: Sums, count: int) -> Combination:
    """Choose the rule by error on held-out folds, then its weights from all of them.

    The rules are every shrinkage in `SHRINKAGES` and, so that a combination which does not pay is
    not made, each part alone.

    Args:
        of: sums over folds.
        count: windows in all folds, for the errors reported.
    """
    scale = count * of.covariance[0].numel()
    errors = {
        "deep": of.error(torch.ones_like(of.covariance)) / scale,
        "linear": of.error(torch.zeros_like(of.covariance)) / scale,
    }
    if len(of.covariance) > 1:
        others = [total.sum(0) - total for total in (of.covariance, of.difference)]
        for s in SHRINKAGES:
            held_out = torch.stack([weights_from(c, d, s) for c, d in zip(*others, strict=True)])
            errors[f"shrinkage {s:g}"] = of.error(held_out) / scale
    rule = min(errors, key=errors.__getitem__)
    if rule in ("deep", "linear"):
        weights = torch.full_like(of.covariance[0], float(rule == "deep"))
    else:
        strength = float(rule.removeprefix("shrinkage "))
        weights = weights_from(of.covariance.sum(0), of.difference.sum(0), strength)
    return Combination(weights=weights.float(), rule=rule, errors=errors)
