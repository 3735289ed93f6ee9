"""Forms of time stamps: as a format says, numbers that prove to be dates, months, quarters, 24:00."""

import re
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError, OptionError

YEARS = (1900, 2200)
"""Years in which numbers are dates without being said to be: 20240131, 2024, seconds since 1970."""
EPOCHS = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}
"""Units of time since 1970, and about what today is in each."""
SPECIAL = {"unix": "s", "unix-ms": "ms"}
EXCEL = pd.Timestamp("1899-12-30")
"""Day 0 of Excel, but for the first two months of 1900."""
MIDNIGHT = r"(?<!\d)24:00(?::00(?:\.0+)?)?"
FORMS = (
    (r"\d{4}[-/ ]?Q[1-4]", None),
    (r"Q[1-4][-/ ]?\d{4}", None),
    (r"\d{4}", "%Y"),
    (r"\d{8}", "%Y%m%d"),
    (r"\d{8}[ T]?\d{4}", "%Y%m%d%H%M"),
    (r"\d{4}[-/]\d{1,2}", "%Y-%m"),
    (r"[A-Za-z]{3}[- ]\d{4}", "%b-%Y"),
    (r"[A-Za-z]{3}[- ']\d{2}", "%b-%y"),
    (r"[A-Za-z]{4,9}[- ]\d{4}", "%B-%Y"),
)
"""Forms of which one must fit all of a column; of quarters (None) the first day counts."""


def formatted(column: pd.Series, name: str, form: str) -> pd.DatetimeIndex:
    """Time stamps by the format that was said.

    Raises:
        DataError: naming the first row that is of another form.
        OptionError: for a format that cannot be.
    """
    try:
        if form in SPECIAL:
            unit: Any = SPECIAL[form]
            return pd.DatetimeIndex(pd.to_datetime(pd.to_numeric(column), unit=unit))
        if form == "excel":
            days = pd.to_timedelta(pd.to_numeric(column) * 86_400, unit="s").dt.round("s")
            return pd.DatetimeIndex(EXCEL + days)
        text = column.astype("Int64").astype(str) if _is_whole(column) else column.astype(str)
        text = text.str.strip()
        times = pd.to_datetime(text, format=form, errors="coerce")
    except (ValueError, TypeError, OverflowError) as error:
        raise OptionError(
            f"time_format={form!r} (--time-format) does not fit column {column.name!r}: {error}"
        ) from None
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        raise DataError(
            f"{name}: time column {column.name!r}, row {row + 1}: {str(column.iloc[row])!r} is not of "
            f"time_format={form!r} (--time-format)."
        )
    return pd.DatetimeIndex(times)


def _is_whole(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and bool((column % 1 == 0).all())


def numbered(column: pd.Series, name: str) -> pd.DatetimeIndex:
    """Time stamps of a column of numbers that prove what they are.

    Raises:
        DataError: if they prove nothing.
    """
    if _is_whole(column):
        _, times = by_form(column.astype("int64").astype(str))
        if times is not None and YEARS[0] <= times.year.min() and times.year.max() <= YEARS[1]:
            return times
    for unit, about in EPOCHS.items():
        if column.between(0.63 * about, 4.1 * about).all():
            return pd.DatetimeIndex(pd.to_datetime(column, unit=unit))  # type: ignore[call-overload]
    raise DataError(
        f"{name}: time column {column.name!r} holds numbers such as {column.iloc[0]}, which do not show "
        "what they are; say time_format (--time-format): unix, unix-ms, excel, or such as %Y%m%d."
    )


def without_24(column: pd.Series) -> tuple[pd.Series, pd.TimedeltaIndex | None]:
    """Text with 00:00 for 24:00, and the days that belong to it."""
    text = column.astype(str)
    if not text.str.contains("24:00", regex=False).any():
        return column, None
    late = text.str.contains(MIDNIGHT, regex=True)
    if not late.any():
        return column, None
    zero = text.str.replace(MIDNIGHT, lambda match: "00" + match.group()[2:], regex=True)
    return zero, pd.TimedeltaIndex(pd.to_timedelta(late.to_numpy().astype(int), unit="D"))


def by_form(column: pd.Series) -> tuple[bool, pd.DatetimeIndex | None]:
    """Whether the first row is of a form of `FORMS`, and the column by it; None where it does not fit all."""
    text = column.astype(str).str.strip()
    for pattern, form in FORMS:
        if not re.fullmatch(pattern, text.iloc[0]):
            continue
        if not text.str.fullmatch(pattern).all():
            return True, None
        if form is None:
            parts = text.str.extract(r"(?P<a>\d{4})?[-/ ]?Q(?P<q>[1-4])[-/ ]?(?P<b>\d{4})?")
            months = (parts["q"].astype(int) * 3 - 2).astype(str)
            text, form = parts["a"].fillna(parts["b"]) + "-" + months, "%Y-%m"
        marks, mark = ("[ '/]", "-") if "-" in form else ("[ T]", "")
        times = pd.to_datetime(
            text.str.replace(marks, mark, regex=True), format=form, errors="coerce"
        )
        if times.isna().any() or not times.dt.year.between(1678, 2261).all():
            return True, None
        return True, pd.DatetimeIndex(times)
    return False, None
