"""Time zones: the one that is asked for, and names that a folder can keep."""

import datetime as dt
import re
import zoneinfo

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError, OptionError


def find_zone(name: str) -> zoneinfo.ZoneInfo:
    """A zone by its name.

    Raises:
        OptionError: for a name that there is not.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise OptionError(
            f"unknown time_zone {name!r} (--time-zone); use a name such as Europe/Vienna or UTC."
        ) from None


def in_zone(
    times: pd.DatetimeIndex, zone: str, name: str, summer: np.ndarray | None = None
) -> pd.DatetimeIndex:
    """Time stamps in a zone: those with an offset converted, local ones as they are.

    Args:
        times: in the order of the rows.
        zone: its name.
        name: of the table, for messages.
        summer: whether each row says that it is daylight saving time; else the order of the rows tells the
            two hours of an autumn night apart.

    Raises:
        DataError: for local times that the zone does not have, or has twice without the rows telling which.
        OptionError: for an unknown zone.
    """
    known = find_zone(zone)
    if times.tz is not None:
        return times.tz_convert(known)
    try:
        return times.tz_localize(known, ambiguous="infer" if summer is None else summer)
    except ValueError as error:  # pandas has classes of its own for both, in places that move
        reason = " ".join(str(error).split())
    if "nonexistent" in reason.lower():
        raise DataError(
            f"{name}: {zone} has no such time: {reason}; the stamps may be of another zone, or of UTC "
            "(time_zone, --time-zone)."
        )
    try:
        # No hour is there twice: it is the first of both, and the second is a hole.
        once = not times.has_duplicates and times.is_monotonic_increasing
        if summer is None and once:
            return times.tz_localize(known, ambiguous=np.ones(len(times), dtype=bool))
    except ValueError as error:
        reason = " ".join(str(error).split())
    raise DataError(
        f"{name}: {zone} has this time twice, and the rows do not tell which it is: {reason}; write stamps "
        "with their offset."
    )


def with_known_zone(times: pd.DatetimeIndex, name: str) -> pd.DatetimeIndex:
    """Time stamps in a zone whose name says all of it, so that a folder can keep it.

    Zones of dateutil and pytz are those of their names; offsets that never change are offsets from UTC,
    whatever they are called.

    Raises:
        DataError: for a zone without a name whose offsets change.
    """
    zone = times.tz
    if zone is None or zone in (dt.UTC, zoneinfo.ZoneInfo("UTC")):
        return times
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if key is None:
        match = re.search(r"zoneinfo/(.+?)'\)$", repr(zone))
        key = match[1] if match else None
    if key is not None:
        return times.tz_convert(find_zone(str(key)))
    offsets = (
        {stamp.utcoffset() for stamp in times[[0, len(times) // 2, -1]]} if len(times) else set()
    )
    fixed = zone.utcoffset(None)
    if fixed is not None:
        return times.tz_convert(dt.timezone(fixed))
    if len(offsets) == 1 and {stamp.utcoffset() for stamp in times} == offsets:
        return times.tz_convert(dt.timezone(offsets.pop() or dt.timedelta(0)))
    raise DataError(
        f"{name}: the zone {zone!r} has no name that could be kept; say time_zone (--time-zone), such as "
        "Europe/Vienna."
    )


def clock_hint(times: pd.DatetimeIndex) -> str:
    """What to do where an hour is there twice as on a night in autumn, or nothing."""
    twice = times[times.duplicated()]
    if times.tz is not None or len(twice) == 0:
        return ""
    nights = (twice.month.isin([3, 4, 9, 10, 11])) & (twice.hour < 4) & (twice.day_of_week == 6)
    if not nights.all():
        return ""
    return " If clocks were put back then, say time_zone (--time-zone), such as Europe/Vienna."
