"""A panel: series of the same variates, with the borders of their split and their scaler.

Whatever is computed from the whole table (scaled values, fingerprint) is computed when it is first asked
for, once, and shared by everything that is given the panel.
Shape letters: N rows of all series, C variates.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.frame import frame_frequency, time_index
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows, split_rows, split_windows
from stanhop_app.errors import DataError, OptionError
from stanhop_app.layers.names import PARTS

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
            scalers.append(Scaler.fit(values[first : first + max(borders.train, 1)]))
        return cls(
            frame=frame,
            splits=tuple(splits),
            scalers=tuple(scalers),
            split=split,
            starts=tuple(starts),
            ids=tuple(ids),
        )

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
        return frame_frequency(self.frame)

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
    def train_end(self) -> str:
        """The last training row, as its time stamp is printed."""
        return str(self.index[self.borders.train - 1])

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
        spans = _spans(self.starts, len(self))
        parts = [
            scaler.transform(self.values[first:last])
            for scaler, (first, last) in zip(self.scalers, spans, strict=True)
        ]
        scaled = np.concatenate(parts)
        far = np.argwhere(~(np.abs(scaled) <= FARTHEST))
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
        if len(self.ids) == 1:
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
        """Windows of the only series by part: "train", "validation", "test".

        Raises:
            DataError: if a part is too short for one window, saying how many rows are needed.
            OptionError: if there are several series.
        """
        parts = split_windows(self.scaled, self.borders, lookback, horizon)
        return dict(zip(PARTS, parts, strict=True))

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


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's columns, time stamps and values."""
    digest = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    index = time_index(frame)
    if index is not None:
        digest.update(index.as_unit("ns").asi8.tobytes())
    digest.update(np.ascontiguousarray(frame.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
