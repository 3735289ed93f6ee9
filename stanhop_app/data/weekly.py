"""Calendars of a week: Monday to Saturday, or opening hours; the rows that exist tell which.

A frequency of pandas has a step of one length, or days of a calendar that pandas knows. Shops and exchanges
have neither: half hours from 8 to 18 on working days. Their steps repeat every week, and such a calendar is
the set of places in the week at which rows stand. A row that is not there, such as that of a holiday, is no
hole.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError, OptionError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY, WEEK = 24 * 60, 7 * 24 * 60
"""Minutes."""
MONDAY = np.datetime64("1970-01-05T00:00", "m")
OFTEN = 0.5
"""Share of the places of a calendar, week by week, at which rows must stand."""
RARE = 0.2
"""Share of the weeks in which a place of the calendar has a row, at least."""
NAME = re.compile(r"rows\((?P<days>[^()]{1,4000})\)")


@dataclass(frozen=True, kw_only=True)
class Weekly:
    """Places in a week at which rows stand, in minutes after Monday 00:00, rising.

    Examples:
        >>> Weekly.of(pd.date_range("2024-01-01", periods=14, freq="B")).name
        'rows(Mon-Fri 00:00)'
        >>> Weekly.named("rows(Sat 09:00-12:00/60)").after(pd.Timestamp("2024-01-06 11:00"), 2)[-1]
        Timestamp('2024-01-13 09:00:00')
    """

    places: tuple[int, ...]

    @classmethod
    def of(cls, index: pd.DatetimeIndex, name: str = "frame") -> "Weekly":
        """The calendar that the rows of a table show.

        Raises:
            DataError: if rows stand at fractions of a minute, or at ever new places of the week.
        """
        wall = index.tz_localize(None)
        if (wall != wall.floor("min")).any():
            raise DataError(
                f"{name}: calendar=rows (--calendar rows) needs stamps of whole minutes."
            )
        minutes = _minutes(wall)
        places, counts = np.unique(minutes % WEEK, return_counts=True)
        weeks = len(np.unique(minutes // WEEK))
        if len(index) < OFTEN * len(places) * weeks and weeks > 1:
            raise DataError(
                f"{name}: the rows follow no calendar of a week: they stand at {len(places):,} places of it, "
                f"at each in {len(index) / len(places):.1f} of {weeks:,} weeks; resample the table."
            )
        rare = places[counts < RARE * weeks] if weeks >= 4 else places[:0]
        if len(rare):
            first = index[np.isin(minutes % WEEK, rare)][0]
            raise DataError(
                f"{name}: {int(np.isin(minutes % WEEK, rare).sum())} rows stand where few weeks have one, "
                f"first {first}; drop them (a special day is no part of the calendar), or resample the table."
            )
        weekly = cls(places=tuple(places.tolist()))
        if NAME.fullmatch(weekly.name) is None:
            raise DataError(
                f"{name}: the rows stand at too many places of the week, {len(places):,}."
            )
        return weekly

    @classmethod
    def named(cls, name: str) -> "Weekly":
        """The calendar of this name, as `name` gives it.

        Raises:
            DataError: if it is none.
        """
        match = NAME.fullmatch(name)
        try:
            if match is None:
                raise KeyError(name)
            places = [p for part in match["days"].split("; ") for p in _parsed(part)]
        except (LookupError, ValueError):
            raise DataError(f"{name!r} is no calendar of a week.") from None
        return cls(places=tuple(sorted(places)))

    @property
    def name(self) -> str:
        """How it is written: days that have the same times together."""
        times: dict[int, list[int]] = {}
        for place in self.places:
            times.setdefault(place // DAY, []).append(place % DAY)
        parts = []
        for spans, days in groupby(sorted(times), key=lambda day: times[day]):
            listed = list(days)
            last = f"-{DAYS[listed[-1]]}" if len(listed) > 1 else ""
            if listed != list(range(listed[0], listed[-1] + 1)):
                parts += [f"{DAYS[day]} {_written(spans)}" for day in listed]
            else:
                parts.append(f"{DAYS[listed[0]]}{last} {_written(spans)}")
        return f"rows({'; '.join(parts)})"

    @property
    def season(self) -> int:
        """Steps of a day, if a day has several; else those of a week."""
        days = len({place // DAY for place in self.places})
        return round(len(self.places) / days) if len(self.places) > days else days

    def holds(self, index: pd.DatetimeIndex) -> np.ndarray:
        """Whether each time stamp stands at a place of the calendar."""
        wall = index.tz_localize(None)
        whole = wall == wall.floor("min")
        return np.asarray(whole & np.isin(_minutes(wall) % WEEK, self.places))

    def after(self, last: pd.Timestamp, count: int) -> pd.DatetimeIndex:
        """The next ``count`` time stamps after one; where clocks skip a time, the first that they show."""
        wall = pd.DatetimeIndex([last]).tz_localize(None)
        week, place = divmod(int(_minutes(wall)[0]), WEEK)
        first = int(np.searchsorted(self.places, place, side="right"))
        weeks, places = np.divmod(first + np.arange(count), len(self.places))
        minutes = (week + weeks) * WEEK + np.asarray(self.places)[places]
        index = pd.DatetimeIndex(MONDAY + minutes).as_unit(last.unit)
        return index.tz_localize(
            last.tz, ambiguous=np.ones(count, bool), nonexistent="shift_forward"
        )


def rows_hint(index: pd.DatetimeIndex) -> str:
    """What to do where rows stand at a few places of each week, or nothing."""
    try:
        weekly = Weekly.of(index)
    except DataError:
        return ""
    places = np.array(weekly.places)
    weeks = len(np.unique(_minutes(index.tz_localize(None)) // WEEK))
    even = len(np.unique(np.diff([*places, places[0] + WEEK]))) == 1
    if even or weeks < 3 or len(index) < 0.8 * len(places) * (weeks - 1):
        return ""
    return (
        " If no other rows are to come, as in opening hours, say calendar='rows' (--calendar rows): "
        f"{weekly.name}."
    )


def _minutes(wall: pd.DatetimeIndex) -> np.ndarray:
    """Minutes after a Monday."""
    return (wall.to_numpy().astype("datetime64[m]") - MONDAY).astype(np.int64)


def _written(times: list[int]) -> str:
    """Minutes of a day as 08:00-17:30/30, or one by one."""
    steps = set(np.diff(times).tolist())
    if len(times) > 2 and len(steps) == 1:
        return f"{_clock(times[0])}-{_clock(times[-1])}/{steps.pop()}"
    return ",".join(map(_clock, times))


def _parsed(part: str) -> Iterable[int]:
    """Places of the days and times of one part of a name."""
    days, written = part.split(" ")
    first, _, last = days.partition("-")
    span, _, step = written.partition("/")
    if step:
        start, end = map(_minute, span.split("-"))
        times = [*range(start, end, int(step)), end]
    else:
        times = [_minute(time) for time in written.split(",")]
    for day in range(DAYS.index(first), DAYS.index(last or first) + 1):
        yield from (day * DAY + time for time in times)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    minute = int(hours) * 60 + int(minutes)
    if not 0 <= minute < DAY:
        raise OptionError(f"{text} is no time of day.")
    return minute
