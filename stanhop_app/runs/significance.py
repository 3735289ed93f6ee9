"""Whether one model is better than another, or was luckier: paired tests over blocks of time.

Losses of windows that follow each other are alike, so that windows are not so many witnesses. Two ways count
the ones that there are:

- a circular block bootstrap of the paired losses, whose blocks are longer than windows overlap, gives the
  interval of the gain ``1 - mean(a) / mean(b)``;
- the test of Diebold and Mariano, whose variance of the mean difference takes in the covariances of as many
  windows as overlap, with the correction of Harvey, Leybourne and Newbold for few.

References:
    Diebold and Mariano, Journal of Business & Economic Statistics 13 (1995); Harvey, Leybourne and Newbold,
    International Journal of Forecasting 13 (1997); Politis and Romano, "A circular block-resampling procedure
    for stationary data", 1992.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from stanhop_app.errors import DataError

DRAWS = 2000
CONFIDENCE = 0.95
SMALLEST = 1e-300
"""Loss below which one is 0."""
LEAST_BLOCKS = 5
"""Blocks below which nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much lower the loss of one model is than that of another."""

    gain: float
    """``1 - mean(a) / mean(b)``; above 0: a is better."""
    low: float
    """Where 2.5% of the bootstrap's gains lie below."""
    high: float
    """Where 2.5% lie above."""
    p: float
    """How likely so large a difference is if there is none: the two-sided test of Diebold and Mariano."""

    def __str__(self) -> str:
        word = "better" if self.gain >= 0 else "worse"
        ends = sorted([self.low, self.high] if self.gain >= 0 else [-self.low, -self.high])
        low, high = (f"{100 * end:.1f}" for end in ends)
        return f"{word} by {100 * abs(self.gain):.1f}% [{low}, {high}]"


def paired(a: np.ndarray, b: np.ndarray, overlap: int, seed: int = 0) -> Gain:
    """Compare the losses (N,) of two models on the same windows, in order of time.

    Args:
        a: of the one that is asked about.
        b: of the other.
        overlap: windows after one that share a target with it; 0 where none does.
        seed: of the bootstrap.

    Raises:
        DataError: if the windows make fewer than `LEAST_BLOCKS` blocks.
    """
    both = _known(np.stack([a, b], axis=1))
    drawn = _means(both, overlap, seed)
    low, high = _ends(1 - drawn[:, 0] / np.maximum(drawn[:, 1], SMALLEST))
    mean = both.mean(0)
    return Gain(
        gain=float(1 - mean[0] / max(mean[1], SMALLEST)),
        low=low,
        high=high,
        p=diebold_mariano(both[:, 0], both[:, 1], overlap),
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """A mean now over the mean before, or a share, with what luck may do."""

    value: float
    low: float
    """Where 2.5% of the bootstrap's values lie below."""
    high: float
    """Where 2.5% lie above."""

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def ratio(now: np.ndarray, before: np.ndarray, overlap: int, seed: int = 0) -> Change:
    """Means now over means before; of two columns each, the ratio of the first over that of the second.

    Args:
        now: (N,) or (N, 2), in order of time.
        before: (M,) or (M, 2).
        overlap: windows after one that share a target with it.
        seed: of the bootstrap.

    Raises:
        DataError: if either makes fewer than `LEAST_BLOCKS` blocks.
    """
    both = [_known(values) for values in (now, before)]
    drawn = [_means(values, overlap, seed + n) for n, values in enumerate(both)]
    mean = [values.mean(0, keepdims=True) for values in both]
    value, values = (float(_ratio(*mean)[0]), _ratio(*drawn))
    low, high = _ends(values)
    return Change(value=value, low=low, high=high)


def share(hits: np.ndarray, overlap: int, seed: int = 0) -> Change:
    """The mean of shares (N,), in order of time.

    Raises:
        DataError: if they make fewer than `LEAST_BLOCKS` blocks.
    """
    known = _known(hits)
    low, high = _ends(_means(known, overlap, seed)[:, 0])
    return Change(value=float(known.mean()), low=low, high=high)


def _known(values: np.ndarray) -> np.ndarray:
    """Rows (N, k) that hold numbers only."""
    table = values.reshape(len(values), -1)
    return table[~np.isnan(table).any(1)]


def _means(values: np.ndarray, overlap: int, seed: int) -> np.ndarray:
    """Means of the columns over blocks that were drawn with replacement, (DRAWS, k)."""
    block = block_length(len(values), overlap)
    if len(values) < LEAST_BLOCKS * block:
        raise DataError(
            f"{len(values):,} windows are {len(values) // block} blocks of {block}, too few to tell luck "
            f"from gain; at least {LEAST_BLOCKS} are needed."
        )
    starts = np.random.default_rng(seed).integers(
        0, len(values), size=(DRAWS, -(-len(values) // block))
    )
    sums = [_circular_sums(column, block)[starts].sum(1) for column in values.T]
    return np.stack(sums, axis=1) / (block * starts.shape[1])


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Where the tails of a bootstrap's values begin."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _ratio(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    whole = now / np.maximum(before, SMALLEST)
    made: np.ndarray = whole[:, 0] / whole[:, 1] if whole.shape[1] > 1 else whole[:, 0]
    return made


def overlap_of(begins: np.ndarray, ends: np.ndarray) -> int:
    """How many later windows begin before one has ended, at most; both rising, in any unit."""
    after = np.searchsorted(begins, ends, side="left") - np.arange(len(begins)) - 1
    return max(int(after.max(initial=0)), 0)


def block_length(count: int, overlap: int) -> int:
    """Windows of a block: the cube root of all, and twice as many as overlap at least."""
    return max(round(count ** (1 / 3)), 2 * overlap, 1)


def _circular_sums(values: np.ndarray, block: int) -> np.ndarray:
    """Sums of the block that begins at every value; the last ones go on at the first."""
    around = np.concatenate([[0.0], values, values[:block]]).cumsum()
    sums: np.ndarray = around[block : block + len(values)] - around[: len(values)]
    return sums


def diebold_mariano(a: np.ndarray, b: np.ndarray, overlap: int) -> float:
    """Two-sided p of the difference of mean losses; 1 where all differences are the same 0."""
    d = a - b
    n, mean = len(d), float(d.mean())
    centred = d - mean
    lags = [float(centred[k:] @ centred[: n - k]) / n for k in range(min(overlap, n - 1) + 1)]
    variance = lags[0] + 2 * sum(lags[1:])
    if variance <= 0:  # which Bartlett's weights never make it
        weights = [1 - k / (overlap + 1) for k in range(len(lags))]
        variance = lags[0] + 2 * sum(w * c for w, c in zip(weights[1:], lags[1:], strict=True))
    if variance <= 0:
        return 1.0 if mean == 0 else 0.0
    h = overlap + 1
    corrected = max((n + 1 - 2 * h + h * (h - 1) / n) / n, 1 / n)
    statistic = np.sqrt(corrected) * mean / np.sqrt(variance / n)
    return float(2 * stats.t.sf(abs(statistic), n - 1))
