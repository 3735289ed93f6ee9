"""Splits and windows over one float32 array; a batch is gathered by index.

Shape letters: B batch, T lookback, L horizon, C variates, N rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from stanhop_app.errors import DataError, OptionError

BATCH_FLOATS = 2**21
"""Numbers gathered at a time where nothing is trained."""
LARGEST_BATCH = 4096
"""Windows of one column that are forecast at a time."""
UNLIKE = 1000.0
"""Deviations of its training rows beyond which one of many series would drown all others."""
NAMED_SPLITS: dict[str, tuple[int, int, int]] = {"etth": (8640, 2880, 2880)}
"""Splits by numbers of rows: "etth" is that of the published ETTh1 tables (12/4/4 months)."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Borders of train, validation and test in time order: [0, train), [train, validation), ..."""

    train: int
    """First row after the training part."""
    validation: int
    """First row after the validation part."""
    test: int
    """First row after the test part; rows beyond it are not used."""

    def __str__(self) -> str:
        return f"{self.train}/{self.validation - self.train}/{self.test - self.validation} rows"


def split_rows(rows: int, split: str = "14/5/5") -> Split:
    """Borders of a split of ``rows`` rows.

    Args:
        rows: number of rows N.
        split: "A/B/C", a ratio in time order (train ends at floor(N*A/(A+B+C)), validation at
            floor(N*(A+B)/(A+B+C)); C may be 0: no test part), "*/B/C", the last B + C rows, or a name in
            `NAMED_SPLITS`.

    Raises:
        OptionError: if the split is not of that form.
        DataError: if a named split needs more rows.
    """
    counted = re.fullmatch(r"\*/(\d+)/(\d+)", split)
    if counted:
        validation, test = (int(part) for part in counted.groups())
        borders = (max(rows - validation - test, 0), max(rows - test, 0), rows)
        return Split(train=borders[0], validation=borders[1], test=borders[2])
    if split in NAMED_SPLITS:
        train, validation, test = NAMED_SPLITS[split]
        if rows < train + validation + test:
            raise DataError(
                f"split {split} needs {train + validation + test} rows, the table has {rows}."
            )
        return Split(train=train, validation=train + validation, test=train + validation + test)
    match = re.fullmatch(r"(\d+)/(\d+)/(\d+)", split)
    a, b, c = (int(part) for part in match.groups()) if match else (0, 0, 0)
    if not a or not b:
        raise OptionError(
            f"split must be a ratio A/B/C with A and B above 0, such as 14/5/5, or one of "
            f"{', '.join(NAMED_SPLITS)}; got {split!r}."
        )
    whole = a + b + c
    return Split(train=rows * a // whole, validation=rows * (a + b) // whole, test=rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """All stride-1 windows whose targets lie in rows [first, last) of one array.

    A window may look back before ``first``; its targets may not. Nothing is copied until `gather`.
    """

    values: Tensor
    """(N, C) float32, scaled."""
    first: int
    """First row that may be a target."""
    last: int
    """First row that may no longer be one."""
    lookback: int
    horizon: int

    @cached_property
    def holes(self) -> bool:
        """Whether some values are not known, which is NaN."""
        return bool(self.values.isnan().any())

    def __len__(self) -> int:
        return max(self.last - self.horizon + 1 - max(self.first, self.lookback), 0)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by number: (B,) -> inputs (B, T, C) and targets (B, L, C)."""
        origins = indices.to(self.values.device) + max(self.first, self.lookback)
        steps = torch.arange(-self.lookback, self.horizon, device=self.values.device)
        windows = self.values[origins[:, None] + steps]
        return windows[:, : self.lookback], windows[:, self.lookback :]

    def thinned(self, most: int) -> "Windows":
        """All of them: those of one series are never too many (see `SeriesWindows`)."""
        return self

    def batches(self, size: int | None = None) -> list[Tensor]:
        """Numbers of all windows in order, in batches of at most ``size``; default by memory."""
        floats = self.values.shape[1] * (self.lookback + self.horizon)
        size = size or max(BATCH_FLOATS // floats, 1)
        return list(torch.arange(len(self)).split(int(size)))


def split_windows(
    values: Tensor, split: Split, lookback: int, horizon: int
) -> tuple[Windows, Windows, Windows]:
    """Train, validation and test windows of scaled values (N, C).

    Raises:
        DataError: if a part is too short for one window, saying how many rows are needed.
    """
    borders = ((0, split.train), (split.train, split.validation), (split.validation, split.test))
    train, validation, test = (
        Windows(values=values, first=first, last=last, lookback=lookback, horizon=horizon)
        for first, last in borders
    )
    parts = {"training": train, "validation": validation}
    if split.test > split.validation:
        parts["test"] = test
    for name, windows in parts.items():
        if len(windows) == 0:
            needed = horizon + (lookback if name == "training" else 0)
            fits = windows.last - horizon
            hint = (
                f"; the largest lookback that fits is {fits}"
                if train is windows and fits > 0
                else ""
            )
            smaller = (
                "a smaller lookback or" if name == "training" else "another split or a smaller"
            )
            raise DataError(
                f"too few rows: the {name} part has {windows.last - windows.first}, but lookback "
                f"{lookback} and horizon {horizon} need at least {needed} there{hint}; bring more rows, "
                f"or choose {smaller} horizon."
            )
    return train, validation, test


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesWindows(Windows):
    """Windows of many series that lie one behind the other in one array.

    A series that is shorter than the lookback is continued to the left by its first value: no row of
    another series is read.
    """

    origins: Tensor
    """(M,) first target row of every window."""
    begins: Tensor
    """(M,) first row of the series that each window is of."""

    def __len__(self) -> int:
        return len(self.origins)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by number: (B,) -> inputs (B, T, C) and targets (B, L, C)."""
        device, chosen = self.values.device, indices.to(self.origins.device)
        origins, begins = (x[chosen].to(device) for x in (self.origins, self.begins))
        steps = torch.arange(-self.lookback, self.horizon, device=device)
        rows = torch.maximum(origins[:, None] + steps, begins[:, None])
        windows = self.values[rows]
        return windows[:, : self.lookback], windows[:, self.lookback :]

    def batches(self, size: int | None = None) -> list[Tensor]:
        """Numbers of all windows in order; of few columns fewer than memory of the windows allows.

        What a network makes of a window takes as much for one column as for each of many.
        """
        return super().batches(size or max(LARGEST_BATCH // self.values.shape[1], 1))

    def thinned(self, most: int) -> "SeriesWindows":
        """At most so many of them, evenly over all."""
        if len(self) <= most:
            return self
        kept = torch.linspace(0, len(self) - 1, most, dtype=torch.float64).round().long()
        return replace(self, origins=self.origins[kept], begins=self.begins[kept])


def series_windows(
    values: Tensor,
    spans: Sequence[tuple[int, int]],
    splits: Sequence[Split],
    lookback: int,
    horizon: int,
    used: Sequence[bool] | None = None,
) -> dict[str, SeriesWindows]:
    """Windows of every part over all series; a series too short for a part has none there.

    A training window reads the whole lookback where the training rows of its series hold one such
    window. Of a shorter series those count that read at least half of what comes before their targets, as
    in `stanhop_app.forecasting.suited`. Windows of the other parts read what there is.

    Args:
        values: (N, C) scaled.
        spans: first row of every series, and the row after its last.
        splits: borders of every series, in its own rows.
        lookback: steps that are read.
        horizon: steps forecast.
        used: whether the windows of each series are; None: all.
    """
    chosen: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "validation": [], "test": []}
    for number, ((begin, _), split) in enumerate(zip(spans, splits, strict=True)):
        if used is not None and not used[number]:
            continue
        free = split.train - horizon
        first = lookback if free >= lookback else max(free // 2, 1)
        borders = {
            "train": (first, split.train),
            "validation": (max(split.train, 1), split.validation),
            "test": (max(split.validation, 1), split.test),
        }
        for part, (start, stop) in borders.items():
            origins = np.arange(begin + start, begin + stop - horizon + 1)
            chosen[part].append((origins, begin))
    return {
        part: SeriesWindows(
            values=values,
            first=0,
            last=len(values),
            lookback=lookback,
            horizon=horizon,
            origins=torch.from_numpy(np.concatenate([np.zeros(0, int), *(o for o, _ in pairs)])),
            begins=torch.from_numpy(
                np.repeat(np.array([b for _, b in pairs], dtype=int), [len(o) for o, _ in pairs])
            ),
        )
        for part, pairs in chosen.items()
    }


def used_series(
    values: np.ndarray,
    scaled: Tensor,
    spans: Sequence[tuple[int, int]],
    splits: Sequence[Split],
    horizon: int,
) -> list[bool]:
    """Whether each of many series is fitted and scored.

    Left out are those without a training window, and those that are constant there or later lie far from
    there: in their deviations they would outweigh all others.
    """
    used = []
    for (first, last), split in zip(spans, splits, strict=True):
        rows = values[first : first + split.train]
        known = (~np.isnan(rows)).sum(0)
        enough = split.train > horizon and bool(known.min() > 1)
        varies = enough and bool((np.nanmax(rows, 0) > np.nanmin(rows, 0)).any())
        used.append(varies and float(scaled[first:last].abs().nan_to_num(0.0).max()) < UNLIKE)
    return used
