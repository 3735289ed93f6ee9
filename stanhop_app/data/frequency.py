"""Frequencies: inferred, made canonical, continued; the regular grid behind time stamps with gaps."""

from typing import Any

import pandas as pd
from pandas.tseries.frequencies import to_offset

from stanhop_app.data.weekly import Weekly
from stanhop_app.errors import DataError, warnings_as

CALENDAR = {
    "B": 1.4, "MS": 30.0, "ME": 30.0, "QS": 91.0, "QE": 91.0, "YS": 365.0, "YE": 365.0,
    "BMS": 30.0, "BME": 30.0, "BQS": 91.0, "BQE": 91.0, "BYS": 365.0, "BYE": 365.0,
    "SMS": 15.0, "SME": 15.0,
}  # fmt: skip
"""Frequencies tried, besides the commonest step, on time stamps with gaps; and their days."""
ANCHORS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
RARE = {"CBMS": 30.0, "CBME": 30.0, "WOM": 30.0, "LWOM": 30.0, "RE": 365.0, "REQ": 91.0}
"""Frequencies that are taken where they are said or found without a gap; and their days."""


def regular_grid(index: pd.DatetimeIndex, name: str, frequency: str | None) -> pd.DatetimeIndex:
    """The regular grid from the first time stamp to the last that holds all of them.

    Of several, the one with the fewest holes: days without week-ends are business days.
    """
    candidates: list[Any]
    if frequency is None:
        if len(index) < 3:
            raise DataError(
                f"{name}: {len(index)} time stamps are too few to infer the frequency; give it "
                "(--frequency)."
            )
        inferred = infer(index) or _own(index)
        step = pd.Series(index[1:] - index[:-1]).mode()[0]
        anchored = [
            f"{name}-{index[0].strftime('%b').upper()}" for name in ("BQS", "BQE", "BYS", "BYE")
        ]
        last = [f"LWOM-{day}" for day in ANCHORS]
        often = step < pd.Timedelta(days=20)
        tried = [*(n for n in CALENDAR if often or not n.startswith("SM")), *anchored, *last]
        candidates = [inferred] if inferred else [to_offset(step), *map(to_offset, tried)]
    else:
        candidates = [_offset(frequency, name)]
    grids = []
    for candidate in candidates:
        if _count(index, candidate) > 2 * len(index) + 1:
            continue  # most of the grid would be holes, and it might not fit in memory
        grid = pd.date_range(index[0], index[-1], freq=candidate, unit=index.unit)
        off = index[~index.isin(grid)]
        if len(off) == 0 and 2 * len(index) > len(grid):
            grids.append(grid)
        if frequency is not None and len(off):
            raise DataError(
                f"{name}: {len(off)} time stamps are not on the grid of frequency {frequency} that "
                f"starts at {index[0]}, first {off[0]}."
            )
    if grids:
        grid = min(grids, key=len)
        grid.name = index.name
        return _canonical(grid)
    if frequency is not None:
        raise DataError(
            f"{name}: only {len(index)} of {_count(index, candidates[0])} time stamps at frequency "
            f"{frequency} exist; give a coarser one."
        )
    steps = index[1:] - index[:-1]
    raise DataError(
        f"{name}: the time stamps are not regular (steps from {steps.min()} to {steps.max()}, "
        f"commonest {step}); resample the table, or give its frequency (--frequency)."
    )


def as_months(index: pd.DatetimeIndex) -> pd.DatetimeIndex | None:
    """First days of months stamped on another day, which is the same or the last before it; or None."""
    if len(index) < 3 or infer(index) is not None or not (index == index.normalize()).all():
        return None
    wanted = index.days_in_month.to_series().clip(upper=int(index.day.max()))
    if (index.day != wanted.to_numpy()).any() or index.day.max() < 2:
        return None
    months = index.tz_localize(None).to_period("M")
    if months.has_duplicates:
        return None
    first = months.to_timestamp().as_unit(index.unit)
    return pd.DatetimeIndex(first.tz_localize(index.tz), name=index.name)


def _own(index: pd.DatetimeIndex) -> pd.offsets.BaseOffset | None:
    """The frequency that an index says it has, if it has an alias."""
    if index.freq is None:
        return None
    try:
        return to_offset(index.freq.freqstr)
    except ValueError:
        return None


def infer(index: pd.DatetimeIndex) -> pd.offsets.BaseOffset | None:
    """The frequency that fits without a gap, or None."""
    with warnings_as("ignore"):  # pandas 3.1 announces that it will return an offset
        inferred = pd.infer_freq(index)
    if inferred is None:
        return None
    offset = to_offset(inferred)
    # Last Fridays are taken for fourth ones where no month of the table has five.
    same = pd.date_range(index[0], periods=len(index), freq=offset, unit=index.unit)
    return offset if same.equals(index) or index.is_monotonic_decreasing else None


def _offset(frequency: str, name: str) -> pd.offsets.BaseOffset:
    try:
        offset = to_offset(frequency)
    except ValueError:
        offset = None
    if offset is None or offset.n < 1:
        raise DataError(
            f"{name}: unknown frequency {frequency!r}; use a pandas alias such as h, 15min, D, MS."
        )
    return offset


def _count(index: pd.DatetimeIndex, offset: pd.offsets.BaseOffset) -> int:
    """How many time stamps a grid would have, about, without building it."""
    try:
        step = pd.Timedelta(offset)  # type: ignore[arg-type]
    except ValueError:  # a calendar frequency
        days = {**CALENDAR, **RARE}.get(str(offset.rule_code).split("-")[0], 7.0)
        step = pd.Timedelta(days=days * offset.n)
    return int((index[-1] - index[0]) / step) + 1


def _canonical(grid: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """One name for one frequency: 60min and h, 168h and W-MON are the same."""
    inferred = infer(grid) if len(grid) >= 3 else None
    return grid if inferred is None else pd.DatetimeIndex(grid, freq=inferred)


def is_weekly(frequency: str | None) -> bool:
    """Whether a frequency is the name of a calendar of a week (`Weekly`), and none of pandas."""
    return frequency is not None and frequency.startswith("rows(")


def known_frequency(frequency: str | None) -> str | None:
    """A frequency as it is said to readers, of which one row of a table tells nothing; None for calendars."""
    return None if is_weekly(frequency) else frequency


def future_index(
    index: pd.DatetimeIndex, horizon: int, frequency: str | None = None
) -> pd.DatetimeIndex:
    """The ``horizon`` time stamps after the last one of an index.

    Args:
        index: regular, or of the rows of a calendar of a week.
        horizon: how many.
        frequency: of the calendar of a week; else the index knows its own.
    """
    if frequency is not None and is_weekly(frequency):
        return Weekly.named(frequency).after(index[-1], horizon).rename(index.name)
    future = pd.date_range(index[-1], periods=horizon + 1, freq=index.freq, unit=index.unit)[1:]
    future.name = index.name
    return future


def season_length(frequency: str) -> int:
    """Steps in the natural season of a frequency: a day, a week of days, a year of months.

    1 where none is known. Used by seasonal naive and MASE.
    """
    if is_weekly(frequency):
        return Weekly.named(frequency).season
    offset = to_offset(frequency)
    calendar = {"B": 5, "D": 7, "W": 52, "M": 12, "Q": 4, "Y": 1}
    rule = str(offset.rule_code).split("-")[0]
    days = {**CALENDAR, **RARE}.get(rule)
    if offset.n == 1 and days is not None and rule != "B":
        return round(365 / days)
    if offset.n == 1 and rule in calendar:
        return calendar[rule]
    try:
        step = pd.Timedelta(offset)  # type: ignore[arg-type]
    except ValueError:
        return 1
    day = pd.Timedelta(days=1)
    return int(day / step) if step < day and day % step == pd.Timedelta(0) else 1
