"""How residuals are read is chosen on validation, out of fold, by pinball loss; then levels are corrected.

Shape letters: B queries, V stored residuals, L horizon, C variates, F folds, Q levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.windows import evenly
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.store import Store
from stanhop_app.forecasting.intervals.pool import Pool, Way, quantiles

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Quantiles whose pinball losses are averaged."""
FOLDS = 16
"""Pieces of time of the judging windows.

With 4, what was left of the residuals lay so far away in time that intervals came out too wide. On later
validation rows of four tables, walked through in order, 16 had the lower loss on three and the same on one,
and coverage nearer to nominal on three (`tests/benchmarks/adaptive.py`).
"""
JUDGED = 256
"""Validation windows that judge, evenly over all."""
STEPS = 12
"""Steps of the horizon that judge, evenly over all."""
VARIATES = 16
"""Variates that judge at least, where there are so many."""
WORK = 2**26
"""Residuals that are compared with what came, of as many variates as that allows, evenly over all.

All 7 of ETTh1, and all of 5,000 series with 38 windows; of 200 sensors, of which all took 86 seconds and
these take 13, 18: widths of 80 and 95% were 0.3 and 0.2% below those of all.
"""
GRID = 200
"""Places of what came that are kept to correct levels with."""
MOST = 2**22
"""Places that are looked at for that, evenly over all."""
FEWEST = 0.1
"""Share of the most windows that any piece of time is read by, below which a piece does not judge."""
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, fill [0, 1] evenly however many there are."""
LEAST = 8
"""Validation windows below which there are no intervals."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A way of reading, and what it came to out of fold."""

    pool: Pool
    loss: float
    """Mean weighted quantile loss: pinball losses, twice, over the mean absolute value that was missed."""
    places: Tensor
    """(GRID,) rising, where what came lay in the distributions: what a nominal level is in them."""

    def corrected(self, levels: Tensor) -> Tensor:
        """The levels to be read in the distributions for nominal ones: as many of what came lay below."""
        grid = torch.linspace(0, 1, len(self.places), dtype=torch.float64)
        above = torch.searchsorted(grid, levels.double()).clamp(1, len(grid) - 1)
        low, high = grid[above - 1], grid[above]
        share = (levels - low) / (high - low)
        return torch.lerp(self.places[above - 1], self.places[above], share).clamp(0, 1)


def ways(season: int, lookback: int) -> Iterator[Way]:
    """All that are tried."""
    spans = sorted({min(max(steps, 3), lookback) for steps in (season, 7 * season)})
    spans = [steps for steps in spans if steps > 1]  # of one row nothing moves
    seasons = min(8 * season, lookback)  # seven differences of a season, where there is room
    for nearest in (False, True):
        for steps in (None, *spans):
            yield Way(steps=steps, nearest=nearest)
        if season > 1 and seasons >= 2 * season:
            yield Way(steps=seasons, lag=season, nearest=nearest)


@torch.no_grad()
def choose(memory: Memory, season: int, lookback: int) -> list[Judged]:
    """All ways of reading the residuals of validation windows, the best first.

    None if these are too few, or all of them overlap, so that none can be judged by others.

    Every fold of the validation windows is read by the others that share no target with it.

    Args:
        memory: whose store has residuals that are all out of sample.
        season: steps.
        lookback: steps that may be looked back.
    """
    valid = (memory.store.part == 0).nonzero().flatten()
    if len(valid) < LEAST:
        return []
    judges = evenly(len(valid), JUDGED)
    judges = judges[memory.store.when[judges, 0].argsort(stable=True)]
    shares = {nearest: _shares(memory, nearest, judges, lookback) for nearest in (False, True)}
    judged = [
        _judged(Pool.of(memory, way), judges, lookback, shares[way.nearest])
        for way in ways(season, lookback)
    ]
    return sorted((each for each in judged if each is not None), key=lambda each: each.loss)


def _shares(
    memory: Memory, nearest: bool, judges: Tensor, lookback: int
) -> list[tuple[Tensor, Tensor]]:
    """Folds of the judges, each with the weights of all residuals, whose scale changes none of them."""
    pool, store = Pool.of(memory, Way(steps=None, nearest=nearest)), memory.store
    windows, when = store.windows(lookback, judges), store.when[judges]
    return [
        (
            fold,
            pool.weights(windows[fold], when[fold], off.expand(len(fold), -1), causal=False),
        )
        for fold, off in _folds(store, judges)
    ]


def _judged(
    pool: Pool, judges: Tensor, lookback: int, folds: list[tuple[Tensor, Tensor]]
) -> Judged | None:
    """What a way of reading comes to; None if no window can be read by others."""
    store, horizon = pool.store, pool.store.missed.shape[1]
    steps = evenly(horizon, STEPS)
    work = len(judges) * len(steps) * len(store)
    few = evenly(store.missed.shape[2], max(VARIATES, WORK // work))
    residuals, came = pool.residuals(steps)[..., few], store.missed[judges][:, steps][..., few]
    scale = pool.scale(store.windows(lookback, judges))[:, few]
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    loss, energy, places = 0.0, 0.0, []
    for fold, shares in folds:
        truths = came[fold] / scale[fold][:, None]
        read = _each if pool.way.nearest else _alike
        for number, share, truth, (made, below) in zip(
            fold.tolist(), shares, truths, read(residuals, shares, truths, levels), strict=True
        ):
            if not bool(share.any()):
                continue
            loss += float((pinball(truth, made, levels) * scale[number]).nansum())
            energy += float(came[number].abs().nansum())
            places.append(_place(below, share, number))
    if not places:
        return None
    return Judged(
        pool=pool,
        loss=2 * loss / (len(LEVELS) * (energy or 1.0)),
        places=_places(torch.stack(places)),
    )


def _each(
    residuals: Tensor, shares: Tensor, truths: Tensor, levels: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Quantiles (Q, L, C) of every window, and the share of residuals below what came, (L, C).

    Residuals that nobody knows are not read; of a target that nobody knows both are NaN.
    """
    for share, truth in zip(shares, truths, strict=True):
        kept = share > 0
        read, w = residuals[kept], share[kept, None, None]
        below = ((read <= truth) * w).sum(0)
        if bool(read.isnan().any()) or bool(truth.isnan().any()):
            below = (below / (~read.isnan() * w).sum(0)).masked_fill(truth.isnan(), torch.nan)
        made = quantiles(residuals, share, levels) if bool(kept.any()) else truth[None]
        yield made, below


def _alike(
    residuals: Tensor, shares: Tensor, truths: Tensor, levels: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same of windows that read the same residuals evenly, which are sorted once."""
    made, kept = quantiles(residuals, shares[0], levels), residuals[shares[0] > 0]
    columns = torch.from_numpy(np.sort(kept.flatten(1).T.contiguous().numpy(), axis=1))
    count = torch.searchsorted(columns, truths.flatten(1).T.contiguous(), right=True)
    known = (~columns.isnan()).sum(1)
    below = (count.T / known).reshape(truths.shape).masked_fill(truths.isnan(), torch.nan)
    for each in below:
        yield made, each


def pinball(truth: Tensor, made: Tensor, levels: Tensor) -> Tensor:
    """Pinball losses of quantiles (Q, ...) of what came (...), (Q, ...)."""
    left = truth - made
    shape = (-1, *[1] * truth.ndim)
    q = levels.reshape(shape).to(left.dtype)
    return torch.maximum(q * left, (q - 1) * left)


def _folds(store: Store, judges: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pieces of the judges with the stored windows that may not be read for them, (1, V).

    In time, not by rows: what was missed of another series at the same time was not known either. A piece
    that few are left to read, less than a share `FEWEST` of the most of all pieces, does not judge: of many
    series over the same years these were the six windows of two that begin earlier than all others.
    """
    folds, left = [], []
    for fold in torch.arange(len(judges)).chunk(FOLDS):
        begin, end = store.when[judges[fold], 0].min(), store.ends[judges[fold]].max()
        near = (store.when[:, 0] <= end) & (store.ends >= begin)
        off = near | (store.part > 0)
        folds.append((fold, off[None]))
        left.append(int((~off).sum()))
    least = max(FEWEST * max(left), 1)
    return [each for each, count in zip(folds, left, strict=True) if count >= least]


def _place(below: Tensor, share: Tensor, number: int) -> Tensor:
    """Where what came lies among residuals of which a share (L, C) is below it, if it is one of them.

    Of n residuals and what came, each is as likely as any other to be the k-th: its place is even in
    [k / (n + 1), (k + 1) / (n + 1)], which is even in [0, 1] for any n (the smoothed p-value of conformal
    prediction). The share below alone is 0 or 1 for what lies beyond few residuals, and levels corrected by
    it are the least and the largest of the many that are read later: on 166 yearly series, where folds are
    read by 6 to 181 windows, 2.9 times the quantile loss of seasonal naive. Where weights are uneven, n is
    1 / sum(weights^2). Places are not drawn but go round evenly, so that the same fit says the same.
    """
    count = 1 / float(share.double().square().sum())
    turns = torch.arange(below.numel(), dtype=torch.float64) + number * below.numel()
    even = (turns * GOLDEN).frac().reshape(below.shape)
    return (below.double() * count + even) / (count + 1)


def _places(places: Tensor) -> Tensor:
    """Their quantiles at even levels, the ends widened to 0 and 1."""
    flat = places[~places.isnan()].double()
    flat = flat[evenly(len(flat), MOST)]  # as many as `torch.quantile` takes
    even = torch.linspace(0, 1, GRID, dtype=torch.float64)
    made = flat.quantile(even)
    made[0], made[-1] = 0.0, 1.0
    return made
