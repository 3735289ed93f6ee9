"""Folds of validation windows, and what shares no target with them.

What is chosen on validation and then judged there looks better than it is. So choices are judged out of
fold: made on the *rest* of a fold, every window that shares no target with it, and scored on the fold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from stanhop_app.data.windows import Windows

FOLDS = 4


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Neighbouring windows that belong to the same fold and to the same rests."""

    start: int
    stop: int
    fold: int
    rests: tuple[int, ...]
    """Folds to whose rest it belongs."""

    def batches(self, size: int) -> Iterator[Tensor]:
        """Numbers of its windows, in batches of at most ``size``."""
        yield from torch.arange(self.start, self.stop).split(size)


def num_folds(windows: Windows) -> int:
    """Folds of so many windows."""
    return min(FOLDS, len(windows))


def pieces(windows: Windows) -> list[Piece]:
    """Cut windows into contiguous folds, and those where a horizon before and after a fold ends."""
    count, gap, folds = len(windows), windows.horizon - 1, num_folds(windows)
    edges = [count * fold // folds for fold in range(folds + 1)]
    cuts = sorted({min(max(edge + by, 0), count) for edge in edges for by in (-gap, 0, gap)})
    spans = list(pairwise(edges))
    return [
        Piece(
            start=start,
            stop=stop,
            fold=next(fold for fold, (_, end) in enumerate(spans) if stop <= end),
            rests=tuple(
                fold
                for fold, (begin, end) in enumerate(spans)
                if stop <= begin - gap or start >= end + gap
            ),
        )
        for start, stop in pairwise(cuts)
    ]
