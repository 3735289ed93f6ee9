"""Long tables as many series: rows of one series follow those of the one before, each regular by itself.

`stanhop_app.data.frame` widens a long table to one column a series, which needs series of equal spans. Here
they may begin and end when they like: every series is one of its own, and all have the same columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from stanhop_app.data.columns import numeric
from stanhop_app.data.frame import Arranged, as_columns, regular, taken
from stanhop_app.data.frequency import regular_grid
from stanhop_app.data.holes import fill, make_regular
from stanhop_app.data.long import guess_id_column, names
from stanhop_app.data.reading import filling
from stanhop_app.data.source import source_name
from stanhop_app.data.table import read_table
from stanhop_app.data.zones import with_known_zone
from stanhop_app.errors import DataError, OptionError


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesTable:
    """Many series, flat."""

    frame: pd.DataFrame
    """Rows of all series (N, C), float64; the index holds time stamps, which begin anew with each series."""
    starts: tuple[int, ...]
    """First row of every series."""
    ids: tuple[str, ...]
    """Names of the series, in the order in which the table has them."""
    frequency: str
    id_name: str
    """Name of the column of ids."""
    notes: tuple[str, ...]
    proved: Mapping[str, Any]
    filled: int
    """Values that were filled."""

    def __len__(self) -> int:
        """Series."""
        return len(self.ids)

    def spans(self) -> list[tuple[int, int]]:
        """First row of every series, and the row after its last."""
        edges = [*self.starts, len(self.frame)]
        return list(pairwise(edges))

    def long(self) -> pd.DataFrame:
        """A frame of ids, time stamps and values, as a long table is written."""
        lengths = [last - first for first, last in self.spans()]
        frame = self.frame.reset_index(names=str(self.frame.index.name or "time"))
        frame.insert(0, self.id_name, np.repeat(self.ids, lengths))
        return frame

    def chosen(self, ids: Sequence[str]) -> "SeriesTable":
        """Some of the series, in this order.

        Raises:
            OptionError: for a name that is not there.
        """
        known = {name: number for number, name in enumerate(self.ids)}
        unknown = [name for name in ids if name not in known]
        if unknown or len(set(ids)) < len(ids) or not ids:
            what = f"no series {unknown[0]!r}" if unknown else "a series is named twice, or none is"
            raise OptionError(
                f"{what}; there are {len(known):,}, such as {', '.join(self.ids[:5])} (ids, --ids)."
            )
        spans = [self.spans()[known[name]] for name in ids]
        rows = np.concatenate([np.arange(first, last) for first, last in spans])
        lengths = np.array([last - first for first, last in spans])
        return replace(
            self,
            frame=self.frame.iloc[rows],
            starts=tuple((lengths.cumsum() - lengths).tolist()),
            ids=tuple(ids),
        )

    def aligned(self) -> bool:
        """Whether all series have the same time stamps."""
        index = self.frame.index
        first = index[: self.spans()[0][1]]
        return all(index[a:b].equals(first) for a, b in self.spans())


def read_series(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> SeriesTable:
    """Read a long table: `read_table`, then `to_series` (see there)."""
    table = read_table(source, hints=hints, **options)
    return to_series(table, name=source_name(source), hints=hints, **options)


def to_series(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> SeriesTable:
    """Take a long table as many series.

    Args:
        table: frame of any library with a column of ids, one of time stamps, and one or several of values.
        name: how messages call it.
        hints: as of `stanhop_app.data.frame.to_frame`.
        **options: fields of `ReadingConfig`. The frequency is that of the longest series, if it is not said.

    Raises:
        DataError: naming series, column and row; OptionError for options that cannot be.
    """
    return as_series(taken(table, name=name, hints=hints, **options))


def as_series(opened: Arranged) -> SeriesTable:
    """A table that was taken (`stanhop_app.data.frame.taken`), as many series; errors as of `to_series`."""
    name = opened.name
    config, rows, times = opened.config, opened.frame, opened.times
    id_column = config.id_column or guess_id_column(rows, times, None)
    if id_column is None or id_column not in rows.columns:
        raise DataError(
            f"{name}: no column names the series; say id_column (--id-column), one of: "
            f"{', '.join(map(str, rows.columns))}."
        )
    codes, ids = _coded(rows[id_column], name)
    if config.calendar == "rows":
        raise OptionError("calendar=rows (--calendar rows) is for one table, not for many series.")
    columns = _value_columns(rows.drop(columns=id_column), name, opened)
    time_name = str(times.name or "time")
    clash = next((c for c in columns if c in (time_name, id_column)), None)
    if clash is not None or time_name == id_column:
        raise DataError(f"{name}: {clash or time_name!r} is the name of two columns; rename one.")
    order = np.lexsort((times.asi8, codes))
    values = {c: numeric(rows[c], name)[order] for c in columns}
    index = with_known_zone(pd.DatetimeIndex(times[order], freq=None), name)  # type: ignore[arg-type]
    flat = pd.DataFrame(values, index=index)
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    _reject_repeats(flat, codes[order], ids, name)
    frequency = _common_frequency(flat.index, starts, name, config.frequency)
    parts, filled = _regular(flat, starts, ids, name, frequency, config.missing)
    lengths = np.array([len(part) for part in parts])
    notes, zone = list(opened.notes), getattr(index.tz, "key", None)
    if filled:
        notes.append(f"{filled:,} values were filled by {config.missing}")
    left = sum(int(part.isna().to_numpy().sum()) for part in parts)
    if left:
        notes.append(f"{left:,} values are missing, and were left out (mask)")
    return SeriesTable(
        frame=pd.concat(parts) if len(parts) > 1 else parts[0],
        starts=tuple((lengths.cumsum() - lengths).tolist()),
        ids=tuple(ids),
        frequency=frequency,
        id_name=id_column,
        notes=tuple(notes),
        proved={**opened.proved, **({} if zone is None else {"time_zone": zone})},
        filled=filled,
    )


def _coded(column: pd.Series, name: str) -> tuple[np.ndarray, list[str]]:
    """Number of the series of every row, and their names; a name is made once, not once a row."""
    codes, unique = pd.factorize(column)
    ids = pd.Series(unique, name=column.name)
    if (codes < 0).any() or (ids.astype(str).str.strip() == "").any():
        names(column, name)  # names the first row that has none
    return codes, list(map(str, names(ids, name)))


def _value_columns(rows: pd.DataFrame, name: str, opened: Arranged) -> list[str]:
    config = opened.config
    wanted = [config.value_column] if config.value_column else config.columns or list(rows.columns)
    unknown = [c for c in wanted if c not in rows.columns]
    if unknown:
        raise DataError(
            f"{name}: unknown column {unknown[0]!r}; the columns are: "
            f"{', '.join(map(str, rows.columns))}."
        )
    return list(map(str, wanted))


def _reject_repeats(flat: pd.DataFrame, codes: np.ndarray, ids: Any, name: str) -> None:
    stamps = pd.DatetimeIndex(flat.index).asi8
    twice = np.r_[False, (np.diff(stamps) == 0) & (np.diff(codes) == 0)]
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{name}: {int(twice.sum())} rows repeat a time stamp of the same series, first that of "
            f"{str(ids[codes[row]])!r} at {flat.index[row]}."
        )


def _common_frequency(index: pd.Index, starts: np.ndarray, name: str, frequency: str | None) -> str:
    """The frequency of the longest series, or this one, by one name for one frequency."""
    edges = np.r_[starts, len(index)]
    longest = int(np.argmax(np.diff(edges)))
    own = pd.DatetimeIndex(index[edges[longest] : edges[longest + 1]])
    if frequency is not None and len(own) < 3:
        return frequency
    return str(regular_grid(own, name, frequency).freqstr)


def _regular(
    flat: pd.DataFrame,
    starts: np.ndarray,
    ids: list[str],
    name: str,
    frequency: str,
    missing: str,
) -> tuple[list[pd.DataFrame], int]:
    """Every series without gaps and holes, and the values that were filled.

    Series of the same time stamps, as most panels have them, are looked at once.
    """
    rules, edges = filling(missing), [*starts.tolist(), len(flat)]
    known: set[bytes] = set()
    holes = np.isnan(flat.to_numpy()).any(axis=1)
    parts, filled = [], 0
    for number, (first, last) in enumerate(pairwise(edges)):
        part = flat.iloc[first:last]
        stamps = pd.DatetimeIndex(part.index).asi8.tobytes()
        if stamps in known and not holes[first:last].any():
            parts.append(part)
            continue
        called = f"{name}, series {ids[number]!r}"
        if len(part) > 1:
            steps = make_regular(part, called, frequency, rules)
        else:
            steps = part
            _check_on_grid(part.index, called, frequency)
        whole = fill(steps, called, rules)
        if len(whole) == len(part):
            known.add(stamps)
        filled += int(steps.isna().to_numpy().sum()) - int(whole.isna().to_numpy().sum())
        parts.append(whole)
    return parts, filled


def _check_on_grid(index: pd.Index, name: str, frequency: str) -> None:
    """Refuse the only time stamp of a series where it does not belong to the frequency."""
    if len(pd.date_range(index[0], index[0], freq=frequency)) == 0:
        raise DataError(
            f"{name}: its only time stamp, {index[0]}, is none of frequency {frequency}."
        )


def read_any(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame | SeriesTable:
    """Read a table, and take it as it is meant (`take_any`)."""
    table = read_table(source, hints=hints, **options)
    return take_any(table, name=source_name(source), hints=hints, **options)


def take_any(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame | SeriesTable:
    """A wide table as a regular frame, a long one as many series, or widened.

    A long table is widened if ``joint`` says so or, where it says nothing, if all series have the same
    time stamps and one column of values. Arguments and errors are those of `to_frame` and `to_series`.
    """
    opened = taken(table, name=name, hints=hints, **options)
    config, joint = opened.config, opened.config.joint
    if joint is None and config.long is not False:
        joint = _is_wide(opened)
    if joint or config.long is False:
        return regular(as_columns(opened))
    return as_series(opened)


def _is_wide(opened: Arranged) -> bool:
    """Whether a table is wide, or becomes it without a hole."""
    config, rows = opened.config, opened.frame
    id_column = config.id_column or guess_id_column(rows, opened.times, config.columns)
    if id_column is None or id_column not in rows.columns:
        return True
    if config.value_column is None and len(rows.columns) > 2:
        return False
    counts = pd.Series(opened.times).groupby(rows[id_column].to_numpy()).agg(["size", "min", "max"])
    return bool((counts.nunique() == 1).all())
