"""What stands out in a table before anything is trained on it: holes, jumps, constant stretches, outliers.

A finding is a hint to look, not a verdict: nothing is changed, and nothing is left out because of it.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stanhop_app.data.columns import code_of
from stanhop_app.data.frame import Arranged, frame_frequency, with_steps
from stanhop_app.data.frequency import season_length
from stanhop_app.errors import DataError

FAR = 10.0
"""Deviations from the median, or from what steps between two stretches usually are, that stand out."""
SHORTEST = 12
"""Rows that a constant stretch, or a stretch on either side of a jump, has at least."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that stands out in one column, or in all rows."""

    column: str
    """Its name; empty: all of them."""
    kind: str
    """duplicates, gaps, holes, outliers, jump, constant or code."""
    count: int
    """Rows, or values."""
    first: pd.Timestamp
    """Where it is first seen."""
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a table holds, and what stands out in it."""

    frame: pd.DataFrame
    """A row for every step where the steps are equal, with NaN where a value is missing."""
    frequency: str | None
    """None: the steps are not equal."""
    season: int
    listed: tuple[Finding, ...]
    refused: str | None
    """Why no frequency was found."""


def find(arranged: Arranged) -> Findings:
    """Look at a table that was read; see `Finding` for what is looked for.

    A season long, and 12 rows at least, are the stretches that count as constant, and those on both sides
    whose medians tell a jump. Deviations are those from the median of the rows around, scaled so that they
    are standard deviations of normal values; a column of which half does not change has no outliers.
    """
    times = pd.DatetimeIndex(arranged.frame.index)
    listed = _duplicates(times)
    once = replace(arranged, frame=arranged.frame[~times.duplicated()])
    missing = ",".join(["interpolate", *arranged.config.missing.split(",")[1:]])
    refused = None
    try:
        frame = with_steps(replace(once, config=replace(once.config, missing=missing)))
        frequency = frame_frequency(frame)
    except DataError as error:
        frame, frequency, refused = once.frame, None, str(error)
    season = 1 if frequency is None else season_length(frequency)
    there = frame.index.isin(once.frame.index)
    listed += _gaps(frame, there)
    for name in frame.columns:
        listed += _of_column(frame[name], there, max(season, SHORTEST))
    return Findings(
        frame=frame, frequency=frequency, season=season, listed=tuple(listed), refused=refused
    )


def _duplicates(times: pd.DatetimeIndex) -> list[Finding]:
    twice = times[times.duplicated()]
    if not len(twice):
        return []
    sentence = f"{_many(len(twice), 'row')} with the stamp of another; to tell series apart, say --id-column"
    return [
        Finding(column="", kind="duplicates", count=len(twice), first=twice[0], sentence=sentence)
    ]


def _gaps(frame: pd.DataFrame, there: np.ndarray) -> list[Finding]:
    absent = frame.index[~there]
    if not len(absent):
        return []
    sentence = f"missing: {_many(len(absent), 'row')}, {_longest(~there):,} in the longest gap"
    return [Finding(column="", kind="gaps", count=len(absent), first=absent[0], sentence=sentence)]


def _of_column(column: pd.Series, there: np.ndarray, stretch: int) -> list[Finding]:
    """What stands out in one column; rows that are not there are no holes of it."""
    name, times = str(column.name), pd.DatetimeIndex(column.index)
    values = column.to_numpy(dtype=np.float64)
    known = ~np.isnan(values)
    if not known.any():
        sentence = "holds no value; choose other columns (--columns)"
        return [
            Finding(column=name, kind="holes", count=len(values), first=times[0], sentence=sentence)
        ]
    listed = []

    def add(kind: str, rows: np.ndarray, sentence: str) -> None:
        listed.append(
            Finding(
                column=name,
                kind=kind,
                count=int(rows.sum()),
                first=times[int(np.argmax(rows))],
                sentence=sentence,
            )
        )

    holes = ~known & there
    if holes.any():
        where = " at the beginning" * bool(holes[0]) + " at the end" * bool(holes[-1])
        sentence = (
            f"missing: {_many(holes.sum(), 'value')}, {_longest(holes):,} in the longest hole"
        )
        add("holes", holes, sentence + (f", some{where}" if where else ""))
    codes = code_of(values)
    if codes is not None:
        rows = values == codes
        sentence = (
            f"{codes:g}: {_many(rows.sum(), 'value')}; if it means missing, say --na={codes:g}"
        )
        add("code", rows, sentence)
    far = _far(np.where(values == (np.nan if codes is None else codes), np.nan, values), stretch)
    if far.any():
        at = int(np.argmax(far))
        sentence = f"beyond {FAR:g} deviations: {_many(far.sum(), 'value')}, first {values[at]:g}"
        add("outliers", far, sentence)
    same = _constant(values, stretch)
    if same.any():
        if same.sum() == known.sum():
            add("constant", same, f"all values are {values[known][0]:g}")
        else:
            sentence = f"unchanging: {_many(same.sum(), 'value')}, {_longest(same):,} in the longest stretch"
            add("constant", same, sentence)
    for at, before, after in _jumps(values, stretch):
        rows = np.arange(len(values)) == at
        add("jump", rows, f"the level goes from {before:.4g} to {after:.4g}")
    return listed


def _far(values: np.ndarray, stretch: int) -> np.ndarray:
    """Values many deviations from the median of the rows around them, so that a new level is none."""
    around = pd.Series(values).rolling(2 * stretch + 1, center=True, min_periods=1).median()
    away = np.abs(values - around.to_numpy())
    scale = 1.4826 * np.nanmedian(away)
    if scale <= 0:
        return np.zeros(len(values), bool)
    far: np.ndarray = away > FAR * scale
    return far


def _constant(values: np.ndarray, stretch: int) -> np.ndarray:
    """Values in runs of one value longer than a stretch."""
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])  # NaN differs from itself
    lengths = np.diff(np.r_[starts, len(values)])
    return np.repeat(lengths > stretch, lengths)


def _jumps(values: np.ndarray, stretch: int, most: int = 5) -> list[tuple[int, float, float]]:
    """Rows at which the median of the stretch after differs from that before by far more than usual."""
    if len(values) < 6 * stretch:
        return []
    medians = pd.Series(values).rolling(stretch, min_periods=stretch // 2 + 1).median().to_numpy()
    before, after = medians[stretch - 1 : -stretch], medians[2 * stretch - 1 :]
    steps = np.abs(after - before)
    usual = 1.4826 * np.nanmedian(steps)
    if not usual > 0:
        usual = float(np.nanstd(values)) / FAR if np.nanmean(steps > 0) < 0.05 else np.inf
    jumps: list[tuple[int, float, float]] = []
    steps = np.where(np.isnan(steps), 0, steps)
    while len(jumps) < most and steps.max() > FAR * usual:
        peak = steps == steps.max()  # medians change in the middle of a plateau
        at = int(np.median(np.flatnonzero(peak)))
        row = _edge(values[at : at + 2 * stretch])
        jumps.append((at + row, float(before[at]), float(after[at])))
        steps[max(at - 2 * stretch, 0) : at + 2 * stretch] = 0
    return sorted(jumps)


def _edge(values: np.ndarray) -> int:
    """The row at which two levels part, by least squares."""
    numbers = pd.Series(values).interpolate(limit_direction="both").to_numpy()
    rows = np.arange(1, len(numbers))
    left = np.cumsum(numbers)[:-1]
    right = numbers.sum() - left
    explained = left**2 / rows + right**2 / (len(numbers) - rows)
    return int(rows[np.argmax(explained)])


def _many(count: int, what: str) -> str:
    """A number of things: 1 value, 2 values."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _longest(rows: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, rows.astype(np.int8), 0]))
    return int((edges[1::2] - edges[::2]).max())
