"""The time stamps of a table: its index, one column, or several."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.reading import ReadingConfig
from stanhop_app.data.times import guess_time_column, parse_times
from stanhop_app.errors import DataError

PARTS = ("year", "month", "day", "hour", "minute", "second")
"""Names of columns that make a time stamp together, whatever their case."""


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """A table split into its time stamps and the rest."""

    table: pd.DataFrame
    """The columns that hold no time stamps."""
    times: pd.DatetimeIndex
    written: pd.Series | None
    """The column of text that they were read from."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the user."""


def take_times(
    table: pd.DataFrame, name: str, config: ReadingConfig, hints: Mapping[str, Any]
) -> Stamps:
    """Split a table into time stamps and data.

    Args:
        table: whose columns have names that differ.
        name: of it, for messages.
        config: how it is read.
        hints: "day_first", as another table of the kind proved it.

    Raises:
        DataError: where no time stamps are, or one is none.
    """
    column = config.time_column
    if column is None and isinstance(table.index, pd.PeriodIndex):
        table = table.set_axis(table.index.to_timestamp(), axis=0)
    if column is None and isinstance(table.index, pd.DatetimeIndex):
        if table.index.hasnans:
            row = int(np.flatnonzero(table.index.isna())[0]) + 1
            raise DataError(f"{name}: the time index is empty (NaT) in row {row}.")
        return Stamps(table=table, times=table.index, written=None)
    if column is not None and column not in table.columns and "," in column:
        names = [part.strip() for part in column.split(",")]
        return _joined(table, names, name, config, hints)
    if column is None:
        column = guess_time_column(table, name)
    if column not in table.columns:
        raise DataError(
            f"{name}: no time column {column!r}; the columns are: "
            f"{', '.join(map(str, table.columns))}."
        )
    written = table[column]
    times = _read(written, name, config, hints)
    rest = table.drop(columns=column)
    if len(rest.columns) == 0:
        raise DataError(f"{name}: there is no column besides the time column {column!r}.")
    notes = []
    if pd.api.types.is_numeric_dtype(written) and config.time_format is None:
        notes.append(
            f"column {column!r}, which holds {written.iloc[0]} in its first row, was read as time: {times[0]}"
        )
        return Stamps(table=rest, times=times, written=None, notes=notes)
    return Stamps(table=rest, times=times, written=written)


def _read(
    written: pd.Series, name: str, config: ReadingConfig, hints: Mapping[str, Any]
) -> pd.DatetimeIndex:
    """The stamps of a column; where it proves no order of day and month, that of another table."""
    return parse_times(
        written,
        name,
        config.day_first,
        frequency=config.frequency,
        time_format=config.time_format,
        hint=hints.get("day_first"),
    )


def _joined(
    table: pd.DataFrame,
    columns: list[str],
    name: str,
    config: ReadingConfig,
    hints: Mapping[str, Any],
) -> Stamps:
    """Time stamps of several columns: date and time, or year, month, day and hour."""
    unknown = [c for c in columns if c not in table.columns]
    if unknown:
        raise DataError(
            f"{name}: no time column {unknown[0]!r}; the columns are: "
            f"{', '.join(map(str, table.columns))}."
        )
    rest = table.drop(columns=columns)
    if len(rest.columns) == 0:
        raise DataError(f"{name}: there is no column besides the time columns.")
    parts = table[columns]
    by_name = {column.lower(): column for column in columns}
    if set(by_name) <= set(PARTS) and "year" in by_name:
        known = pd.DataFrame({part: parts[column] for part, column in by_name.items()})
        numbers = known.reindex(columns=[*PARTS[:3], *[p for p in PARTS[3:] if p in known]])
        numbers = numbers.fillna({"month": 1, "day": 1})
        try:
            times = pd.DatetimeIndex(pd.to_datetime(numbers.astype(float)))
        except (ValueError, TypeError) as error:
            raise DataError(f"{name}: time columns {', '.join(columns)}: {error}.") from None
        return Stamps(table=rest, times=times, written=None)
    date, *others = columns
    text = _text(parts[date])
    for column in others:
        text = text + " " + _time_of_day(parts[column])
    written = text.rename(" ".join(columns))
    return Stamps(table=rest, times=_read(written, name, config, hints), written=written)


def _text(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.strftime("%Y-%m-%d")
    return column.astype(str).str.strip()


def _time_of_day(column: pd.Series) -> pd.Series:
    """Hours as numbers become 07:00; text stays."""
    if pd.api.types.is_numeric_dtype(column) and column.between(0, 24).all():
        minutes = (column * 60).round().astype(int)
        return (minutes // 60).map("{:02d}".format) + ":" + (minutes % 60).map("{:02d}".format)
    return column.astype(str).str.strip()
