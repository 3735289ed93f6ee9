"""A panel: series of the same variates, with the borders of their split and their scaler.

Whatever is computed from the whole table (scaled values, fingerprint) is computed when it is first asked
for, once, and shared by everything that is given the panel.
Shape letters: N rows of all series, C variates.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.frame import frame_frequency
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import (
    Split,
    Windows,
    series_windows,
    split_rows,
    split_windows,
    used_series,
)
from stanhop_app.errors import DataError, OptionError
from stanhop_app.layers.names import PARTS

SCALED = 10
"""Training rows from which one of many series is scaled; of fewer all its rows say how large it is."""
FARTHEST = 1e15
"""Deviations from the training rows whose squares, summed, a 32-bit float holds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One or many series, flat: the rows of one series follow those of the one before.

    Examples:
        >>> from stanhop_app import datasets
        >>> panel = Panel.of(datasets.load("sample"), "14/5/5")
        >>> panel.borders.train, len(panel.windows(168, 24)["train"])
        (2071, 1880)
    """

    frame: pd.DataFrame
    """Rows of all series (N, C), original units; of one series a regular frame (`data.frame.to_frame`)."""
    splits: tuple[Split, ...]
    """Borders of every series, in its own rows."""
    scalers: tuple[Scaler, ...]
    """One scaler a series, fitted on its training rows."""
    split: str = "14/5/5"
    """What the borders were made from, by name or ratio."""
    starts: tuple[int, ...] = (0,)
    """First row of every series in the flat frame."""
    ids: tuple[str, ...] = ("",)
    """Name of every series; empty for the only series of a wide table."""
    id_name: str = ""
    """Name of the column of ids of a long table; empty for a wide one."""
    steps: str | None = None
    """Frequency of many series; that of a wide table is its index's own."""

    def __post_init__(self) -> None:
        _spans(self.starts, len(self.frame))
        if len({len(self.starts), len(self.ids), len(self.splits), len(self.scalers)}) > 1:
            raise OptionError(
                f"a panel of {len(self.ids)} series needs as many starts, splits and scalers, got "
                f"{len(self.starts)}, {len(self.splits)} and {len(self.scalers)}."
            )
        if len(set(self.ids)) < len(self.ids):
            raise OptionError("every series of a panel needs a name of its own.")

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        split: str = "14/5/5",
        *,
        starts: Sequence[int] = (0,),
        ids: Sequence[str] = ("",),
    ) -> "Panel":
        """Split every series in time order, and fit its scaler on its training rows.

        Args:
            frame: rows of all series.
            split: "A/B/C" or a name (`stanhop_app.data.windows.split_rows`), of every series.
            starts: first row of every series.
            ids: their names.

        Raises:
            DataError: if a named split needs more rows.
            OptionError: if the split is of no known form, or starts and ids do not fit the rows.
        """
        values = frame.to_numpy(dtype=np.float64)
        splits, scalers = [], []
        for first, last in _spans(starts, len(frame)):
            borders = split_rows(last - first, split)
            splits.append(borders)
            rows = borders.train if borders.train >= SCALED or len(starts) == 1 else last - first
            scalers.append(Scaler.fit(values[first : first + max(rows, 1)]))
        return cls(
            frame=frame,
            splits=tuple(splits),
            scalers=tuple(scalers),
            split=split,
            starts=tuple(starts),
            ids=tuple(ids),
        )

    @classmethod
    def of_series(cls, table: SeriesTable, split: str) -> "Panel":
        """The panel of a long table as many series; the split is of each."""
        panel = cls.of(table.frame, split, starts=table.starts, ids=table.ids)
        return replace(panel, id_name=table.id_name, steps=table.frequency)

    @classmethod
    def of_any(cls, table: pd.DataFrame | SeriesTable, split: str) -> "Panel":
        """The panel of a wide table, or of many series."""
        if isinstance(table, SeriesTable):
            return cls.of_series(table, split)
        return cls.of(table, split)

    def __len__(self) -> int:
        """Rows of all series."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Names of the variates."""
        return list(self.frame.columns)

    @property
    def index(self) -> pd.Index:
        """Time stamps, or numbers, of the rows."""
        return self.frame.index

    @property
    def frequency(self) -> str | None:
        """Pandas alias, or None where rows are only numbered."""
        return frame_frequency(self.frame) if self.steps is None else self.steps

    @property
    def is_many(self) -> bool:
        """Whether it is of a long table as many series, if only one of them is there."""
        return self.id_name != ""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First row of every series, and the row after its last."""
        return _spans(self.starts, len(self))

    @property
    def borders(self) -> Split:
        """Borders of the only series.

        Raises:
            OptionError: if there are several.
        """
        return self.splits[self._only()]

    @property
    def scaler(self) -> Scaler:
        """Scaler of the only series.

        Raises:
            OptionError: if there are several.
        """
        return self.scalers[self._only()]

    @property
    def outer_scaler(self) -> Scaler:
        """The scaler of a wide table; of many series, each of which has its own, one that does nothing."""
        count = len(self.columns)
        nothing = Scaler(mean=(0.0,) * count, scale=(1.0,) * count)
        return nothing if self.is_many else self.scaler

    @property
    def total_borders(self) -> Split:
        """Rows of each part up to its end, summed over the series."""
        parts = ("train", "validation", "test")
        return Split(**{part: sum(getattr(s, part) for s in self.splits) for part in parts})

    @property
    def train_end(self) -> str:
        """The last training row of any series, as its time stamp is printed."""
        pairs = zip(self.spans, self.splits, strict=True)
        return str(max(self.index[first + max(split.train, 1) - 1] for (first, _), split in pairs))

    @cached_property
    def values(self) -> np.ndarray:
        """(N, C) float64, original units."""
        return self.frame.to_numpy(dtype=np.float64)

    @cached_property
    def scaled(self) -> Tensor:
        """(N, C) float32, every series by its own scaler.

        Raises:
            DataError: if a value is so far from the training rows that its square is no number.
        """
        parts = [
            scaler.transform(self.values[first:last])
            for scaler, (first, last) in zip(self.scalers, self.spans, strict=True)
        ]
        scaled = np.concatenate(parts)
        far = np.argwhere(~(np.abs(scaled) <= FARTHEST) & ~np.isnan(self.values))
        if len(far):
            row, column = far[0]
            raise DataError(
                f"column {self.columns[column]!r} has {len(far)} values more than {FARTHEST:g} deviations of "
                f"the training rows away, first in row {row + 1}: {self.values[row, column]:g}; mend them, "
                "or choose other columns (--columns)."
            )
        return torch.from_numpy(scaled)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of columns, time stamps and values, and of the names and starts of several series."""
        digest = fingerprint(self.frame)
        if not self.is_many and len(self.ids) == 1:
            return digest
        series = "\n".join(
            f"{start} {name}" for start, name in zip(self.starts, self.ids, strict=True)
        )
        return hashlib.sha256(f"{digest}\n{series}".encode()).hexdigest()

    def series(self, name: str) -> "Panel":
        """The panel of one series.

        Raises:
            KeyError: if there is none of this name.
        """
        if name not in self.ids:
            raise KeyError(name)
        number = self.ids.index(name)
        first, last = _spans(self.starts, len(self))[number]
        return Panel(
            frame=self.frame.iloc[first:last],
            splits=(self.splits[number],),
            scalers=(self.scalers[number],),
            split=self.split,
            ids=(name,),
        )

    def windows(self, lookback: int, horizon: int) -> dict[str, Windows]:
        """Windows by part, "train", "validation", "test": of the only series, or of all of a long table.

        Raises:
            DataError: if a part is too short for one window, saying how many rows are needed.
            OptionError: if there are several series of no long table.
        """
        if self.is_many:
            return self._series_windows(lookback, horizon)
        parts = split_windows(self.scaled, self.borders, lookback, horizon)
        return dict(zip(PARTS, parts, strict=True))

    def whole(self, lookback: int, horizon: int) -> Windows:
        """Windows of all rows, whatever part they are of."""
        if not self.is_many:
            return Windows(
                values=self.scaled, first=0, last=len(self), lookback=lookback, horizon=horizon
            )
        splits = [Split(train=b - a, validation=b - a, test=b - a) for a, b in self.spans]
        used = self.used(horizon)
        return series_windows(self.scaled, self.spans, splits, lookback, horizon, used)["train"]

    def used(self, horizon: int) -> list[bool]:
        """Whether each of many series is fitted and scored (`used_series`); all are forecast."""
        return used_series(self.values, self.scaled, self.spans, self.splits, horizon)

    def _series_windows(self, lookback: int, horizon: int) -> dict[str, Windows]:
        used = self.used(horizon)
        parts = series_windows(self.scaled, self.spans, self.splits, lookback, horizon, used)
        for part in ("train", "validation"):
            if len(parts[part]) == 0:
                longest = max(last - first for first, last in self.spans)
                raise DataError(
                    f"too few rows: no series has a {part} window of horizon {horizon} under split "
                    f"{self.split}; the longest has {longest} rows; take a smaller horizon or another split."
                )
        return dict(parts)

    def _only(self) -> int:
        if len(self.ids) > 1:
            raise OptionError(f"the panel has {len(self.ids)} series; take one with series(name).")
        return 0


def _spans(starts: Sequence[int], rows: int) -> list[tuple[int, int]]:
    """First row of every series, and the row after its last."""
    edges = [*starts, rows]
    spans = list(pairwise(edges))
    if edges[0] != 0 or any(last < first for first, last in spans):
        raise OptionError(f"starts must rise from 0 within the {rows} rows, got {tuple(starts)}.")
    return spans
