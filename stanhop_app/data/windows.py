"""Splits and windows over one float32 array; a batch is gathered by index.

Shape letters: B batch, T lookback, L horizon, C variates, N rows.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from stanhop_app.errors import DataError, OptionError

BATCH_FLOATS = 2**21
"""Numbers gathered at a time where nothing is trained."""
LARGEST_BATCH = 4096
"""Windows of one column that are forecast at a time."""
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
class Along:
    """What lies beside the values, row by row; K covariates, S series, k of a series."""

    covariates: Tensor
    """(N, K) float32, those that are known ahead first."""
    static: Tensor
    """(S, k) float32."""
    starts: Tensor
    """(S,) first row of every series."""
    effect: Tensor | None = None
    """(N, C) what a regression on the covariates says of every value, scaled; the values of windows are
    those less it. None: nothing."""
    skipped: int = 0
    """Covariates, the first ones, that networks do not read."""

    def to(self, device: torch.device) -> "Along":
        """The same on a device."""
        moved = {
            name: getattr(self, name).to(device) for name in ("covariates", "static", "starts")
        }
        return replace(self, **moved)


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
    along: Along | None = None
    """What lies beside the values; None: nothing."""
    clock: Tensor | None = None
    """(N, 2) float64, when every row is (`stanhop_app.data.calendar.clock`); None: nobody knows."""

    @cached_property
    def holes(self) -> bool:
        """Whether some values are not known, which is NaN."""
        return bool(self.values.isnan().any())

    def __len__(self) -> int:
        return max(self.last - self.horizon + 1 - max(self.first, self.lookback), 0)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by number: (B,) -> inputs (B, T, C) and targets (B, L, C)."""
        windows = self.values[self.rows(indices)]
        return windows[:, : self.lookback], windows[:, self.lookback :]

    def rows(self, indices: Tensor) -> Tensor:
        """Rows of windows by number: (B,) -> (B, T + L)."""
        origins = indices.to(self.values.device) + max(self.first, self.lookback)
        steps = torch.arange(-self.lookback, self.horizon, device=self.values.device)
        return origins[:, None] + steps

    def beside(self, indices: Tensor) -> dict[str, Tensor]:
        """What a network reads beside windows, by keyword: "covariates" (B, T + L, K), "static" (B, k).

        Nothing where there are none. Covariates that are not known ahead are there of the horizon too: the
        network does not look at them.
        """
        if self.along is None:
            return {}
        rows = self.rows(indices)
        number = torch.searchsorted(self.along.starts, rows[:, -1].contiguous(), right=True) - 1
        return {
            "covariates": self.along.covariates[rows][..., self.along.skipped :],
            "static": self.along.static[number],
        }

    def inputs(self, indices: Tensor) -> dict[str, Tensor]:
        """All that a network reads of windows, by keyword: "x" (B, T, C), and what is `beside` them."""
        return {"x": self.gather(indices)[0], **self.beside(indices)}

    def effect(self, indices: Tensor) -> Tensor | None:
        """What the regression on covariates says of the targets of windows, (B, L, C), if there is one."""
        if self.along is None or self.along.effect is None:
            return None
        return self.along.effect[self.rows(indices)[:, self.lookback :]]

    def when(self, indices: Tensor) -> Tensor | None:
        """When the first target of windows is, (B, 2) as of ``clock``; None: nobody knows."""
        return None if self.clock is None else self.clock[self.rows(indices)[:, self.lookback]]

    def raw(self) -> Self:
        """The same windows of the values themselves, not less an effect."""
        if self.along is None or self.along.effect is None:
            return self
        along = replace(self.along, effect=None)
        return replace(self, values=self.values + self.along.effect, along=along)

    def plain(self) -> Self:
        """The same windows of the values themselves, with nothing beside them."""
        return self if self.along is None else replace(self.raw(), along=None)

    def thinned(self, most: int) -> "Windows":
        """All of them: those of one series are never too many (see `SeriesWindows`)."""
        return self

    def head(self, count: int) -> "Windows":
        """The first of them, so many at most."""
        end = max(self.first, self.lookback) + self.horizon - 1 + count
        return replace(self, last=min(self.last, end))

    def balanced(self) -> "Windows":
        """As many of each series as of any other (see `SeriesWindows`): all, of one."""
        return self

    def batches(self, size: int | None = None) -> list[Tensor]:
        """Numbers of all windows in order, in batches of at most ``size``; default by memory."""
        floats = self.values.shape[1] * (self.lookback + self.horizon)
        size = size or max(BATCH_FLOATS // floats, 1)
        return list(torch.arange(len(self)).split(int(size)))


def evenly(count: int, most: int) -> Tensor:
    """Numbers below ``count``, at most so many, evenly over all."""
    return torch.linspace(0, count - 1, min(count, most), dtype=torch.float64).round().long()


def split_windows(
    values: Tensor, split: Split, lookback: int, horizon: int, along: Along | None = None
) -> tuple[Windows, Windows, Windows]:
    """Train, validation and test windows of scaled values (N, C).

    Raises:
        DataError: if a part is too short for one window, saying how many rows are needed.
    """
    borders = ((0, split.train), (split.train, split.validation), (split.validation, split.test))
    train, validation, test = (
        Windows(
            values=values, first=first, last=last, lookback=lookback, horizon=horizon, along=along
        )
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

    def rows(self, indices: Tensor) -> Tensor:
        """Rows of windows by number: (B,) -> (B, T + L)."""
        device, chosen = self.values.device, indices.to(self.origins.device)
        origins, begins = (x[chosen].to(device) for x in (self.origins, self.begins))
        steps = torch.arange(-self.lookback, self.horizon, device=device)
        return torch.maximum(origins[:, None] + steps, begins[:, None])

    def batches(self, size: int | None = None) -> list[Tensor]:
        """Numbers of all windows in order; of few columns fewer than memory of the windows allows.

        What a network makes of a window takes as much for one column as for each of many.
        """
        return super().batches(size or max(LARGEST_BATCH // self.values.shape[1], 1))

    def head(self, count: int) -> "SeriesWindows":
        """The first of them, so many at most."""
        return replace(self, origins=self.origins[:count], begins=self.begins[:count])

    def balanced(self) -> "SeriesWindows":
        """As many windows as there are, and as many of each series as of any other.

        Of a long series some are left out, evenly over all; those of a short one are there several times.
        """
        _, counts = torch.unique_consecutive(self.begins, return_counts=True)
        share = -(-len(self) // max(len(counts), 1))
        firsts = counts.cumsum(0) - counts
        steps = torch.linspace(0, 1, share, dtype=torch.float64)
        kept = firsts[:, None] + (steps * (counts[:, None] - 1)).round().long()
        kept = kept.flatten()
        return replace(self, origins=self.origins[kept], begins=self.begins[kept])

    def thinned(self, most: int) -> "SeriesWindows":
        """At most so many of them, evenly over all."""
        if len(self) <= most:
            return self
        kept = evenly(len(self), most)
        return replace(self, origins=self.origins[kept], begins=self.begins[kept])
