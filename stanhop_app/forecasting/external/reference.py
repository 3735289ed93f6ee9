"""What a linear map missed of windows that it was not fitted on.

A memory must not hold the errors of a model on windows that it has seen: they are smaller, and of another
kind, than those to come. Of a linear map the right ones cost little: its sums over all windows, less those of
the windows near a fold, give the map that was fitted without the fold. On ETTh1 (14/5/5, seed 0, validation,
24 h, training windows alone stored) a memory of such errors took away 2.0% of the squared error of the whole
forecaster, one of the whole forecaster's own errors on its training windows 1.5%.

Shape letters: M windows, T lookback, L horizon, C variates.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from stanhop_app.data.windows import SeriesWindows, Windows
from stanhop_app.forecasting.linear.fit import LinearFit, from_sums, sums_of
from stanhop_app.forecasting.linear.moments import Moments

FOLDS = 8
"""Parts of the training windows, each of whose errors are those of a map that was fitted without it."""


def missed_by(linear: torch.nn.Module, windows: Windows, numbers: Tensor) -> Tensor:
    """What a map missed of windows by number, (M, L, C); not a number where nobody knows what came."""
    parts = []
    for batch in numbers.split(len(windows.batches()[0])):
        x, y = windows.gather(batch)
        parts.append(y - linear(x))
    return torch.cat(parts)


def missed_in_training(chosen: LinearFit, train: Windows, numbers: Tensor) -> Tensor:
    """What maps of these choices missed of training windows by number (rising), each fitted without them.

    A fold is left out with all windows that share a target with it. Where no others are left, what was
    missed is not a number.
    """
    whole = sums_of(chosen, train)
    parts = []
    for fold, near in _folds(train, numbers):
        if len(near) == len(train):  # too few for a map without the fold: nobody knows
            shape = (len(fold), train.horizon, train.values.shape[1])
            parts.append(torch.full(shape, torch.nan))
            continue
        own = sums_of(chosen, near)
        rest = {steps: _less(sums, own[steps]) for steps, sums in whole.items()}
        module = from_sums(chosen, rest, train.lookback).module(train.holes)
        parts.append(missed_by(module, train, fold))
    return torch.cat(parts)


def _folds(train: Windows, numbers: Tensor) -> Iterator[tuple[Tensor, Windows]]:
    """Numbers of each fold, and the windows that share a target with one of them or lie between."""
    gap = train.horizon
    for fold in numbers.chunk(FOLDS):
        first, last = int(fold[0]) - gap, int(fold[-1]) + gap
        yield fold, part_of(train, max(first, 0), min(last + 1, len(train)))


def part_of(windows: Windows, first: int, last: int) -> Windows:
    """Windows of these numbers."""
    if isinstance(windows, SeriesWindows):
        kept = slice(first, last)
        return replace(windows, origins=windows.origins[kept], begins=windows.begins[kept])
    start = max(windows.first, windows.lookback)
    begin = start + first if first else windows.first  # shorter lookbacks have earlier windows too
    return replace(windows, first=begin, last=start + last + windows.horizon - 1)


def _less(a: Moments, b: Moments) -> Moments:
    """Moments of the windows of one and not of the other."""
    return Moments(
        gram=a.gram - b.gram,
        cross=a.cross - b.cross,
        energy=a.energy - b.energy,
        count=a.count - b.count,
    )
