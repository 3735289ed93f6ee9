"""The linear part: two ridge regressions per variate, chosen and averaged on validation.

What a ridge penalty draws a forecast to depends on what it acts on. On differences alone
("anchored") that is the last value: levels may lie anywhere and stay. On the values themselves ("free") it
is 0, the mean of the training rows: levels return. Which is right differs from variate to variate, and
no short validation part tells for sure, so `fit_linear` fits both and hedges.

Shape letters: C variates, T lookback, L horizon, F folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stanhop_app.data.folds import num_folds
from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.linear.moments import Moments, held_out_moments, moments
from stanhop_app.forecasting.linear.ridge import (
    PENALTIES,
    RidgeFit,
    RidgeOptions,
    as_module,
    ridge,
    squared_errors,
)
from stanhop_app.forecasting.linear.shares import choose_shares
from stanhop_app.forecasting.linear.sliding import whole_moments
from stanhop_app.models.stanhop import LinearPart

POOLINGS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights tried of all variates' mean moments against a variate's own."""
LOOKBACKS = (96, 336, 512, 720)
"""Lookbacks tried, as far as a window holds them."""
SUMMED, JUDGED = 2**18, 2**15
"""Windows of many series that it is fitted on, and that validate, at most; evenly over all."""
LARGEST_MOMENTS = 2**28
"""Bytes of all variates' moments above which only the pooled map is fitted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """``(1 - s_c) anchored + s_c free``, per variate c."""

    anchored: RidgeFit
    free: RidgeFit
    shares: Tensor
    """s in [0, 1] of every variate (C,); 0 where it keeps its level."""

    @property
    def weight(self) -> Tensor:
        """(C, T, L), or (1, T, L) if all variates share map and share; float64."""
        uniform = bool((self.shares == self.shares[0]).all())  # one number keeps one map one
        share = (self.shares[:1] if uniform else self.shares)[:, None, None]
        return self.anchored.weight + share * (self.free.weight - self.anchored.weight)

    def module(self, holes: bool = False) -> LinearPart:
        """The map as a network module in float32; ``holes``: whether windows may have some."""
        return as_module(self.weight, holes)

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any]) -> "LinearFit":
        """What validation chose, from `summary`; the maps are empty, to be fitted again (`refit_linear`)."""
        empty = torch.empty(0)
        anchored, free = (
            RidgeFit(
                weight=empty,
                options=tuple(RidgeOptions(**options) for options in summary[name]),
                errors=empty,
            )
            for name in ("anchored", "free")
        )
        shares = torch.tensor(summary["free_shares"], dtype=torch.float64)
        return cls(anchored=anchored, free=free, shares=shares)

    def summary(self) -> dict[str, object]:
        """What validation chose, in plain numbers."""
        kinds = {"anchored": self.anchored, "free": self.free}
        chosen = {name: [asdict(o) for o in fit.options] for name, fit in kinds.items()}
        return {**chosen, "free_shares": self.shares.tolist()}


def fit_pooled(train: Windows, validation: Windows) -> RidgeFit:
    """Anchored ridge regression shared by all variates; the penalty is chosen on validation."""
    held_out = moments(validation, pooled=True)
    best = _Best(jointly=True)
    for options, weight in _candidates(moments(train, pooled=True), anchored=True):
        best.consider(options, weight, squared_errors(weight, held_out))
    return best.fit()


def fit_linear(train: Windows, validation: Windows) -> list[LinearFit]:
    """Anchored and free ridge regression per variate, averaged where that is safer.

    Each is drawn towards one map for all variates (partial pooling): a variate's moments are
    ``(G_c + k mean G) / (1 + k)``: with k -> 0 it stands alone, with k -> infinity all share one map. k, the
    penalty, whether to share at all, and how many of the latest steps are read (`LOOKBACKS` and all),
    are chosen on validation: of the anchored map for all variates together, of the free one for each, so that
    one variate that drifts does not decide for the others. (On ETTh1, chosen on three quarters of the
    validation windows and judged on the fourth, this was better than to choose both together, or
    both for each.) Then `choose_shares` says which variates average the two.

    Where all variates' moments at the whole lookback would take more than `LARGEST_MOMENTS`, all share
    one map and one share.

    Returns:
        The fit whose options are chosen on all of validation; then, for every fold, the one whose options
        are chosen without it, by which what comes next (`combination`) is judged.
    """
    variates, lookback, horizon = train.values.shape[1], train.lookback, train.horizon
    shared = variates == 1 or 8 * variates * lookback * (lookback + horizon) > LARGEST_MOMENTS
    views = 1 + num_folds(validation)
    anchored = [_Best(jointly=True) for _ in range(views)]
    free = [_Best(jointly=False) for _ in range(views)]
    for steps in sorted({lookback, *(n for n in LOOKBACKS if n < lookback)}):
        own = moments(replace(train, lookback=steps), pooled=shared)
        held_out = held_out_moments(replace(validation, lookback=steps), pooled=shared)
        for trackers, kind in ((anchored, True), (free, False)):
            for options, weight in _candidates(own, anchored=kind):
                padded = F.pad(weight, (0, 0, lookback - steps, 0))
                for tracker, view in zip(trackers, held_out, strict=True):
                    tracker.consider(options, padded, squared_errors(weight, view))
    fits = []
    for number, pair in enumerate(zip(anchored, free, strict=True)):
        keeps, returns = (tracker.fit() for tracker in pair)
        without = None if number == 0 else number - 1
        shares = choose_shares(
            keeps.module(validation.holes),
            returns.module(validation.holes),
            validation,
            shared=shared,
            without=without,
        )
        fits.append(LinearFit(anchored=keeps, free=returns, shares=shares))
    return fits


def refit_linear(chosen: LinearFit, windows: Windows) -> LinearFit:
    """The same choices (lookback, pooling, penalty, share), fitted on other windows."""
    return from_sums(chosen, sums_of(chosen, windows), windows.lookback)


def sums_of(chosen: LinearFit, windows: Windows) -> dict[int, Moments]:
    """The moments of some windows that a fit with these choices needs, by the steps that it reads."""
    shared = len(chosen.free.options) == 1
    return {
        steps: whole_moments(replace(windows, lookback=steps), pooled=shared)
        for steps in {o.lookback for fit in (chosen.anchored, chosen.free) for o in fit.options}
    }


def from_sums(chosen: LinearFit, sums: Mapping[int, Moments], lookback: int) -> LinearFit:
    """The same choices, fitted on the windows behind some moments (`sums_of`)."""
    shared = len(chosen.free.options) == 1

    def refit(fit: RidgeFit, anchored: bool) -> RidgeFit:
        weights = []
        for number, option in enumerate(fit.options):
            own = sums[option.lookback]
            alone = shared or option.pooling is None
            mixed = own.pooled() if alone else _towards_mean(own, float(option.pooling or 0))
            if len(fit.options) > 1:
                mixed = mixed.only(min(number, len(mixed.gram) - 1))
            (weight,) = ridge(mixed, (option.penalty,), anchored=anchored)
            weights.append(F.pad(weight, (0, 0, lookback - option.lookback, 0)))
        return replace(fit, weight=torch.cat(weights))

    return replace(chosen, anchored=refit(chosen.anchored, True), free=refit(chosen.free, False))


def _candidates(own: Moments, *, anchored: bool) -> Iterator[tuple[RidgeOptions, Tensor]]:
    """Every ridge regression that is tried on some training moments."""
    lookback = own.gram.shape[-1]
    for k in (None, *POOLINGS) if len(own.gram) > 1 else (None,):
        mixed = own.pooled() if k is None else _towards_mean(own, k)
        for penalty, weight in zip(PENALTIES, ridge(mixed, anchored=anchored), strict=True):
            yield RidgeOptions(lookback=lookback, pooling=k, penalty=penalty), weight


def _towards_mean(own: Moments, k: float) -> Moments:
    """``(own + k mean over variates) / (1 + k)``."""
    return replace(
        own,
        gram=(own.gram + k * own.gram.mean(0)) / (1 + k),
        cross=(own.cross + k * own.cross.mean(0)) / (1 + k),
    )


class _Best:
    """The best candidate so far: ``jointly`` by the mean error, or for each variate by its own."""

    def __init__(self, *, jointly: bool):
        self.jointly = jointly
        self.options: list[RidgeOptions] = []
        self.weight, self.errors = torch.empty(0), torch.empty(0)

    def consider(self, options: RidgeOptions, weight: Tensor, errors: Tensor) -> None:
        """Take a candidate where it is better."""
        if not self.options:
            count = 1 if self.jointly else len(errors)
            self.options, self.errors = [options] * count, errors.clone()
            self.weight = weight if self.jointly else weight.expand(count, -1, -1).clone()
        elif self.jointly:
            if errors.mean() < self.errors.mean():
                self.options, self.weight, self.errors = [options], weight, errors
        else:
            for variate in torch.nonzero(errors < self.errors).flatten().tolist():
                self.options[variate] = options
                self.weight[variate] = weight[min(variate, len(weight) - 1)]
            self.errors = torch.minimum(errors, self.errors)

    def fit(self) -> RidgeFit:
        """What was best."""
        return RidgeFit(weight=self.weight, options=tuple(self.options), errors=self.errors)
