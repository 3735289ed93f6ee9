"""What a time stamp says by itself: where it lies in its day, its week and its year, as smooth cycles."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

HARMONICS = {"day": 4, "week": 3, "year": 3}
"""Sines and cosines of each cycle. Three of a week tell its seven days apart."""
DAYS = {"day": 1.0, "week": 7.0, "year": 365.2425}
"""Length of each cycle."""


def cycles(frequency: str | None, days: float) -> tuple[str, ...]:
    """The cycles that a table tells something of.

    A cycle must hold several steps: a day of hours, a week of days, a year of months. And the rows must
    hold it whole: the first nine months of a year say nothing of the other three.

    Args:
        frequency: pandas alias; None, and calendars of a week: none.
        days: from the first training row to the last.
    """
    try:
        offset = to_offset(frequency)
    except ValueError:
        return ()
    if offset is None:
        return ()
    start = pd.Timestamp("2024-01-01")
    stamps = pd.date_range(start, periods=13, freq=offset)
    step = min((b - a) / pd.Timedelta(days=1) for a, b in pairwise(stamps))
    longest = {"day": 1 / 4, "week": 1.0, "year": 100.0}
    return tuple(
        name for name in HARMONICS if step <= longest[name] and days >= DAYS[name] and step > 0
    )


def positions(index: pd.DatetimeIndex, cycle: str) -> np.ndarray:
    """Where each time stamp lies in a cycle, in [0, 1): by the local clock and the calendar."""
    local = index.tz_localize(None)
    day = (local - local.normalize()) / pd.Timedelta(days=1)
    if cycle == "day":
        return np.asarray(day, dtype=np.float64)
    if cycle == "week":
        return np.asarray((local.day_of_week + day) / 7, dtype=np.float64)
    length = np.where(local.is_leap_year, 366.0, 365.0)
    return np.asarray((local.day_of_year - 1 + day) / length, dtype=np.float64)


def clock(index: pd.Index, frequency: str | None) -> np.ndarray:
    """When every row is: seconds since 1970, and where it lies in its shortest cycle, in [0, 1).

    The cycle is that of a day for rows of hours, of a week for days, of a year for months; 0 where rows are
    longer, or are of a calendar of a week. Rows without time stamps are counted, as seconds.

    Returns:
        (N, 2) float64.
    """
    if not isinstance(index, pd.DatetimeIndex):
        return np.stack([np.asarray(index, dtype=np.float64), np.zeros(len(index))], axis=1)
    seconds = index.as_unit("ns").asi8 / 1e9
    known = cycles(frequency, math.inf)
    where = positions(index, known[0]) if known else np.zeros(len(index))
    return np.stack([seconds, where], axis=1)


def waves(index: pd.DatetimeIndex, cycle: str) -> np.ndarray:
    """``sin(2 pi k p)`` and ``cos(2 pi k p)`` of the position p in a cycle, for every harmonic k."""
    angle = 2 * np.pi * positions(index, cycle)
    parts = [f(k * angle) for k in range(1, HARMONICS[cycle] + 1) for f in (np.sin, np.cos)]
    return np.stack(parts, axis=1)
