"""Time stamps from users: which column holds them, and what its text means."""

import re
import warnings

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError
from stanhop_app.forecasting.frequency import infer

TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds")
NUMERIC_DATE = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{2,4}\b")
"""Dates that begin with day or month: 01/02/2024."""


def guess_time_column(table: pd.DataFrame, name: str) -> str:
    """The column of dates, or named like one, or whose text can be read as dates."""
    for column in table.columns:
        if pd.api.types.is_datetime64_any_dtype(table[column]):
            return str(column)
    for column in table.columns:
        if str(column).lower() in TIME_NAMES:
            return str(column)
    first = table.columns[0]
    if (
        not pd.api.types.is_numeric_dtype(table[first])
        and _read(table[first].head(20), None) is not None
    ):
        return str(first)
    raise DataError(
        f"{name}: no time column found (looked for dates, and for a column named "
        f"{', '.join(TIME_NAMES)}); name it with time_column (--time-column)."
    )


def parse_times(column: pd.Series, name: str, day_first: bool | None = None) -> pd.DatetimeIndex:
    """Time stamps of a whole column, by one format.

    Of 01/02/2024 ``day_first`` says whether 01 is the day. By default the order is the one in which all dates
    exist; if both are possible, the one in which they are regular; and else month first,
    or day first with points (31.12.2024).

    Raises:
        DataError: naming the first row that is empty or no date.
    """
    if pd.api.types.is_numeric_dtype(column):
        raise DataError(
            f"{name}: time column {column.name!r} holds numbers; write dates such as "
            "2016-07-01 00:00:00 instead."
        )
    missing = column.isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise DataError(
            f"{name}: time column {column.name!r} is empty in {int(missing.sum())} rows, "
            f"first in row {row}."
        )
    times = _read(column, day_first)
    if times is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            bad = pd.to_datetime(column, errors="coerce", utc=True).isna().to_numpy()
        row = int(np.flatnonzero(bad)[0]) if bad.any() else 0
        raise DataError(
            f"{name}: time column {column.name!r}, row {row + 1}: {str(column.iloc[row])!r} is not a "
            "date of the same form as the others."
        )
    return times


def order_hint(column: pd.Series, times: pd.DatetimeIndex) -> str:
    """How dates were read that can be read in two ways, or nothing."""
    first = column.iloc[0]
    if not isinstance(first, str) or not NUMERIC_DATE.match(first):
        return ""
    month_first, day_first = (_parse(column, dayfirst=order) for order in (False, True))
    if month_first is None or day_first is None or month_first.equals(day_first):
        return ""
    read, other = ("day", "month") if times.equals(day_first) else ("month", "day")
    return (
        f" Dates such as {first} were read {read} first; if that is wrong, say "
        f"day_first={other == 'day'} (--{other}-first)."
    )


def _read(column: pd.Series, day_first: bool | None) -> pd.DatetimeIndex | None:
    first = column.iloc[0]
    if not isinstance(first, str) or not NUMERIC_DATE.match(first):
        return _parse(column)
    points = "." in first[:3]
    orders = (points, not points) if day_first is None else (day_first,)
    readings = [r for order in orders if (r := _parse(column, dayfirst=order)) is not None]
    regular = [r for r in readings if len(r) >= 3 and infer(r.sort_values().unique()) is not None]
    return next(iter(regular + readings), None)


def _parse(column: pd.Series, *, dayfirst: bool = False) -> pd.DatetimeIndex | None:
    """Parse by one format for the whole column; offsets that change become UTC."""
    for utc in (False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return pd.DatetimeIndex(pd.to_datetime(column, dayfirst=dayfirst, utc=utc))
        except (ValueError, TypeError, OverflowError):
            continue
    return None
