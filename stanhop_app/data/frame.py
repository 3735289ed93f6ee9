"""Tables from users: any CSV, Parquet or Excel, wide or long, becomes one regular numeric frame.

The result is always the same thing: a frame with a sorted, gap-free `DatetimeIndex` that knows its
frequency, and float64 columns without missing values. What stands in the way of that is named, with
column and row, and mended only when the caller says how.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from stanhop_app.data.columns import codes_told, numeric
from stanhop_app.data.frequency import as_months
from stanhop_app.data.holes import fill, make_regular, reject_duplicates
from stanhop_app.data.long import (
    by_level,
    check_told_apart,
    constant_ids,
    guess_id_column,
    joined_ids,
    numbers_of_text,
    told_zone,
    widen,
)
from stanhop_app.data.native import IDS, to_pandas
from stanhop_app.data.reading import ReadingConfig, filling
from stanhop_app.data.source import source_name
from stanhop_app.data.stamps import Stamps, take_times
from stanhop_app.data.table import read_table
from stanhop_app.data.times import check_years, day_comes_first, order_hint
from stanhop_app.data.weekly import Weekly, rows_hint
from stanhop_app.data.zones import clock_hint, find_zone, with_known_zone
from stanhop_app.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """A table as it was understood: columns of numbers in time order, with the holes and gaps that it has."""

    frame: pd.DataFrame
    """The rows in time order; time stamps may be there twice, and values may be missing."""
    name: str
    config: ReadingConfig
    stamps: Stamps
    """Where the time stamps were read from, as they were written."""
    times: pd.DatetimeIndex
    """Time stamps of the rows of ``frame``."""
    notes: tuple[str, ...]
    """Sentences on what was done."""
    proved: Mapping[str, Any]
    """Decimal mark, order of dates and named zone, where the table proves them."""


def read_frame(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame:
    """Read a table and make it a regular frame: `read_table`, then `to_frame` (see there)."""
    table = read_table(source, hints=hints, **options)
    return to_frame(table, name=source_name(source), hints=hints, **options)


def to_frame(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame:
    """Make a table a regular frame: sorted time index of known frequency, float64 columns.

    Args:
        table: wide (a time column and numeric columns, or a time index) or long (id, time, value): a frame
            or a series of pandas, polars, pyarrow or another library of dataframes.
        name: how messages call it, usually the file.
        hints: what another table of the kind proved: "day_first" decides where this one proves nothing, and
            stamps with an offset are shown in the "time_zone" of that table; columns of "words" stay words.
        **options: fields of `ReadingConfig`; those of the lines of CSV files play no part. Left out: the
            time column is the time index, a column of dates, or one named like one. The id column is one
            named unique_id, id, series or series_id, if time stamps repeat or it names one series; or, of
            two columns, the one of text, if time stamps repeat. Holes are an error; "interpolate" draws a
            straight line in time, "ffill" repeats the last value, "zero" fills zeros. A straight line knows
            the value after the hole: scores on a table with many lines flatter. It never goes on past the
            last value.

    Returns:
        The frame; ``attrs["filled"]`` counts the values that were filled, ``attrs["reading"]`` holds what
        was proved of ``day_first``, ``decimal`` and ``time_zone``, for further tables of the kind,
        ``attrs["notes"]`` sentences on what was done that a user should know.

    Raises:
        DataError: naming the column, the row (the first data row is 1) and the count.
        OptionError: for options that cannot be.
    """
    return regular(arrange(table, name=name, hints=hints, **options))


def read_arranged(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> Arranged:
    """Read a table as `read_frame` does, and keep its holes, gaps and duplicates."""
    table = read_table(source, hints=hints, **options)
    return arrange(table, name=source_name(source), hints=hints, **options)


def arrange(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> Arranged:
    """What `to_frame` does before it asks for equal steps and fills holes; see there."""
    return as_columns(taken(table, name=name, hints=hints, **options))


def as_columns(opened: Arranged) -> Arranged:
    """A table that was taken (`taken`), with one column of numbers a series, in time order."""
    name = opened.name
    config, notes = opened.config, list(opened.notes)
    table, times = _wide(opened.frame, opened.times, name, config, notes)
    if config.columns is not None:
        table = _chosen(table, config.columns, name)
    values = {column: numeric(table[column], name) for column in table.columns}
    notes += codes_told(values)
    frame = pd.DataFrame(values, index=times).sort_index(kind="stable")
    frame.index = with_known_zone(pd.DatetimeIndex(frame.index), name)
    inferred = config.frequency is None and config.calendar == "steps"
    months = as_months(frame.index) if inferred else None
    if months is not None:
        notes.append(
            f"months stamped such as {frame.index[0].date()} were read as from their first days"
        )
        frame.index = months
    zone = getattr(frame.index.tz, "key", None)
    return Arranged(
        frame=frame,
        name=name,
        config=config,
        stamps=opened.stamps,
        times=pd.DatetimeIndex(frame.index),
        notes=tuple(notes),
        proved={**opened.proved, **({} if zone is None else {"time_zone": zone})},
    )


def taken(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> Arranged:
    """A table split into time stamps and the rest, before ids are looked for.

    Rows are as they came, and columns not yet numbers; arguments and errors are those of `to_frame`.
    """
    config = ReadingConfig(**options)
    proved = {key: value for key, value in getattr(table, "attrs", {}).items() if key == "decimal"}
    read = "notes" in getattr(table, "attrs", {})  # from CSV, whose text is numbers by now
    notes = list(getattr(table, "attrs", {}).get("notes", []))
    table = to_pandas(table)
    if config.long is not False and IDS in table.attrs:
        table, config = by_level(table, config)
    table = _checked(table, name)
    stamps = take_times(table, name, config, hints or {})
    notes += stamps.notes
    check_years(stamps.times, name)
    table, times = told_zone(stamps.table, stamps.times, name, config, notes)
    if config.time_zone is None and times.tz is not None and (hints or {}).get("time_zone"):
        times = times.tz_convert(find_zone(str((hints or {})["time_zone"])))
    order = None if stamps.written is None else day_comes_first(stamps.written, stamps.times)
    if not read:
        table, mark, remarks = numbers_of_text(table, times, name, config, hints or {})
        proved |= {} if mark is None else {"decimal": mark}
        notes += remarks
    table = joined_ids(table, config, name)
    words = [c for c in (hints or {}).get("words", ()) if c in table and table[c].isna().all()]
    table = table.assign(**dict.fromkeys(words, ""))  # empty words, not numbers that are missing
    return Arranged(
        frame=table,
        name=name,
        config=config,
        stamps=stamps,
        times=times,
        notes=tuple(notes),
        proved=proved | ({} if order is None else {"day_first": order}),
    )


def regular(arranged: Arranged) -> pd.DataFrame:
    """The frame of equal steps without holes that an arranged table makes.

    Raises:
        DataError: for duplicates, and for gaps and holes that no rule fills.
    """
    name, config, frame = arranged.name, arranged.config, arranged.frame
    steps = with_steps(arranged)
    filled = fill(steps, name, filling(config.missing))
    holes = steps.isna()
    notes = list(arranged.notes)
    if config.calendar == "rows":
        notes.append(f"the rows are the calendar: {frame_frequency(filled)}")
    left = int(filled.isna().to_numpy().sum())
    if left:
        share = left / filled.size
        notes.append(f"{left:,} values ({share:.1%}) are missing, and were left out (mask)")
    count = int(holes.to_numpy().sum()) - left
    if count:
        columns = int(holes.any().sum())
        notes.append(
            f"{count:,} values in {columns} of {len(frame.columns)} columns were filled by {config.missing}"
        )
    filled.attrs = {"filled": count, "reading": dict(arranged.proved), "notes": notes}
    return filled


def with_steps(arranged: Arranged) -> pd.DataFrame:
    """An arranged table with a row for every step; what is missing stays missing.

    Raises:
        DataError: for duplicates, and for gaps that no rule fills.
    """
    frame, name, config = arranged.frame, arranged.name, arranged.config
    index = pd.DatetimeIndex(frame.index)
    try:
        reject_duplicates(index, name)
        if config.calendar == "rows":
            Weekly.of(index, name)
            return frame.set_axis(pd.DatetimeIndex(index, freq=None), axis=0)  # type: ignore[arg-type]
        return make_regular(frame, name, config.frequency, filling(config.missing))
    except DataError as error:
        calendar = "" if index.has_duplicates else rows_hint(index)
        raise DataError(f"{error}{clock_hint(index)}{calendar}{_order_hint(arranged)}") from None


def _order_hint(arranged: Arranged) -> str:
    stamps = arranged.stamps
    if stamps.written is None or arranged.config.day_first is not None:
        return ""
    return order_hint(stamps.written, stamps.times)


def _checked(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A table with rows, columns and names that differ."""
    if len(table) == 0 or len(table.columns) == 0:
        raise DataError(
            f"{name}: the table has {len(table)} rows and {len(table.columns)} columns."
        )
    table = table.set_axis([str(column) for column in table.columns], axis=1)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{name}: there are two columns named {twice!r}; rename one.")
    return table


def _wide(
    table: pd.DataFrame,
    times: pd.DatetimeIndex,
    name: str,
    config: ReadingConfig,
    notes: list[str],
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """A table with one column a series."""
    id_column = config.id_column
    if id_column is None and config.long is not False:
        id_column = guess_id_column(table, times, config.columns)
    if id_column is not None:
        if config.id_column is None:
            notes.append(f"column {id_column!r} names the series; if it does not, say --no-id")
        return widen(table, times, name, id_column, config.value_column)
    if config.long is not False:
        check_told_apart(table, times, name)
    if config.columns is None and config.long is not False:
        constant = constant_ids(table)
        notes += [f"column {c!r}, which is the same in all rows, was left out" for c in constant]
        table = table.drop(columns=constant)
    return table, times


def _chosen(table: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    unknown = [c for c in columns if c not in table.columns]
    if unknown:
        raise DataError(
            f"{name}: unknown column {unknown[0]!r}; the columns are: "
            f"{', '.join(map(str, table.columns))}."
        )
    if len(set(columns)) < len(columns):
        raise DataError(f"{name}: a column is chosen twice in {', '.join(columns)}.")
    return table[columns]


def time_index(frame: pd.DataFrame) -> pd.DatetimeIndex | None:
    """The time index of a frame, or None if its rows are only numbered."""
    return frame.index if isinstance(frame.index, pd.DatetimeIndex) else None


def frame_frequency(frame: pd.DataFrame) -> str | None:
    """Pandas alias of a frame's frequency, or the name of its calendar of a week; None for numbered rows."""
    index = time_index(frame)
    if index is None:
        return None
    return Weekly.of(index).name if index.freq is None else index.freqstr
