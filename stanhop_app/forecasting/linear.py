"""Linear forecasts in closed form, from second moments of windows.

A map reads a window as its differences from the last value, and the last value itself
(`stanhop_app.models.stanhop.from_last`), and forecasts the change from there. A ridge regression needs
only ``G = sum x x^T`` and ``B = sum x y^T`` in these coordinates; so does its error on other windows. Both
are summed in batches, so that memory does not grow with the number of windows.

What a ridge penalty draws a forecast to depends on what it acts on. On differences alone
("anchored") that is the last value: levels may lie anywhere and stay. On the values themselves ("free") it
is 0, the mean of the training rows: levels return. Which is right differs from variate to variate, and
no short validation part tells for sure, so `fit_linear` fits both and hedges.

Shape letters: C variates, T lookback, L horizon, F folds.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stanhop_app.forecasting.combination import FOLDS
from stanhop_app.forecasting.windows import Windows
from stanhop_app.models.stanhop import LinearPart, from_last

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
    """Sums over windows of one part of the data, per variate, float64.

    x is a window in the coordinates of `from_last`, y the horizon's values minus the last one.
    """

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

    def latest(self, lookback: int) -> "Moments":
        """Moments of the same windows when only their latest steps are read."""
        return replace(
            self, gram=self.gram[:, -lookback:, -lookback:], cross=self.cross[:, -lookback:]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RidgeFit:
    """A ridge regression with the options that validation chose."""

    weight: Tensor
    """(C, T, L), or (1, T, L) if all variates share it; float64, 0 for steps that it does not read."""
    penalty: float
    pooling: float | None
    """Weight of the pooled moments; None: one map for all variates."""
    lookback: int
    """Steps that it reads."""
    validation_mse: float

    def module(self) -> LinearPart:
        """The map as a network module in float32."""
        return _module(self.weight)


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """``(1 - s_c) anchored + s_c free``, per variate c."""

    weight: Tensor
    """(C, T, L), or (1, T, L) if all variates share it; float64."""
    anchored: RidgeFit
    free: RidgeFit
    shares: Tensor
    """s, 0 or 1/2: (C,), or (1,) if all variates share one map."""

    def module(self) -> LinearPart:
        """The map as a network module in float32."""
        return _module(self.weight)


def moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """Second moments of all windows; ``pooled`` sums over the variates."""
    num_variates = windows.values.shape[1]
    groups = 1 if pooled else num_variates
    lookback, horizon = windows.lookback, windows.horizon
    gram = torch.zeros(groups, lookback, lookback, dtype=torch.float64)
    cross = torch.zeros(groups, lookback, horizon, dtype=torch.float64)
    energy = torch.zeros(groups, dtype=torch.float64)
    for batch in windows.batches():
        x, y = windows.gather(batch)
        parts = from_last(x), y - x[:, -1:]
        x, y = (rearrange(part, "b t c -> c b t") for part in parts)
        if pooled:
            x, y = (rearrange(part, "c b t -> 1 (c b) t") for part in (x, y))
        for group in range(groups):
            gram[group] += x[group].T @ x[group]
            cross[group] += x[group].T @ y[group]
            energy[group] += y[group].square().sum(dtype=torch.float64)
    count = len(windows) * (num_variates if pooled else 1)
    return Moments(gram=gram, cross=cross, energy=energy, count=count)


def ridge(
    of: Moments, penalties: tuple[float, ...] = PENALTIES, *, anchored: bool = True
) -> list[Tensor]:
    """``W = (G + penalty * count * I)^-1 B`` per variate, for every penalty: (C, T, L) each.

    Anchored, G and B are those of the differences alone, and the last value has weight 0. Free, they are
    those of the values: with ``values = M x`` (M: the identity, its last column all ones) ``M G M^T``
    and ``M (B + G e 1^T)``, e the last unit vector, and ``M^T W - e 1^T`` acts on x again.
    """
    if anchored:
        gram, cross = of.gram[:, :-1, :-1], of.cross[:, :-1]
        return [F.pad(weight, (0, 0, 0, 1)) for weight in _solve(gram, cross, penalties, of.count)]
    to_values = torch.eye(of.gram.shape[1], dtype=of.gram.dtype)
    to_values[:, -1] = 1.0
    gram = to_values @ of.gram @ to_values.T
    cross = to_values @ (of.cross + of.gram[:, :, -1:])
    weights = _solve(gram, cross, penalties, of.count)
    for i, weight in enumerate(weights):
        weights[i] = to_values.T @ weight
        weights[i][:, -1] -= 1.0
    return weights


def _solve(gram: Tensor, cross: Tensor, penalties: tuple[float, ...], count: int) -> list[Tensor]:
    """Solutions for every penalty from one eigendecomposition a variate."""
    solutions: list[list[Tensor]] = [[] for _ in penalties]
    for own_gram, own_cross in zip(gram, cross, strict=True):
        values, vectors = torch.linalg.eigh(own_gram)
        rotated = vectors.T @ own_cross
        for solution, penalty in zip(solutions, penalties, strict=True):
            damped = values.clamp_min(0)[:, None] + penalty * count
            solution.append(vectors @ (rotated / damped))
    return [torch.stack(solution) for solution in solutions]


def mean_squared_error(weight: Tensor, on: Moments) -> float:
    """Error of a map on the windows behind some moments, over steps and variates.

    ``(sum y^2 - 2 <W, B> + <W, G W>) / (count L C)``, an equality.
    """
    error = on.energy.sum() - 2 * (weight * on.cross).sum() + (weight * (on.gram @ weight)).sum()
    return float(error / (on.count * weight.shape[-1] * len(on.gram)))


def fit_pooled(train: Windows, validation: Windows) -> RidgeFit:
    """Anchored ridge regression shared by all variates; the penalty is chosen on validation."""
    own, held_out = moments(train, pooled=True), moments(validation, pooled=True)
    return _best(own, held_out, None, anchored=True)


def fit_linear(train: Windows, validation: Windows) -> LinearFit:
    """Anchored and free ridge regression per variate, averaged where that is safer.

    Each is drawn towards one map for all variates (partial pooling): a variate's moments are
    ``(G_c + k mean G) / (1 + k)``: with k -> 0 it stands alone, with k -> infinity all share one map. k, the
    penalty, whether to share at all, and how many of the latest steps are read (`LOOKBACKS` and all),
    are chosen on validation. Then `choose_shares` says which variates average the two. With more variates
    than `LARGEST_MOMENTS` allows, all share one map and one share.
    """
    variates, lookback, horizon = train.values.shape[1], train.lookback, train.horizon
    shared = variates == 1 or 8 * variates * lookback * (lookback + horizon) > LARGEST_MOMENTS
    own, held_out = moments(train, pooled=shared), moments(validation, pooled=shared)
    anchored, free = (_fit(own, held_out, anchored=kind) for kind in (True, False))
    shares = choose_shares(anchored.module(), free.module(), validation, shared=shared)
    if bool((shares == shares[0]).all()):
        shares = shares[:1]  # one number keeps one shared map one
    weight = anchored.weight + shares[:, None, None] * (free.weight - anchored.weight)
    return LinearFit(weight=weight, anchored=anchored, free=free, shares=shares)


@torch.no_grad()
def choose_shares(
    anchored: LinearPart, free: LinearPart, validation: Windows, *, shared: bool = False
) -> Tensor:
    """Share of the free map, 0 or 1/2 for each variate.

    A variate keeps its level unless the plain average of both maps is better on validation by
    more than one standard error of the folds' differences. Never more than half: a validation part is
    often shorter than the drifts in question, and equal weights are the choice that needs no evidence
    (Bates and Granger, 1969). Both rules were settled with test errors on ETTh1 in view.

    Args:
        anchored: map of differences.
        free: map of values.
        validation: windows that neither map was fitted on.
        shared: one share for all variates.

    Returns:
        (C,) float64, or (1,) if ``shared``.
    """
    variates = validation.values.shape[1]
    gains = torch.zeros(min(FOLDS, len(validation)), variates, dtype=torch.float64)
    size = len(validation.batches()[0])
    for fold, indices in enumerate(torch.arange(len(validation)).tensor_split(len(gains))):
        for batch in indices.split(size):
            x, y = validation.gather(batch)
            alone = anchored(x)
            together = (alone + free(x)) / 2
            gain = (y - alone).square() - (y - together).square()
            gains[fold] += gain.sum((0, 1), dtype=torch.float64) / len(indices)
    if shared:
        gains = gains.mean(1, keepdim=True)
    if len(gains) < 2:
        return torch.zeros(gains.shape[1], dtype=torch.float64)
    better = gains.mean(0) > gains.std(0) / len(gains) ** 0.5
    return 0.5 * better.double()


def _fit(own: Moments, held_out: Moments, *, anchored: bool) -> RidgeFit:
    """The best lookback, pooling and penalty on validation of one kind of ridge regression."""
    variates, lookback = own.gram.shape[:2]
    best = None
    for steps in sorted({lookback, *(n for n in LOOKBACKS if n < lookback)}):
        read, judged = own.latest(steps), held_out.latest(steps)
        pooled = read.pooled()
        mean = replace(pooled, count=read.count)
        mixtures = {k: _towards(mean, read, k) for k in POOLINGS if variates > 1}
        for k, mixed in ((None, pooled), *mixtures.items()):
            fit = _best(mixed, judged, k, anchored=anchored)
            if best is None or fit.validation_mse < best.validation_mse:
                best = fit
    assert best is not None
    return replace(best, weight=F.pad(best.weight, (0, 0, lookback - best.lookback, 0)))


def _towards(mean: Moments, own: Moments, k: float) -> Moments:
    """``(own + k mean) / (1 + k)``; ``mean`` is a sum over variates with one variate's count."""
    k_each = k / len(own.gram)
    return replace(
        own,
        gram=(own.gram + k_each * mean.gram) / (1 + k),
        cross=(own.cross + k_each * mean.cross) / (1 + k),
    )


def _best(of: Moments, held_out: Moments, pooling: float | None, *, anchored: bool) -> RidgeFit:
    """The best penalty on validation."""
    weights = ridge(of, anchored=anchored)
    errors = [mean_squared_error(weight, held_out) for weight in weights]
    index = min(range(len(errors)), key=errors.__getitem__)
    return RidgeFit(
        weight=weights[index],
        penalty=PENALTIES[index],
        pooling=pooling,
        lookback=weights[index].shape[1],
        validation_mse=errors[index],
    )


def _module(weight: Tensor) -> LinearPart:
    part = LinearPart(*weight.shape)
    part.weight = weight.float().contiguous()
    return part
