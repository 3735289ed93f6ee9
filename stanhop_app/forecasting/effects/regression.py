"""A regression on covariates that are known ahead, fitted so that forecasts err least.

With ``y_t = z_t^T b + r_t`` a forecaster of r needs b. Regressing y on z itself would give a slow wave of
y to whatever z is slow; what matters is what z says of the part of y that the past does not foretell. So
a linear forecaster f (one ridge regression for all, `fit_pooled`) is applied to y and to every feature of z
alike. Its errors are linear in what it is applied to::

    e_y = e_r + e_z^T b      with   e_v = v_{t+h} - f(v up to t)

and b is the ridge regression of e_y on e_z, in closed form: what dynamic regression does for an ARIMA model
of the errors. Then f is fitted again on y less the effect, and b with it.

Features (`basis`), penalty and, of many series, how far each goes its own way are chosen on validation. A
column keeps its effect only if it is better there by two standard errors over the folds.

Shape letters: B windows, T lookback, L horizon, C columns, K features, S series, N rows.

References:
    Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., chapter 10; the criterion
    is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.calendar import cycles
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.folds import FOLDS
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import BATCH_FLOATS, Windows, evenly
from stanhop_app.forecasting.effects.basis import Basis, Kind
from stanhop_app.forecasting.effects.effect import Effect
from stanhop_app.forecasting.linear.fit import LARGEST_MOMENTS, fit_pooled
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import from_last

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties tried, per forecast value."""
POOLINGS = (10.0, 1.0, 0.1)
"""Weights tried of the mean series against a series' own; besides: one regression for all."""
SURE, LEAST = 2.0, 0.002
"""Standard errors by which an effect must be better on validation, and share of the squared error."""
ROUNDS = 2
"""Times that forecaster and regression are fitted in turn."""
MOST_FEATURES, MOST_NUMBERS = 600, 2**27
"""Features of a bent basis, and numbers in its table, above which only the plain one is tried."""
SUMMED, FITTED = 2**18, 2**15
"""Windows at most that the forecaster and the regression are fitted on; evenly over all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Effects:
    """What covariates add to values, in scaled units."""

    basis: Basis
    weights: Tensor
    """(K, C) float64, one regression for all series."""
    own: Tensor | None
    """(S, K, C), where every series has one of its own; those of new series are ``weights``."""
    penalty: float
    pooling: float | None
    """Weight of the mean series; None: one regression for all."""
    forecaster: Tensor
    """(T, L) float32, the linear forecaster whose errors were regressed."""
    gains: tuple[float, ...]
    """Share of the linear forecaster's squared error on validation taken away, per column."""

    def with_new(self, count: int) -> "Effects":
        """The same with so many new series, whose weights are those of all."""
        if self.own is None or count == 0:
            return self
        return replace(self, own=torch.cat([self.own, self.weights.expand(count, -1, -1)]))

    @property
    def effect(self) -> Effect:
        """What forecasts read of it."""
        own = None if self.own is None else self.own.numpy()
        return Effect(basis=self.basis, weights=self.weights.numpy(), own=own)

    def at(
        self, encoder: Encoder, rows: np.ndarray, index: pd.DatetimeIndex, number: np.ndarray
    ) -> Tensor:
        """As of `Effect.at`, (M, C) float32."""
        return torch.from_numpy(self.effect.at(encoder, rows, index, number))

    def of(self, encoder: Encoder, panel: Panel, numbers: Sequence[int] | None = None) -> Tensor:
        """(N, C) of the rows of a panel; ``numbers`` of its series at the fit, by default in their order."""
        assert panel.along is not None
        given = np.arange(len(panel.ids)) if numbers is None else np.array(numbers)
        rows, index = panel.along.covariates.numpy(), pd.DatetimeIndex(panel.index)
        parts = [
            self.at(encoder, rows[a:b], index[a:b], np.full(b - a, number))
            for (a, b), number in zip(panel.spans, given, strict=True)
        ]
        return torch.cat(parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Second moments of the errors of a linear forecaster; of each series, or of all together (S = 1)."""

    gram: Tensor
    """sum e_z e_z^T, (S, G, K, K), over the values that are known: G is 1, or C where columns have holes."""
    cross: Tensor
    """sum e_z e_y, (S, K, C)."""
    energy: Tensor
    """sum e_y^2, (S, C)."""
    count: int
    """Values of one column."""

    def left(self, weights: Tensor) -> Tensor:
        """Sum of squared errors (C,) that weights (S or 1, K, C) leave."""
        each = weights.transpose(1, 2)[..., None]  # (S, C, K, 1)
        squared = (each * (self.gram @ each)).sum((2, 3))
        return (self.energy - 2 * (weights * self.cross).sum(1) + squared).sum(0)


@torch.no_grad()
def sums(
    windows: Windows, features: Tensor, forecaster: Tensor, batches: Sequence[Tensor], split: bool
) -> Sums:
    """Moments over some windows.

    Args:
        windows: of the values.
        features: (N, K) of the same rows.
        forecaster: (T, L) map on `from_last` coordinates, of changes from the last value.
        batches: numbers of the windows.
        split: whether every series is summed by itself.
    """
    count, columns = features.shape[1], windows.values.shape[1]
    along = windows.along
    assert along is not None
    groups = len(along.starts) if split else 1
    masks = columns if windows.holes and columns > 1 else 1
    gram = torch.zeros(groups, masks, count, count, dtype=torch.float64)
    cross = torch.zeros(groups, count, columns, dtype=torch.float64)
    energy, known = torch.zeros(groups, columns, dtype=torch.float64), 0
    for batch in batches:
        rows = windows.rows(batch)
        number = torch.zeros(len(batch), dtype=torch.long)
        if split:
            number = torch.searchsorted(along.starts, rows[:, -1].contiguous(), right=True) - 1
        for mask in range(masks):  # of holes every column has its own
            place = slice(mask, mask + 1) if masks > 1 else slice(columns)
            values = windows.values[rows][..., place]
            y, z = _errors(values, features[rows], windows.lookback, forecaster, windows.holes)
            known += int((~y.isnan()).sum())
            z, y = (z * ~y[..., :1].isnan(), y.nan_to_num(0.0)) if windows.holes else (z, y)
            if split:
                gram[:, mask].index_add_(0, number, (z.transpose(1, 2) @ z).double())
                cross[..., place].index_add_(0, number, (z.transpose(1, 2) @ y).double())
            else:
                flat = z.flatten(0, 1)
                gram[0, mask] += (flat.T @ flat).double()
                cross[0, :, place] += (flat.T @ y.flatten(0, 1)).double()
            energy[:, place].index_add_(0, number, y.square().sum(1).double())
    return Sums(gram=gram, cross=cross, energy=energy, count=known // columns)


def _errors(
    values: Tensor, features: Tensor, lookback: int, forecaster: Tensor, holes: bool
) -> tuple[Tensor, Tensor]:
    """What a linear forecaster errs of values (B, T + L, C) and of features (B, T + L, K).

    Where a value of the window is not known, the line between its neighbours stands for it, and so it does
    for the features there: else their effect would be sought in values that do not hold it.
    """
    if holes:
        features = torch.where(values[..., :1].isnan(), torch.nan, features)
    both = torch.cat([values, features], dim=2)
    x, truth = both[:, :lookback], both[:, lookback:]
    x = between(x) if holes else x
    change = torch.einsum("btv,tl->blv", from_last(x), forecaster)
    error = truth - x[:, -1:] - change
    y, z = error[..., : values.shape[2]], error[..., values.shape[2] :]
    return y, z.nan_to_num(0.0) if holes else z


def solve(own: Sums, penalty: float, pooling: float | None) -> tuple[Tensor, Tensor | None]:
    """Weights for all (K, C), and those of every series (S, K, C) drawn towards them.

    ``b = (G + penalty n I)^-1 c`` of the sums G and c over all series; of a series
    ``(G_s + k mean G)^-1 (c_s + k mean G b)`` with k the pooling.
    """
    gram, cross = own.gram.sum(0), own.cross.sum(0)
    gram = gram + penalty * own.count * torch.eye(gram.shape[-1], dtype=gram.dtype)
    together = _solved(gram, cross)
    if pooling is None:
        return together, None
    mean = gram / len(own.gram)
    drawn = (mean @ together.T[..., None])[..., 0].T  # (K, C)
    return together, _solved(own.gram + pooling * mean, own.cross + pooling * drawn)


def _solved(gram: Tensor, cross: Tensor) -> Tensor:
    """(..., 1 or C, K, K) and (..., K, C) -> weights (..., K, C)."""
    if gram.shape[-3] == 1:
        return torch.linalg.solve(gram.squeeze(-3), cross)
    return torch.linalg.solve(gram, cross.transpose(-1, -2)[..., None])[..., 0].transpose(-1, -2)


def fit_effects(
    panel: Panel, encoder: Encoder, train: Windows, validation: Windows
) -> Effects | None:
    """The regression that validation chooses; None where it chooses none.

    Args:
        panel: whose covariates are encoded.
        encoder: that did it.
        train: windows of the values themselves.
        validation: the same.
    """
    if encoder.num_future == 0:
        return None
    parts = train.thinned(SUMMED), validation.thinned(SUMMED)
    by_hour, rows = "day" in cycles(panel.frequency, 1.0), _training_rows(panel)
    bases = [Basis.of(kind, encoder, rows, by_hour=by_hour) for kind in get_args(Kind)]
    most = min(MOST_FEATURES, MOST_NUMBERS // len(panel))
    bases = [b for b in bases if b.kind == "plain" or b.width(encoder) <= most]
    tables = [(basis, _features(basis, encoder, panel)) for basis in bases]
    chosen: Effects | None = None
    for _ in range(ROUNDS):
        now = [_less(windows, chosen, encoder, panel) for windows in parts]
        forecaster = fit_pooled(now[0], now[1]).weight[0].float()
        fits = [_fit(basis, table, *parts, forecaster) for basis, table in tables]
        chosen = max(fits, key=lambda fit: sum(fit.gains))
        if max(chosen.gains) <= 0:
            return None
    return chosen


def refit_effects(effects: Effects, panel: Panel, encoder: Encoder, windows: Windows) -> Effects:
    """The same choices, fitted on other windows of the values; columns without effect stay so."""
    table = _features(effects.basis, encoder, panel)
    batches = _batches(windows, table, evenly(len(windows), FITTED))
    own = sums(windows, table, effects.forecaster, batches, effects.own is not None)
    together, each = solve(own, effects.penalty, effects.pooling)
    weights, each = _kept(together, each, torch.tensor(effects.gains) > 0)
    return replace(effects, weights=weights, own=each)


def _fit(
    basis: Basis, table: Tensor, train: Windows, validation: Windows, forecaster: Tensor
) -> Effects:
    """The regression on one basis, with the penalty and pooling that validation chooses."""
    series, count = 1 if train.along is None else len(train.along.starts), table.shape[1]
    split = series > 1 and 8 * (2 + FOLDS) * series * count**2 <= LARGEST_MOMENTS
    own = sums(train, table, forecaster, _batches(train, table, evenly(len(train), FITTED)), split)
    folds = [
        sums(validation, table, forecaster, _batches(validation, table, fold), split)
        for fold in evenly(len(validation), FITTED).chunk(FOLDS)
    ]
    energy = torch.stack([fold.energy.sum(0) for fold in folds]).clamp_min(1e-30)
    fits: list[Effects] = []
    for pooling in (None, *(POOLINGS if split else ())):
        for penalty in PENALTIES:
            together, each = solve(own, penalty, pooling)
            weights = together[None] if each is None else each
            left = torch.stack([fold.left(weights) for fold in folds])
            shares = 1 - left / energy
            noise = shares.std(0, correction=1) / len(folds) ** 0.5 if len(folds) > 1 else 0.0
            gain = 1 - left.sum(0) / energy.sum(0)
            gain = torch.where((shares.mean(0) > SURE * noise) & (gain > LEAST), gain, 0.0)
            weights, each = _kept(together, each, gain > 0)
            made = Effects(
                basis=basis,
                weights=weights,
                own=each,
                penalty=penalty,
                pooling=pooling,
                forecaster=forecaster,
                gains=tuple(gain.tolist()),
            )
            fits.append(made)
    return max(fits, key=lambda made: sum(made.gains))


def _kept(together: Tensor, each: Tensor | None, keeps: Tensor) -> tuple[Tensor, Tensor | None]:
    """Weights of the columns that keep their effect; those of the others are 0."""
    return together * keeps, None if each is None else each * keeps


def _less(windows: Windows, chosen: Effects | None, encoder: Encoder, panel: Panel) -> Windows:
    """Windows of the values less an effect."""
    if chosen is None:
        return windows
    return replace(windows, values=windows.values - chosen.of(encoder, panel))


def _features(basis: Basis, encoder: Encoder, panel: Panel) -> Tensor:
    assert panel.along is not None
    rows = panel.along.covariates.numpy()
    return torch.from_numpy(basis.features(encoder, rows, pd.DatetimeIndex(panel.index)))


def _batches(windows: Windows, table: Tensor, numbers: Tensor) -> list[Tensor]:
    """Numbers of windows in batches that fit into memory with their features."""
    floats = (windows.lookback + windows.horizon) * (windows.values.shape[1] + table.shape[1])
    return list(numbers.split(max(4 * BATCH_FLOATS // floats, 1)))


def _training_rows(panel: Panel) -> np.ndarray:
    """The rows of covariates beside training values."""
    assert panel.along is not None
    rows, pairs = panel.along.covariates.numpy(), zip(panel.spans, panel.splits, strict=True)
    return np.concatenate([rows[first : first + max(s.train, 1)] for (first, _), s in pairs])
