"""Linear forecasts in closed form, from second moments of windows.

All maps act on windows minus their last value: ``y = last + W^T (x - last)``. A ridge regression
needs only ``G = sum x x^T`` and ``B = sum x y^T``; so does its error on other windows. Both are summed
in batches, so that memory does not grow with the number of windows.

Shape letters: C variates, T lookback, L horizon.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stanhop_app.forecasting.windows import Windows
from stanhop_app.models.stanhop import LinearPart

PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Ridge penalties tried, per training sample: ``lambda = penalty * number of samples``."""
POOLINGS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights tried of all variates' mean moments against a variate's own."""
LOOKBACKS = (96, 336, 512, 720)
"""Lookbacks tried, as far as a window holds them."""
LARGEST_MOMENTS = 2**28
"""Bytes of all variates' moments above which only the pooled map is fitted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Sums over windows of one part of the data, per variate, float64."""

    gram: Tensor
    """sum x x^T, (C, T, T)."""
    cross: Tensor
    """sum x y^T, (C, T, L)."""
    energy: Tensor
    """sum y^2, (C,)."""
    count: int
    """Windows summed."""

    def pooled(self) -> "Moments":
        """Moments of all variates together, as of one variate."""
        return Moments(
            gram=self.gram.sum(0, keepdim=True),
            cross=self.cross.sum(0, keepdim=True),
            energy=self.energy.sum(0, keepdim=True),
            count=self.count * len(self.gram),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """A linear map with the options that validation chose."""

    weight: Tensor
    """(C, T, L), or (1, T, L) if all variates share it; float64."""
    penalty: float
    pooling: float | None
    """Weight of the pooled moments; None: one map for all variates."""
    lookback: int
    validation_mse: float

    def module(self) -> LinearPart:
        """The map as a network module in float32."""
        part = LinearPart(*self.weight.shape)
        part.weight = self.weight.float().contiguous()
        return part


def moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """Second moments of all windows minus their last value; ``pooled`` sums over the variates."""
    num_variates = windows.values.shape[1]
    groups = 1 if pooled else num_variates
    lookback, horizon = windows.lookback, windows.horizon
    gram = torch.zeros(groups, lookback, lookback, dtype=torch.float64)
    cross = torch.zeros(groups, lookback, horizon, dtype=torch.float64)
    energy = torch.zeros(groups, dtype=torch.float64)
    for batch in windows.batches():
        x, y = windows.gather(batch)
        last = x[:, -1:]
        x, y = (rearrange(part - last, "b t c -> c b t") for part in (x, y))
        if pooled:
            x, y = (rearrange(part, "c b t -> 1 (c b) t") for part in (x, y))
        for group in range(groups):
            gram[group] += x[group].T @ x[group]
            cross[group] += x[group].T @ y[group]
            energy[group] += y[group].square().sum(dtype=torch.float64)
    count = len(windows) * (num_variates if pooled else 1)
    return Moments(gram=gram, cross=cross, energy=energy, count=count)


def ridge(of: Moments, penalties: tuple[float, ...] = PENALTIES) -> list[Tensor]:
    """``W = (G + penalty * count * I)^-1 B`` per variate, for every penalty: (C, T, L) each."""
    solutions: list[list[Tensor]] = [[] for _ in penalties]
    for gram, cross in zip(of.gram, of.cross, strict=True):
        values, vectors = torch.linalg.eigh(gram)
        rotated = vectors.T @ cross
        for solution, penalty in zip(solutions, penalties, strict=True):
            damped = values.clamp_min(0)[:, None] + penalty * of.count
            solution.append(vectors @ (rotated / damped))
    return [torch.stack(solution) for solution in solutions]


def mean_squared_error(weight: Tensor, on: Moments) -> float:
    """Error of a map on the windows behind some moments, over steps and variates.

    ``(sum y^2 - 2 <W, B> + <W, G W>) / (count L C)``, an equality.
    """
    error = on.energy.sum() - 2 * (weight * on.cross).sum() + (weight * (on.gram @ weight)).sum()
    return float(error / (on.count * weight.shape[-1] * len(on.gram)))


def fit_pooled(train: Windows, validation: Windows) -> LinearFit:
    """Ridge regression shared by all variates; the penalty is chosen on validation."""
    weights = ridge(moments(train, pooled=True))
    held_out = moments(validation, pooled=True)
    return _best(weights, held_out, None, train.lookback)


def fit_linear(train: Windows, validation: Windows) -> LinearFit:
    """Ridge regression per variate, drawn towards the pooled one (partial pooling).

    A variate's moments are ``(G_c + k mean G) / (1 + k)``: with k -> 0 it stands alone, with
    k -> infinity all share one map. k, the penalty, whether to share at all, and how many of the
    latest steps are read (`LOOKBACKS` and all), are chosen on validation. With more variates than
    `LARGEST_MOMENTS` allows, all share one map.

    Returns:
        The best map; its weights are 0 for steps that it does not read.
    """
    lookbacks = sorted({train.lookback, *(n for n in LOOKBACKS if n < train.lookback)})
    fits = [
        _fit_linear(replace(train, lookback=n), replace(validation, lookback=n)) for n in lookbacks
    ]
    best = min(fits, key=lambda fit: fit.validation_mse)
    weight = F.pad(best.weight, (0, 0, train.lookback - best.lookback, 0))
    return replace(best, weight=weight)


def _fit_linear(train: Windows, validation: Windows) -> LinearFit:
    """`fit_linear` at one lookback."""
    variates, lookback, horizon = train.values.shape[1], train.lookback, train.horizon
    if variates == 1 or 8 * variates * lookback * (lookback + horizon) > LARGEST_MOMENTS:
        return fit_pooled(train, validation)
    own, held_out = moments(train), moments(validation)
    mean = replace(own.pooled(), count=own.count)
    best = _best(ridge(own.pooled()), held_out, None, lookback)
    for k in POOLINGS:
        mixed = replace(
            own,
            gram=(own.gram + k / variates * mean.gram) / (1 + k),
            cross=(own.cross + k / variates * mean.cross) / (1 + k),
        )
        fit = _best(ridge(mixed), held_out, k, lookback)
        best = min(best, fit, key=lambda f: f.validation_mse)
    return best


def _best(
    weights: list[Tensor], held_out: Moments, pooling: float | None, lookback: int
) -> LinearFit:
    errors = [mean_squared_error(weight, held_out) for weight in weights]
    index = min(range(len(errors)), key=errors.__getitem__)
    return LinearFit(
        weight=weights[index],
        penalty=PENALTIES[index],
        pooling=pooling,
        lookback=lookback,
        validation_mse=errors[index],
    )
