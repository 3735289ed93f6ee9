"""A panel: series of the same variates, with the borders of their split and their scaler.

Whatever is computed from the whole table (scaled values, fingerprint) is computed when it is first asked
for, once, and shared by everything that is given the panel.
Shape letters: N rows of all series, C variates.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.calendar import clock
from stanhop_app.data.covariates import Covariates
from stanhop_app.data.cutting import (
    along_of,
    check_windows,
    scalers_of,
    series_windows,
    spans_of,
    used_series,
)
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.rows import Rows
from stanhop_app.data.scaler import Scaler, check_near
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import Along, Split, Windows, split_rows, split_windows
from stanhop_app.errors import OptionError
from stanhop_app.layers.names import PARTS


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel(Rows):
    """Rows of one or many series with the borders of their split, their scalers and what lies beside them.

    Examples:
        >>> from stanhop_app import datasets
        >>> panel = Panel.of(datasets.load("sample"), "14/5/5")
        >>> panel.borders.train, len(panel.windows(168, 24)["train"])
        (2071, 1880)
    """

    splits: tuple[Split, ...]
    """Borders of every series, in its own rows."""
    scalers: tuple[Scaler, ...]
    """One scaler a series, fitted on its training rows."""
    split: str = "14/5/5"
    """What the borders were made from, by name or ratio."""
    covariates: Covariates | None = None
    """What is known beside the values, of the future too; None: nothing."""
    along: Along | None = None
    """The same as networks read it, of the rows that there are (`encoded`); None: not yet, or nothing."""

    def __post_init__(self) -> None:
        spans_of(self.starts, len(self.frame))
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
        spans = spans_of(starts, len(frame))
        splits = tuple(split_rows(last - first, split) for first, last in spans)
        return cls(
            frame=frame,
            splits=splits,
            scalers=scalers_of(frame.to_numpy(dtype=np.float64), spans, splits),
            split=split,
            starts=tuple(starts),
            ids=tuple(ids),
        )

    @classmethod
    def of_series(cls, table: SeriesTable, split: str) -> "Panel":
        """The panel of a long table as many series; the split is of each."""
        panel = cls.of(table.frame, split, starts=table.starts, ids=table.ids)
        return replace(
            panel,
            id_name=table.id_name,
            numbered=table.numbered,
            steps=table.frequency,
            covariates=table.covariates,
        )

    @classmethod
    def of_any(cls, table: pd.DataFrame | SeriesTable, split: str) -> "Panel":
        """The panel of a wide table, or of many series."""
        if isinstance(table, SeriesTable):
            return cls.of_series(table, split)
        return cls.of(table, split)

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
        check_near(scaled, self.values, self.columns)
        return torch.from_numpy(scaled)

    def with_scaled(self, scaled: Tensor) -> "Panel":
        """The same table with other scaled values (N, C)."""
        panel = replace(self)
        panel.__dict__["scaled"] = scaled
        return panel

    @property
    def adjusted(self) -> Tensor:
        """(N, C) scaled values less what a regression on the covariates says of them."""
        effect = None if self.along is None else self.along.effect
        return self.scaled if effect is None else self.scaled - effect

    def beside(self, encoder: Encoder) -> "Panel":
        """The panel with its covariates as networks read them."""
        return self._along(along_of(encoder, self.known, self.lengths))

    def less(self, effect: Tensor) -> "Panel":
        """The panel whose windows are of the values less this effect (N, C), in scaled units."""
        assert self.along is not None
        return self._along(replace(self.along, effect=effect))

    def _along(self, along: Along) -> "Panel":
        """The same table with this beside it; what was computed from the table stays."""
        panel = replace(self, along=along)
        kept = ("values", "scaled", "fingerprint", "clock")
        panel.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return panel

    @cached_property
    def clock(self) -> Tensor:
        """When every row is, (N, 2) float64 (`stanhop_app.data.calendar.clock`)."""
        return torch.from_numpy(clock(self.index, self.frequency))

    @property
    def nbytes(self) -> int:
        """Bytes of the values and of what is known beside them."""
        known = self.known.frame
        return self.values.nbytes + 8 * len(known) * len(known.columns)

    @property
    def known(self) -> Covariates:
        """What is known beside the values: the time stamps at least."""
        if self.covariates is not None:
            return self.covariates
        return Covariates.bare(self.index, self.starts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of columns, time stamps and values, and of the names and starts of several series."""
        digest = fingerprint(self.frame)
        if self.covariates is not None:
            digest = hashlib.sha256(
                f"{digest} {self.covariates.fingerprint()}".encode()
            ).hexdigest()
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
        first, last = self.spans[number]
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
        if not self.is_many:
            three = split_windows(self.adjusted, self.borders, lookback, horizon, self.along)
            clocked = (replace(windows, clock=self.clock) for windows in three)
            return dict(zip(PARTS, clocked, strict=True))
        parts = self._of_series(self.splits, lookback, horizon)
        check_windows(parts, max(self.lengths), horizon, self.split)
        return parts

    def whole(self, lookback: int, horizon: int) -> Windows:
        """Windows of all rows, whatever part they are of."""
        if not self.is_many:
            return Windows(
                values=self.adjusted,
                first=0,
                last=len(self),
                lookback=lookback,
                horizon=horizon,
                along=self.along,
                clock=self.clock,
            )
        splits = [Split(train=rows, validation=rows, test=rows) for rows in self.lengths]
        return self._of_series(splits, lookback, horizon)["train"]

    def _of_series(
        self, splits: Sequence[Split], lookback: int, horizon: int
    ) -> dict[str, Windows]:
        used = self.used(horizon)
        parts = series_windows(
            self.adjusted, self.spans, splits, lookback, horizon, used, self.along
        )
        return {part: replace(windows, clock=self.clock) for part, windows in parts.items()}

    def used(self, horizon: int) -> list[bool]:
        """Whether each of many series is fitted and scored (`used_series`); all are forecast."""
        return used_series(self.values, self.scaled, self.spans, self.splits, horizon)

    def _only(self) -> int:
        if len(self.ids) > 1:
            raise OptionError(f"the panel has {len(self.ids)} series; take one with series(name).")
        return 0
