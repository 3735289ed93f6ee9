"""Time stamps from users: which column holds them, and what its text means."""

import re

import numpy as np
import pandas as pd

from stanhop_app.data.forms import by_form, formatted, numbered, without_24
from stanhop_app.data.frequency import infer, regular_grid
from stanhop_app.errors import DataError, warnings_as

TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds")
NUMERIC_DATE = re.compile(r"\d{1,2}([/.-])\d{1,2}\1(\d{4}|\d{2})(?!\d)")
"""Dates that begin with day or month: 01/02/2024."""
TIMES_OF_DAY = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S %p",
    "T%H:%M",
    "T%H:%M:%S",
)
YEARS = (1678, 2261)
"""First and last year whose time stamps nanoseconds can tell."""
EARLIEST = YEARS[0]
"""Years before are taken for a misread date."""


def guess_time_column(table: pd.DataFrame, name: str) -> str:
    """The column of dates, or named like one, or the first or only one whose text reads as dates."""
    for column in table.columns:
        if _is_time(table[column]):
            return str(column)
    for column in table.columns:
        if str(column).lower() in TIME_NAMES:
            return str(column)
    dated = [
        str(column)
        for column in table.columns
        if not pd.api.types.is_numeric_dtype(table[column])
        and _readings(table[column].dropna().head(20), None)
    ]
    if dated and (len(dated) == 1 or dated[0] == table.columns[0]):
        return dated[0]
    raise DataError(
        f"{name}: no time column found (looked for dates, and for a column named "
        f"{', '.join(TIME_NAMES)}); name it with time_column (--time-column)."
    )


def _is_time(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column) or isinstance(column.dtype, pd.PeriodDtype)


def parse_times(
    column: pd.Series,
    name: str,
    day_first: bool | None = None,
    frequency: str | None = None,
    time_format: str | None = None,
    hint: bool | None = None,
) -> pd.DatetimeIndex:
    """Time stamps of a whole column, by one format.

    Numbers are dates where they prove it: 20240131, a year, or seconds, milliseconds, microseconds or
    nanoseconds since 1970, between 1990 and 2100. 24:00 is the midnight after; of a quarter (2024Q1) the
    first day counts.

    Of 01/02/2024 ``day_first`` says whether 01 is the day. By default the order is the one in which all dates
    exist; if both are possible, the one in which they are regular (of this frequency, if it is given), or
    else ``hint``, the order of another table; without one, day first with points (31.12.2024), and month
    first where neither is regular.

    ``time_format`` is what `datetime.strptime` calls a format, or "unix", "unix-ms" or "excel".

    Raises:
        DataError: naming the first row that is empty or no date.
        OptionError: for a format that cannot be.
    """
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    missing = column.isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise DataError(
            f"{name}: time column {column.name!r} is empty in {int(missing.sum())} rows, "
            f"first in row {row}."
        )
    if time_format is not None:
        return formatted(column, name, time_format)
    if pd.api.types.is_numeric_dtype(column):
        return numbered(column, name)
    if not _is_time(column):
        column, days = without_24(column)
    else:
        days = None
    readings = _readings(column, day_first)
    if not readings and not _readings(column.head(1), day_first):
        raise DataError(
            f"{name}: time column {column.name!r}, row 1: {str(column.iloc[0])!r} is not a date of a form "
            "that is known; say it with time_format (--time-format), such as %d.%m.%Y."
        )
    if readings and days is not None:
        readings = [reading + days for reading in readings]
    if not readings:
        row = _first_bad_row(column, day_first)
        raise DataError(
            f"{name}: time column {column.name!r}, row {row + 1}: {str(column.iloc[row])!r} is not a "
            "date of the same form as the others."
        )
    return readings[0] if len(readings) == 1 else _ordered(readings, column, name, frequency, hint)


def _ordered(
    readings: list[pd.DatetimeIndex],
    column: pd.Series,
    name: str,
    frequency: str | None,
    hint: bool | None,
) -> pd.DatetimeIndex:
    """The reading whose order of day and month is regular, or else the order of another table.

    Raises:
        DataError: if both are regular, there is no other table, and no points say that the day comes first.
    """
    regular = [reading for reading in readings if _is_regular(reading, frequency)]
    if len(regular) == 1:
        return regular[0]
    points = _has_points(column)
    if hint is not None:
        return readings[0 if hint == points else 1]
    if regular and not points:
        raise DataError(
            f"{name}: dates such as {column.iloc[0]} may begin with the day or with the month, and the rows "
            "are regular both ways; say day_first=True or False (--day-first, --month-first)."
        )
    return readings[0]


def _has_points(column: pd.Series) -> bool:
    """Whether dates are written with points, 31.12.2024, where the day comes first."""
    return "." in str(column.iloc[0]).strip()[:3]


def day_comes_first(column: pd.Series, times: pd.DatetimeIndex) -> bool | None:
    """Whether dates were read day first; None if they do not begin with day or month."""
    if not _is_numeric_date(column):
        return None
    day = int(re.match(r"\d+", column.iloc[0]).group())  # type: ignore[union-attr]
    month = int(re.split("[/.-]", column.iloc[0])[1])
    first = times[0]
    if day != month:
        return bool(first.day == day and first.month == month)
    return any(r.equals(times) for r in _readings(column, True))


def order_hint(column: pd.Series, times: pd.DatetimeIndex) -> str:
    """How dates were read that can be read in two ways, or nothing."""
    if not _is_numeric_date(column):
        return ""
    month_first, day_first = (_readings(column, order) for order in (False, True))
    if not month_first or not day_first or month_first[0].equals(day_first[0]):
        return ""
    read, other = ("day", "month") if times.equals(day_first[0]) else ("month", "day")
    return (
        f" Dates such as {column.iloc[0]} were read {read} first; if that is wrong, say "
        f"day_first={other == 'day'} (--{other}-first)."
    )


def _is_numeric_date(column: pd.Series) -> bool:
    first = column.iloc[0] if len(column) else None
    return isinstance(first, str) and NUMERIC_DATE.match(first.strip()) is not None


def _readings(column: pd.Series, day_first: bool | None) -> list[pd.DatetimeIndex]:
    """All readings of the column that succeed, the likelier first."""
    if not _is_numeric_date(column):
        reading = _read_text(column)
        return [] if reading is None else [reading]
    column = column.str.strip()
    points = _has_points(column)
    orders = (points, not points) if day_first is None else (day_first,)
    readings = []
    for order in orders:
        for form in _formats(column.iloc[0], order):
            try:
                readings.append(pd.DatetimeIndex(pd.to_datetime(column, format=form)))
                break
            except (ValueError, TypeError, OverflowError):
                continue
    if len(readings) == 2 and readings[0].equals(readings[1]):
        return readings[:1]
    return readings


def _formats(text: str, day_first: bool) -> list[str]:
    """Formats of a date that begins with day or month, with all times of day."""
    match = NUMERIC_DATE.match(text)
    assert match is not None
    mark, year = match[1], "%Y" if len(match[2]) == 4 else "%y"
    date = mark.join(("%d", "%m", year) if day_first else ("%m", "%d", year))
    return [date + time + zone for time in TIMES_OF_DAY for zone in (("", "%z") if time else ("",))]


def _read_text(column: pd.Series) -> pd.DatetimeIndex | None:
    """Dates that begin with the year or name the month, by one format; changing offsets become UTC."""
    first = column.iloc[0] if len(column) else None
    if isinstance(first, str):
        if re.fullmatch(r"\d{1,2}:\d{2}.*", first.strip()):
            return None  # a time of day without a date
        known, times = by_form(column)
        if known:
            return times
        if not re.search(r"\d{4}|[A-Za-z]{3}", first):
            return None  # no year and no name of a month: what Python would guess is not there
    for utc in (False, True):
        try:
            with warnings_as("ignore", UserWarning):
                times = _to_times(column, utc)
        except (ValueError, TypeError, OverflowError):
            continue
        return times if len(times) and times.min().year >= EARLIEST else None
    return None


def _to_times(column: pd.Series, utc: bool) -> pd.DatetimeIndex:
    """As the first row is written; where rows leave out what is 0, by ISO 8601.

    Raises:
        ValueError: if both fail.
    """
    try:
        return pd.DatetimeIndex(pd.to_datetime(column, utc=utc))
    except (ValueError, TypeError, OverflowError):
        return pd.DatetimeIndex(pd.to_datetime(column, utc=utc, format="ISO8601"))


def _first_bad_row(column: pd.Series, day_first: bool | None) -> int:
    """The first row that the form of the others does not fit."""
    attempts: list[dict[str, object]] = [{"utc": True}]
    if _is_numeric_date(column):
        orders = (False, True) if day_first is None else (day_first,)
        attempts = [{"format": f} for order in orders for f in _formats(column.iloc[0], order)]
    fewest = np.ones(len(column), dtype=bool)
    for options in attempts:
        with warnings_as("ignore", UserWarning):
            parsed = pd.to_datetime(column, errors="coerce", **options)  # type: ignore[call-overload]
        bad = parsed.isna().to_numpy()
        fewest = bad if bad.sum() < fewest.sum() else fewest
    return int(np.flatnonzero(fewest)[0]) if fewest.any() else 0


def _is_regular(times: pd.DatetimeIndex, frequency: str | None) -> bool:
    stamps = times.unique().sort_values()
    if frequency is None:
        return len(stamps) >= 3 and infer(stamps) is not None
    try:
        return len(regular_grid(stamps, "", frequency)) == len(stamps)
    except DataError:
        return False


def check_years(times: pd.DatetimeIndex, name: str) -> None:
    """Refuse time stamps that nanoseconds cannot tell, naming the first row."""
    far = (times.year < YEARS[0]) | (times.year > YEARS[1])
    if far.any():
        row = int(np.flatnonzero(far)[0])
        raise DataError(
            f"{name}: {int(far.sum())} time stamps lie outside of the years {YEARS[0]} to {YEARS[1]}, "
            f"first in row {row + 1}: {times[row]}."
        )
