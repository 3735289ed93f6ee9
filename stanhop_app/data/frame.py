"""Tables from users: any CSV or Parquet, wide or long, becomes one regular numeric frame.

The result is always the same thing: a frame with a sorted, gap-free `DatetimeIndex` that knows its
frequency, and float64 columns without missing values. What stands in the way of that is named, with
column and row, and mended only when the caller says how.
"""

import re
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from stanhop_app.data.holes import fill, make_regular, reject_duplicates
from stanhop_app.data.reading import Missing, ReadingConfig
from stanhop_app.data.table import read_table, source_name
from stanhop_app.data.times import (
    day_comes_first,
    guess_time_column,
    order_hint,
    parse_times,
)
from stanhop_app.errors import DataError

LARGEST = 1e150
"""Values beyond it have squares that a 64-bit float does not hold."""
YEARS = (1678, 2261)
"""First and last year whose time stamps nanoseconds can tell."""
ID_NAMES = ("unique_id", "id", "series", "series_id")


def read_frame(
    source: str | Path | IO[bytes],
    *,
    time_column: str | None = None,
    id_column: str | None = None,
    value_column: str | None = None,
    columns: list[str] | None = None,
    frequency: str | None = None,
    missing: Missing = "error",
    day_first: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    max_megabytes: int = ReadingConfig.max_megabytes,
) -> pd.DataFrame:
    """Read a table and make it a regular frame: `read_table`, then `to_frame` (see there)."""
    name = source_name(source)
    return to_frame(
        read_table(source, decimal=decimal, thousands=thousands, max_megabytes=max_megabytes),
        name=name,
        time_column=time_column,
        id_column=id_column,
        value_column=value_column,
        columns=columns,
        frequency=frequency,
        missing=missing,
        day_first=day_first,
    )


def to_frame(
    table: pd.DataFrame,
    *,
    name: str = "frame",
    time_column: str | None = None,
    id_column: str | None = None,
    value_column: str | None = None,
    columns: list[str] | None = None,
    frequency: str | None = None,
    missing: Missing = "error",
    day_first: bool | None = None,
) -> pd.DataFrame:
    """Make a table a regular frame: sorted time index of known frequency, float64 columns.

    Args:
        table: wide (a time column and numeric columns, or a time index) or long (id, time, value).
        name: how messages call it, usually the file.
        time_column: default: the time index, a column of dates, or one named like one.
        id_column: column with the series' names; makes the table long. Default: a column named
            unique_id, id, series or series_id, if time stamps repeat or it names one series; or, of
            two columns, the one of text, if time stamps repeat.
        value_column: value of a long table; default: its only other column.
        columns: which columns (series) to keep, in this order; default all.
        frequency: pandas alias such as "h", "15min", "D", "MS"; default: inferred.
        missing: what to do about missing values and missing time stamps: "error" names them,
            "interpolate" draws a straight line in time, "ffill" repeats the last value. A straight
            line knows the value after the hole: scores on a table with many lines flatter.
        day_first: whether 01/02/2024 is February 1; default: found (`parse_times`).

    Returns:
        The frame; ``attrs["filled"]`` counts the values that were filled, ``attrs["reading"]`` holds what
        was found of ``day_first`` and ``decimal``, for further tables of the kind.

    Raises:
        DataError: naming the column, the row (the first data row is 1) and the count.
        OptionError: if ``missing`` is none of its values.
    """
    ReadingConfig(missing=missing)
    if len(table) == 0 or len(table.columns) == 0:
        raise DataError(
            f"{name}: the table has {len(table)} rows and {len(table.columns)} columns."
        )
    decimal_found = {"decimal": table.attrs["decimal"]} if "decimal" in table.attrs else {}
    table = table.set_axis([str(column) for column in table.columns], axis=1)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{name}: there are two columns named {twice!r}; rename one.")
    table, times, written = _take_times(table, name, time_column, day_first, frequency)
    far = (times.year < YEARS[0]) | (times.year > YEARS[1])
    if far.any():
        row = int(np.flatnonzero(far)[0])
        raise DataError(
            f"{name}: {int(far.sum())} time stamps lie outside of the years {YEARS[0]} to {YEARS[1]}, "
            f"first in row {row + 1}: {times[row]}."
        )
    id_column = id_column or _guess_id_column(table, times)
    if id_column is not None:
        table, times = _widen(table, times, name, id_column, value_column)
    if columns is not None:
        unknown = [c for c in columns if c not in table.columns]
        if unknown:
            raise DataError(
                f"{name}: unknown column {unknown[0]!r}; the columns are: "
                f"{', '.join(map(str, table.columns))}."
            )
        if len(set(columns)) < len(columns):
            raise DataError(f"{name}: a column is chosen twice in {', '.join(columns)}.")
        table = table[columns]
    values = {column: _numeric(table[column], name) for column in table.columns}
    frame = pd.DataFrame(values, index=times).sort_index(kind="stable")
    reject_duplicates(frame.index, name)
    try:
        regular = make_regular(frame, name, frequency, missing)
    except DataError as error:
        hint = order_hint(written, times) if written is not None and day_first is None else ""
        raise DataError(f"{error}{hint}") from None
    filled = fill(regular, name, missing)
    filled.attrs["filled"] = int(regular.isna().to_numpy().sum())
    order = None if written is None else day_comes_first(written, times)
    filled.attrs["reading"] = decimal_found | ({} if order is None else {"day_first": order})
    return filled


def _take_times(
    table: pd.DataFrame,
    name: str,
    time_column: str | None,
    day_first: bool | None,
    frequency: str | None,
) -> tuple[pd.DataFrame, pd.DatetimeIndex, pd.Series | None]:
    """Split a table into its data columns, its time stamps, and the column these were written in."""
    if time_column is None and isinstance(table.index, pd.PeriodIndex):
        table = table.set_axis(table.index.to_timestamp(), axis=0)
    if time_column is None and isinstance(table.index, pd.DatetimeIndex):
        if table.index.hasnans:
            row = int(np.flatnonzero(table.index.isna())[0]) + 1
            raise DataError(f"{name}: the time index is empty (NaT) in row {row}.")
        return table, table.index, None
    if time_column is None:
        time_column = guess_time_column(table, name)
    if time_column not in table.columns:
        raise DataError(
            f"{name}: no time column {time_column!r}; the columns are: "
            f"{', '.join(map(str, table.columns))}."
        )
    times = parse_times(table[time_column], name, day_first, frequency)
    rest = table.drop(columns=time_column)
    if len(rest.columns) == 0:
        raise DataError(f"{name}: there is no column besides the time column {time_column!r}.")
    return rest, times, table[time_column]


def _guess_id_column(table: pd.DataFrame, times: pd.DatetimeIndex) -> str | None:
    """The column that makes a table long, if one does."""
    named = next((c for c in ID_NAMES if c in table.columns), None)
    if named is not None and (times.has_duplicates or table[named].nunique() == 1):
        return named
    text = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if len(text) == 1 and len(table.columns) == 2:
        repeats = pd.DataFrame({"time": times, "id": table[text[0]].to_numpy()}).duplicated()
        if times.has_duplicates and not repeats.any() and table[text[0]].nunique() < len(table) / 2:
            return str(text[0])
    return None


def _widen(
    table: pd.DataFrame,
    times: pd.DatetimeIndex,
    name: str,
    id_column: str,
    value_column: str | None,
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Turn a long table (id, time, value) into one column a series."""
    for column in (id_column, value_column):
        if column is not None and column not in table.columns:
            raise DataError(
                f"{name}: unknown column {column!r}; the columns are: "
                f"{', '.join(map(str, table.columns))}."
            )
    if value_column is None:
        others = [c for c in table.columns if c != id_column]
        if len(others) != 1:
            raise DataError(
                f"{name}: a long table (id column {id_column!r}) needs value_column "
                f"(--value-column), one of: {', '.join(map(str, others))}."
            )
        value_column = str(others[0])
    long = pd.DataFrame(
        {
            "time": times,
            "id": table[id_column].astype(str).to_numpy(),
            "value": _numeric(table[value_column], name),
        }
    )
    twice = long.duplicated(["time", "id"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{name}: {int(twice.sum())} rows repeat a time stamp of the same series, first in row "
            f"{row + 1} ({long['id'][row]!r}, {long['time'][row]})."
        )
    wide = long.pivot(index="time", columns="id", values="value")
    wide.columns.name = None
    return wide, pd.DatetimeIndex(wide.index)


def _numeric(column: pd.Series, name: str) -> np.ndarray:
    """Float64 values of a column; text is an error that names its first row."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = _to_numbers(column)
        text = (numbers.isna() & column.notna()).to_numpy()
        if text.any() or pd.api.types.is_datetime64_any_dtype(column):
            row = int(np.flatnonzero(text)[0]) if text.any() else 0
            first = str(column.iloc[row])
            marks = re.fullmatch(r"[-+]?\d[\d., ]*", first) and any(mark in first for mark in "., ")
            hint = "say decimal or thousands (--decimal, --thousands)" if marks else "mend them"
            raise DataError(
                f"{name}: column {column.name!r} has {max(int(text.sum()), 1)} values that are not "
                f"numbers, first in row {row + 1}: {first!r}; {hint}, or choose "
                "other columns (--columns)."
            )
        values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    for what, wrong in (
        ("infinite values", np.isinf(values)),
        (f"values beyond {LARGEST:g}, whose squares are no numbers", np.abs(values) > LARGEST),
    ):
        if wrong.any():
            raise DataError(
                f"{name}: column {column.name!r} has {int(wrong.sum())} {what}, first in row "
                f"{int(np.flatnonzero(wrong)[0]) + 1}; mend them, or choose other columns (--columns)."
            )
    return values


def _to_numbers(column: pd.Series) -> pd.Series:
    """Numbers of a column of anything; what is none becomes missing, whole numbers of 400 digits infinite."""
    try:
        return pd.to_numeric(column, errors="coerce").astype(np.float64)
    except OverflowError:
        return column.map(_to_number)


def _to_number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return float("nan")


def time_index(frame: pd.DataFrame) -> pd.DatetimeIndex | None:
    """The time index of a frame, or None if its rows are only numbered."""
    return frame.index if isinstance(frame.index, pd.DatetimeIndex) else None


def frame_frequency(frame: pd.DataFrame) -> str | None:
    """Pandas alias of a frame's frequency, or None if it has none."""
    index = time_index(frame)
    return None if index is None else index.freqstr
