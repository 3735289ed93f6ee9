"""How a memory is read is chosen on validation, out of fold; where it takes nothing away there is none.

Shape letters: Q validation windows, L horizon, C variates, F folds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.external.correction import KeyKind, Memory, measured
from stanhop_app.forecasting.external.reference import missed_by, missed_in_training
from stanhop_app.forecasting.external.retrieval import Rule, chunks
from stanhop_app.forecasting.external.store import LARGEST, Store
from stanhop_app.forecasting.linear.fit import LinearFit

RULES = (Rule(), Rule(association="softmax1", sharpness=1.0))
"""Ways of weighing that are tried."""
SHRINKAGES = (0.3, 1.0, 3.0)
"""Strengths tried with which every step's and variate's strength is drawn towards one for all."""
STRONGEST = 1.5
"""Largest strength."""
FOLDS = 4
JUDGED = 1024
"""Validation windows by which a choice is made, at most; evenly over all."""
LEAST_GAIN = 0.002
"""Share of the squared error on validation below which a memory is not worth its place."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tried:
    """A way of reading, and what it comes to out of fold."""

    memory: Memory
    gains: Tensor
    """(F,) share of the squared error of every fold that it takes away."""

    @property
    def mean(self) -> float:
        return float(self.gains.mean())


@torch.no_grad()
def fill(
    chosen: LinearFit,
    train: Windows,
    validation: Windows,
    later: Windows | None,
    most: int = LARGEST,
) -> Store:
    """A store of all windows, evenly thinned to at most so many bytes of what was missed.

    Args:
        chosen: the linear part, fitted on the training windows.
        train: windows.
        validation: windows; the linear part has not seen them.
        later: windows behind them; None: there are none.
        most: bytes.
    """
    linear = chosen.module(train.holes)
    parts = [part for part in (train, validation, later) if part is not None and len(part)]
    room = max(most // (4 * train.horizon * train.values.shape[1]), 1)
    step = max(-(-sum(map(len, parts)) // room), 1)
    stores = []
    for part in parts:
        numbers = torch.arange(0, len(part), step)
        missed = (
            missed_in_training(chosen, part, numbers)
            if part is train
            else missed_by(linear, part, numbers)
        )
        stores.append(Store.of(part, numbers, missed, late=part is later))
    whole = stores[0]
    for store in stores[1:]:
        whole = whole.joined(store)
    return whole


@torch.no_grad()
def choose(
    whole: Callable[[Windows, Tensor], tuple[Tensor, Tensor]],
    store: Store,
    validation: Windows,
    season: int,
) -> Memory | None:
    """The way of reading a store that takes most away of the error on validation; None where none does.

    Every validation window reads what was known at its first target. The gain must be `LEAST_GAIN` and
    more than one standard error of the folds.

    Args:
        whole: what came and what is forecast of windows by number, (B, L, C) each (`Predictor.pairs`).
        store: windows of training and validation rows, and later ones, which no window of these reads.
        validation: windows that were not fitted on.
        season: steps.
    """
    numbers = _spread(validation)
    pairs = [whole(validation, batch) for batch in numbers.split(len(validation.batches()[0]))]
    left = torch.cat([truth - made for truth, made in pairs])
    inputs = torch.cat([validation.gather(batch)[0] for batch in numbers.split(1024)])
    when, rows = validation.when(numbers), validation.rows(numbers)[:, validation.lookback]
    tried: list[_Tried] = []
    for memory in _ways(store, validation, season):
        near = [
            memory.nearest(inputs[some], None if when is None else when[some])
            for some in chunks(len(inputs), len(store), len(memory.spread))
        ]
        values, places = (torch.cat(parts, dim=1) for parts in zip(*near, strict=True))
        for rule in RULES:
            way = replace(memory, rule=rule)
            tried += _judged(way, way.mean(way.weighed(values, places)), left, rows)
    if not tried:
        return None
    best = max(tried, key=lambda way: way.mean)
    error = float(best.gains.std(correction=1)) / len(best.gains) ** 0.5
    return best.memory if best.mean > max(LEAST_GAIN, error) else None


def _spread(windows: Windows) -> Tensor:
    """Numbers of windows, evenly over all."""
    count = min(len(windows), JUDGED)
    return torch.linspace(0, len(windows) - 1, count, dtype=torch.float64).round().long()


def _ways(store: Store, windows: Windows, season: int) -> Iterator[Memory]:
    """Every way of reading that is tried; its strengths are 1."""
    lookback = windows.lookback
    strength = torch.ones(windows.horizon, windows.values.shape[1])
    for steps in sorted({min(n, lookback) for n in (season, 7 * season)}):
        for calendar in (False, True):
            kind = KeyKind(steps=steps, calendar=calendar)
            spread, typical = measured(store, kind)
            yield Memory(
                store=store,
                kind=kind,
                rule=RULES[0],
                strength=strength,
                spread=spread,
                typical=typical,
            )


def _judged(memory: Memory, added: Tensor, left: Tensor, rows: Tensor) -> Iterator[_Tried]:
    """A way of reading with the strengths of every shrinkage.

    Args:
        memory: whose strengths are 1.
        added: what it adds to every forecast (Q, L, C).
        left: what the forecasts missed (Q, L, C); not a number where nobody knows.
        rows: of the first targets (Q,).
    """
    known = ~left.isnan()
    added, left = (torch.where(known, x, 0.0).double() for x in (added, left))
    agreement, size = added * left, added.square()
    folds = [fold for fold in torch.arange(len(left)).chunk(FOLDS) if len(fold)]
    rests = [_apart(rows, rows[fold], left.shape[1]) for fold in folds]
    if len(folds) < FOLDS or not all(rest.any() for rest in rests):
        return
    for shrinkage in SHRINKAGES:
        gains = []
        for fold, rest in zip(folds, rests, strict=True):
            s = strengths(agreement[rest].sum(0), size[rest].sum(0), shrinkage)
            gain = 2 * s * agreement[fold].sum(0) - s**2 * size[fold].sum(0)
            gains.append(gain.sum() / left[fold].square().sum().clamp_min(1e-30))
        strength = strengths(agreement.sum(0), size.sum(0), shrinkage).float()
        tried = torch.stack(gains)
        yield _Tried(
            memory=replace(memory, strength=strength, gain=float(tried.mean())), gains=tried
        )


def _apart(rows: Tensor, fold: Tensor, horizon: int) -> Tensor:
    """Whether windows of these first targets share no target with those of a fold."""
    return (rows <= fold.min() - horizon) | (rows >= fold.max() + horizon)


def strengths(agreement: Tensor, size: Tensor, shrinkage: float) -> Tensor:
    """Least squares per step and variate, drawn towards that for all, in [0, `STRONGEST`].

    ``(sum a e + k m s) / (sum a^2 + k m)`` with a what is added, e what is missed, s the common strength and
    m the mean of ``sum a^2``.
    """
    common = (agreement.sum() / size.sum().clamp_min(1e-30)).clamp(0.0, STRONGEST)
    evidence = (shrinkage * size.mean()).clamp_min(1e-30)
    return ((agreement + evidence * common) / (size + evidence)).clamp(0.0, STRONGEST)
