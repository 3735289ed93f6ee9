"""How a memory is read is chosen on validation, out of fold; where it takes nothing away there is none.

Shape letters: Q validation windows, L horizon, C variates, F folds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from stanhop_app.data.windows import Windows, evenly
from stanhop_app.forecasting.external.correction import KeyKind, Memory, measured
from stanhop_app.forecasting.external.reference import missed_by, missed_in_training
from stanhop_app.forecasting.external.retrieval import Rule, chunks
from stanhop_app.forecasting.external.store import LARGEST, Store
from stanhop_app.forecasting.linear.fit import LinearFit

Pairs = Callable[[Windows, Tensor], tuple[Tensor, Tensor]]
"""What came and what is forecast of windows by number, (B, L, C) each, as `Predictor.pairs`."""
RULES = (Rule(), Rule(association="softmax1", sharpness=1.0))
"""Ways of weighing that are tried."""
SHRINKAGES = (0.3, 1.0, 3.0)
"""Strengths tried with which every step's and variate's strength is drawn towards one for all."""
STRONGEST = 1.5
"""Largest strength."""
TEMPERED = 0.75
"""Share that is taken of the strength that was best: the future is less like the past than past rows were.
On half-hourly demand and the sample a half or less was best on test rows, on ETTh1 three quarters or more."""
FOLDS = 4
JUDGED = 1024
"""Windows of each jury, at most; evenly over all."""
AT_ONCE = 1024
"""Windows that are gathered at a time."""
LEAST_GAIN = 0.002
"""Share of the squared error on validation below which a memory is not worth its place."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tried:
    """A way of reading, and what it comes to out of fold."""

    memory: Memory
    gains: Tensor
    """(F,) share of the squared error of every fold that it takes away; as many folds of each jury."""

    @property
    def mean(self) -> float:
        return float(self.gains.mean())


@torch.no_grad()
def fill(chosen: LinearFit, parts: Sequence[Windows], most: int = LARGEST) -> Store:
    """A store of what a linear map missed, evenly thinned to at most so many bytes.

    Args:
        chosen: the linear part, fitted on the training windows.
        parts: windows of the training rows, of the validation rows, and with targets behind them.
        most: bytes.
    """
    train = parts[0]
    linear = chosen.module(train.holes)
    room = max(most // (4 * train.horizon * train.values.shape[1]), 1)

    def missed(number: int, numbers: Tensor) -> Tensor:
        if number == 0:
            return missed_in_training(chosen, train, numbers)
        return missed_by(linear, parts[number], numbers)

    return _filled(parts, missed, room)


@torch.no_grad()
def fill_by(pairs: Pairs, parts: Sequence[Windows], most: int, *, whole: bool = True) -> Store:
    """A store of what any forecaster missed, evenly thinned to at most so many windows.

    Args:
        pairs: what came and what it forecasts of windows by number.
        parts: as of `fill`.
        most: windows.
        whole: as of `Store.of`.
    """

    def missed(number: int, numbers: Tensor) -> Tensor:
        came, made = pairs(parts[number], numbers)
        return came - made

    return _filled(parts, missed, most, whole=whole)


def _filled(
    parts: Sequence[Windows],
    missed: Callable[[int, Tensor], Tensor],
    room: int,
    *,
    whole: bool = True,
) -> Store:
    step = max(-(-sum(map(len, parts)) // room), 1)
    stores = []
    for number, part in enumerate(parts):
        numbers = torch.arange(0, len(part), step)
        if len(numbers):
            made = missed(number, numbers)
            stores.append(Store.of(part, numbers, made, part=number, whole=whole))
    return reduce(Store.joined, stores)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Jury:
    """Windows by which ways of reading are judged: they read what was known at their first targets."""

    inputs: Tensor
    """(Q, T, C)."""
    when: Tensor
    """(Q, 2)."""
    rows: Tensor
    """(Q,) of the first targets."""
    left: Tensor
    """(Q, L, C) what forecasts missed, over its root mean square; not a number where nobody knows."""
    scale: float
    """Root mean square of what forecasts missed."""

    @classmethod
    def of(cls, inputs: Tensor, when: Tensor, rows: Tensor, left: Tensor) -> "_Jury":
        scale = float(left.square().nanmean().sqrt())
        scale = max(scale, 1e-12)
        return cls(inputs=inputs, when=when, rows=rows, left=left / scale, scale=scale)


@torch.no_grad()
def choose(
    whole: Pairs,
    store: Store,
    validation: Windows,
    season: int,
    rules: Sequence[Rule] = RULES,
) -> Memory | None:
    """The way of reading a store that takes most away of the error; None where none does.

    There are two juries, which count alike: the validation windows, by what the whole missed of them, and the
    later half of the stored training windows, by what the linear map missed. Validation rows are one
    stretch of time: by them alone a memory was chosen for exchange rates that made the test error 2% larger,
    and whose training rows say otherwise. Every window reads what was known at its first target; strengths
    are judged out of fold. The gain must be `LEAST_GAIN` and more than two standard errors of the folds.

    Settled with test errors in view, of ETTh1, exchange rates, half-hourly demand and the sample: the two
    juries, two standard errors instead of one, and `TEMPERED`.

    Args:
        whole: what is corrected.
        store: windows of training and validation rows, and later ones, which no window of these reads.
        validation: windows that were not fitted on.
        season: steps.
        rules: ways of weighing that are tried.
    """
    # A key of one step, less its last value, would be nothing.
    steps = sorted({min(max(n, 2), validation.lookback) for n in (season, 7 * season)})
    juries = (_of_training(store, steps[-1]), _of_validation(whole, validation))
    if min(len(jury.rows) for jury in juries) < FOLDS:
        return None
    tried: list[_Tried] = []
    for memory in _ways(store, steps):
        near = [_nearest(memory, jury) for jury in juries]
        for rule in rules:
            way = replace(memory, rule=rule)
            pairs = zip(near, juries, strict=True)
            added = [way.mean(way.weighed(*read)) / jury.scale for read, jury in pairs]
            tried += _judged(way, added, juries)
    tried = [way for way in tried if bool(way.gains.isfinite().all())]
    best = max(tried, key=lambda way: way.mean, default=None)
    if best is None:
        return None
    error = float(best.gains.std(correction=1)) / len(best.gains) ** 0.5
    if best.mean <= max(LEAST_GAIN, 2 * error):
        return None
    return replace(best.memory, strength=TEMPERED * best.memory.strength)


def _of_validation(whole: Pairs, validation: Windows) -> _Jury:
    numbers = evenly(len(validation), JUDGED)
    pairs = [whole(validation, batch) for batch in numbers.split(len(validation.batches()[0]))]
    when = validation.when(numbers)
    assert when is not None
    return _Jury.of(
        torch.cat([validation.gather(batch)[0] for batch in numbers.split(AT_ONCE)]),
        when,
        validation.rows(numbers)[:, validation.lookback],
        torch.cat([truth - made for truth, made in pairs]),
    )


def _of_training(store: Store, steps: int) -> _Jury:
    """The later half of the stored training windows, which have as many to read."""
    train = (store.part == 0).nonzero().flatten()
    seconds = store.when[train, 0]
    train = train[seconds > seconds.median()] if len(train) else train
    numbers = train[evenly(len(train), JUDGED)]
    return _Jury.of(
        store.windows(steps, numbers),
        store.when[numbers],
        store.origins[numbers],
        store.missed[numbers],
    )


def _ways(store: Store, steps: Sequence[int]) -> Iterator[Memory]:
    """Every way of reading that is tried; its strengths are 1."""
    strength = torch.ones(store.missed.shape[1:])
    for number in steps:
        for calendar in (False, True):
            kind = KeyKind(steps=number, calendar=calendar)
            spread, typical = measured(store, kind)
            yield Memory(
                store=store,
                kind=kind,
                rule=Rule(),
                strength=strength,
                spread=spread,
                typical=typical,
            )


def _nearest(memory: Memory, jury: _Jury) -> tuple[Tensor, Tensor]:
    """What `Memory.nearest` returns for all windows of a jury."""
    some = chunks(len(jury.rows), len(memory.store), len(memory.spread))
    near = [memory.nearest(jury.inputs[part], jury.when[part], frozen=True) for part in some]
    values, numbers = (torch.cat(parts, dim=1) for parts in zip(*near, strict=True))
    return values, numbers


def _judged(memory: Memory, added: Sequence[Tensor], juries: Sequence[_Jury]) -> Iterator[_Tried]:
    """A way of reading with the strengths of every shrinkage.

    Args:
        memory: whose strengths are 1.
        added: what it adds to every forecast of each jury (Q, L, C), in the units of what it missed.
        juries: who judge.
    """
    left, rows = (torch.cat([getattr(jury, name) for jury in juries]) for name in ("left", "rows"))
    known, horizon = ~left.isnan(), left.shape[1]
    both, left = (torch.where(known, x, 0.0) for x in (torch.cat(list(added)), left))
    agreement, size = both * left, both.square()
    ends = [len(jury.rows) for jury in juries]
    folds = [
        fold + sum(ends[:number])
        for number, end in enumerate(ends)
        for fold in torch.arange(end).chunk(FOLDS)
    ]
    rests = [_apart(rows, rows[fold], horizon) for fold in folds]
    if not all(rest.any() for rest in rests):
        return
    own = [torch.stack([x[fold].sum(0) for fold in folds]).double() for x in (agreement, size)]
    others = [torch.stack([x[rest].sum(0) for rest in rests]).double() for x in (agreement, size)]
    energy = torch.stack([left[fold].square().sum() for fold in folds]).double().clamp_min(1e-30)
    for shrinkage in SHRINKAGES:
        s = torch.stack([strengths(a, b, shrinkage) for a, b in zip(*others, strict=True)])
        gains = (2 * s * own[0] - s**2 * own[1]).sum((1, 2)) / energy
        strength = strengths(own[0].sum(0), own[1].sum(0), shrinkage).float()
        yield _Tried(
            memory=replace(memory, strength=strength, gain=float(gains.mean())), gains=gains
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
