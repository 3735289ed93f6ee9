"""A table goes on: rows that came since, put behind those that are kept.

Shape letters: n rows of one series, C columns, m >= n rows of K covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from stanhop_app.data.covariates import Covariates, firsts, part_in_two
from stanhop_app.data.frequency import future_index, is_weekly
from stanhop_app.data.holes import fill
from stanhop_app.data.reading import Filling, filling
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined:
    """A table that went on, and what is new in it."""

    table: SeriesTable
    rows: int
    """New rows of series that were there."""
    series: tuple[str, ...]
    """Names of new series."""
    fresh: int
    """Their rows."""
    revised: int
    """Values that were known and are others now; the new ones are taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One series."""

    stamps: np.ndarray
    """(n,) integers."""
    values: np.ndarray
    """(n, C)."""
    beside: np.ndarray
    """(m, K), the rows of the future too."""

    def __len__(self) -> int:
        return len(self.stamps)


def joined(
    kept: SeriesTable, new: SeriesTable, missing: str = "error", *, complete: bool = False
) -> Joined:
    """The rows of each series and those that came since; new series come last.

    Args:
        kept: the rows so far.
        new: those that came since, or all of them: what is in both is taken from here. Columns, covariates
            and frequency are the same.
        missing: what is done about rows that are missing between the two, and about holes.
        complete: whether the rows so far are all that there were: what comes before them is left out.

    Raises:
        DataError: if rows are missing between the two and are not to be filled, or nothing is new.
    """
    rules = filling(missing)
    _check_static(kept, new)
    unit, old = pd.DatetimeIndex(kept.frame.index).unit, _parts(kept)
    came = _parts(new, unit)
    parts, added, revised = [], 0, 0
    for name, part in old.items():
        if name not in came:
            parts.append(part)
            continue
        now = _since(came[name], int(part.stamps[0])) if complete else came[name]
        if not len(now):
            parts.append(part)
            continue
        now = _with_gap(kept, part, now, name) if rules.allows_rows else now
        whole, more, changed = _onto(part, now, _after(kept, part), name, unit)
        parts.append(_filled(kept, whole, name, rules))
        added, revised = added + more, revised + changed
    fresh = tuple(name for name in new.ids if name not in old)
    parts += [_filled(kept, came[name], name, rules) for name in fresh]
    if not (added or fresh or revised):
        raise DataError(
            f"there are no new rows: those that are kept end at {kept.frame.index.max()}; bring later ones."
        )
    table = _table(kept, new, parts, (*kept.ids, *fresh))
    return Joined(
        table=table,
        rows=added,
        series=fresh,
        fresh=sum(map(len, parts[len(old) :])),
        revised=revised,
    )


def _parts(table: SeriesTable, unit: str | None = None) -> dict[str, _Part]:
    index = pd.DatetimeIndex(table.frame.index)
    stamps = (index if unit is None else index.as_unit(unit)).asi8  # type: ignore[arg-type]
    values = table.frame.to_numpy(dtype=np.float64)
    known = table.covariates
    rows = np.zeros((len(values), 0)) if known is None else known.frame.to_numpy(dtype=np.float64)
    spans = table.spans() if known is None else known.spans()
    return {
        name: _Part(stamps=stamps[a:b], values=values[a:b], beside=rows[c:d])
        for name, (a, b), (c, d) in zip(table.ids, table.spans(), spans, strict=True)
    }


def _since(part: _Part, first: int) -> _Part:
    """The rows of a series from a stamp on."""
    start = int(np.searchsorted(part.stamps, first))
    return _Part(stamps=part.stamps[start:], values=part.values[start:], beside=part.beside[start:])


def _after(table: SeriesTable, part: _Part) -> int:
    """The stamp after the last one of a series."""
    unit = pd.DatetimeIndex(table.frame.index).unit
    return int(_following(table, part.stamps[-1:], 1).as_unit(unit).asi8[0])


def _with_gap(table: SeriesTable, old: _Part, new: _Part, name: str) -> _Part:
    """New rows of a series behind as many of nothing as are missing between them and the old ones."""
    first, last = int(new.stamps[0]), int(old.stamps[-1])
    if first <= _after(table, old):
        return new
    unit, count = pd.DatetimeIndex(table.frame.index).unit, 1
    between = old.stamps[-1:]
    while between[-1] < first and count < 2 * len(old):
        count *= 2
        between = _following(table, old.stamps[-1:], count).as_unit(unit).asi8
    if between[-1] >= first and first not in between:
        told = f"series {name!r}: " if name else ""
        raise DataError(
            f"{told}{pd.Timestamp(first, unit=unit)} is no step after {pd.Timestamp(last, unit=unit)} at "
            f"frequency {table.frequency}; mend the stamps."
        )
    between = between[between < first]
    if len(between) > len(old):
        raise DataError(
            f"{f'series {name!r}: ' if name else ''}more rows are missing between "
            f"{pd.Timestamp(last, unit=unit)} and {pd.Timestamp(first, unit=unit)} than are kept before; "
            "bring them."
        )
    gap = len(between)
    beside = np.full((gap, new.beside.shape[1]), np.nan)
    known = old.beside[len(old) : len(old) + gap]  # of the future, until now
    beside[: len(known)] = known
    return _Part(
        stamps=np.concatenate([between, new.stamps]),
        values=np.pad(new.values, ((gap, 0), (0, 0)), constant_values=np.nan),
        beside=np.concatenate([beside, new.beside]),
    )


def _filled(table: SeriesTable, part: _Part, name: str, rules: Filling) -> _Part:
    """A series without the holes that rules fill, as a table is read (`data.spans.regular_parts`)."""
    known = table.covariates
    names = [] if known is None else list(known.frame.columns)
    past = [] if known is None else [names.index(column) for column in known.roles.past]
    beside = part.beside.copy()
    beside[len(part) :, past] = 0.0  # of the future, which nobody knows
    if not (np.isnan(part.values).any() or np.isnan(beside).any()):
        return part
    called = f"series {name!r}" if name else "the new rows"
    values = pd.DataFrame(
        part.values, columns=table.frame.columns, index=_stamped(table, part.stamps)
    )
    if known is None:
        return replace(part, values=fill(values, called, rules).to_numpy(dtype=np.float64))
    rows = pd.DataFrame(
        part.beside, columns=known.frame.columns, index=_stamps_beside(table, [part])
    )
    parted = part_in_two(values.reindex(rows.index).join(rows), known.roles, called, rules)
    return _Part(
        stamps=part.stamps[: len(parted.values)],
        values=parted.values.to_numpy(dtype=np.float64),
        beside=parted.along.to_numpy(dtype=np.float64),
    )


def _onto(old: _Part, new: _Part, after: int, name: str, unit: str) -> tuple[_Part, int, int]:
    """A series and what came of it since, the rows added and the values that changed."""
    k = int(np.searchsorted(old.stamps, new.stamps[0]))
    j = int(np.searchsorted(new.stamps, old.stamps[0])) if k == 0 else 0
    if j == len(new):  # all of it lies before the rows that are kept
        return old, 0, 0
    shared = min(len(old) - k, len(new) - j)
    before, now = old.stamps[k : k + shared], new.stamps[j : j + shared]
    if (k == len(old) and new.stamps[0] != after) or not np.array_equal(before, now):
        told = f"series {name!r}: " if name else ""
        first, last = (pd.Timestamp(int(s), unit=unit) for s in (new.stamps[0], old.stamps[-1]))
        raise DataError(
            f"{told}the rows that are kept end at {last}, and the new ones begin at {first}: rows between "
            "them are missing, or stamps are others; bring all rows from there on."
        )
    was, is_ = old.values[k : k + shared], new.values[j : j + shared]
    changed = int(((was != is_) & ~(np.isnan(was) & np.isnan(is_))).sum())
    end = k + shared
    goes_on = end < len(old)
    beside = [old.beside[:k], new.beside[: len(new)] if goes_on else new.beside]
    rest = end if goes_on else max(k + len(new.beside) - j, 0)  # what the new rows do not tell
    whole = _Part(
        stamps=np.concatenate([old.stamps[:k], new.stamps, old.stamps[end:]]),
        values=np.concatenate([old.values[:k], new.values, old.values[end:]]),
        beside=np.concatenate([*beside, old.beside[rest:]]),
    )
    return whole, len(new) - j - shared, changed


def _table(
    kept: SeriesTable, new: SeriesTable, parts: Sequence[_Part], ids: tuple[str, ...]
) -> SeriesTable:
    """The series of these parts, as the kept ones are."""
    lengths = [len(part) for part in parts]
    index = _stamped(kept, np.concatenate([part.stamps for part in parts]))
    if len(parts) == 1 and not is_weekly(kept.frequency):
        index = pd.DatetimeIndex(index, freq=kept.frequency)
    values = np.concatenate([part.values for part in parts])
    known = kept.covariates
    if known is not None:
        beside = np.concatenate([part.beside for part in parts])
        static = known.static
        if new.covariates is not None:
            fresh = [number for number, name in enumerate(new.ids) if name not in set(kept.ids)]
            static = pd.concat([static, new.covariates.static.iloc[fresh]], ignore_index=True)
        known = Covariates(
            roles=known.roles,
            frame=pd.DataFrame(
                beside, columns=known.frame.columns, index=_stamps_beside(kept, parts)
            ),
            starts=firsts([len(part.beside) for part in parts]),
            static=static,
        )
    return replace(
        kept,
        frame=pd.DataFrame(values, columns=kept.frame.columns, index=index),
        starts=firsts(lengths),
        ids=ids,
        numbered=kept.numbered and new.numbered,
        covariates=known,
    )


def _check_static(kept: SeriesTable, new: SeriesTable) -> None:
    """Refuse a covariate that does not change with time and is another now."""
    if kept.covariates is None or new.covariates is None:
        return
    was = kept.covariates.static.set_axis(list(kept.ids))
    is_ = new.covariates.static.set_axis(list(new.ids))
    both = [name for name in new.ids if name in set(kept.ids)]
    for column in was.columns:
        before, now = (table[column].astype(float) for table in (was, is_))
        for name in [n for n in both if before[n] != now[n]][:1]:
            raise DataError(
                f"static covariate {column!r} of series {name!r} is not what it was at the training; mend "
                "it, or train again."
            )


def _stamps_beside(table: SeriesTable, parts: Sequence[_Part]) -> pd.DatetimeIndex:
    """Time stamps of the covariates of each series, those of the future too."""
    unit = pd.DatetimeIndex(table.frame.index).unit
    ahead = lru_cache(maxsize=4096)(
        lambda last, steps: _following(table, np.array([last]), steps).as_unit(unit).asi8
    )
    stamps = [
        stamp
        for part in parts
        for stamp in (
            part.stamps,
            ahead(int(part.stamps[-1]), len(part.beside) - len(part))
            if len(part.beside) > len(part)
            else part.stamps[:0],
        )
    ]
    return _stamped(table, np.concatenate(stamps))


def _following(table: SeriesTable, last: np.ndarray, steps: int) -> pd.DatetimeIndex:
    """The stamps after one."""
    end, frequency = _stamped(table, last), table.frequency
    end = end if is_weekly(frequency) else pd.DatetimeIndex(end, freq=frequency)
    return future_index(end, steps, frequency)


def _stamped(table: SeriesTable, stamps: np.ndarray) -> pd.DatetimeIndex:
    """Integers as time stamps of a table."""
    own = pd.DatetimeIndex(table.frame.index)
    index = pd.DatetimeIndex(stamps.astype(f"datetime64[{own.unit}]"), name=own.name)
    return index if own.tz is None else index.tz_localize("UTC").tz_convert(own.tz)
