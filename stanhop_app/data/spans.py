"""Rows of a long table in time order become series of equal steps, each by itself."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.covariates import Roles, part_in_two
from stanhop_app.data.frequency import regular_grid
from stanhop_app.data.holes import fill, make_regular
from stanhop_app.data.long import names
from stanhop_app.data.reading import filling
from stanhop_app.errors import DataError


def coded(column: pd.Series, name: str) -> tuple[np.ndarray, list[str]]:
    """Number of the series of every row, and their names; a name is made once, not once a row."""
    codes, unique = pd.factorize(column)
    ids = pd.Series(unique, name=column.name)
    if (codes < 0).any() or (ids.astype(str).str.strip() == "").any():
        names(column, name)  # names the first row that has none
    told = names(ids, name)
    if len(set(told)) < len(told):  # 1 and "1" in one column are one name
        same, unique = pd.factorize(pd.Series(told))
        return same[codes], list(map(str, unique))
    return codes, list(map(str, told))


def reject_repeats(flat: pd.DataFrame, codes: np.ndarray, ids: Any, name: str) -> None:
    stamps = pd.DatetimeIndex(flat.index).asi8
    twice = np.r_[False, (np.diff(stamps) == 0) & (np.diff(codes) == 0)]
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{name}: {int(twice.sum())} rows repeat a time stamp of the same series, first that of "
            f"{str(ids[codes[row]])!r} at {flat.index[row]}."
            if ids[codes[row]]
            else f"{name}: {int(twice.sum())} time stamps appear more than once, first {flat.index[row]}; "
            "remove the duplicates, or name the column that tells series apart (--id-column)."
        )


def common_frequency(index: pd.Index, starts: np.ndarray, name: str, frequency: str | None) -> str:
    """The frequency of the longest series, or this one, by one name for one frequency."""
    edges = np.r_[starts, len(index)]
    longest = int(np.argmax(np.diff(edges)))
    own = pd.DatetimeIndex(index[edges[longest] : edges[longest + 1]])
    if frequency is not None and len(own) < 3:
        return frequency
    return str(regular_grid(own, name, frequency).freqstr)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Series of equal steps, and what was done to them."""

    values: list[pd.DataFrame]
    beside: list[pd.DataFrame] | None
    """Covariates of each, those of the future too; None: there are none."""
    filled: int
    """Values that were filled."""
    notes: tuple[str, ...]


def regular_parts(
    flat: pd.DataFrame,
    starts: np.ndarray,
    ids: list[str],
    name: str,
    frequency: str,
    missing: str,
    roles: Roles,
) -> Parts:
    """Every series without gaps and holes, and its covariates if there are any.

    Series of the same time stamps, as most panels have them, are looked at once.
    """
    rules, edges = filling(missing), [*starts.tolist(), len(flat)]
    known: set[bytes] = set()
    holes = np.isnan(flat.to_numpy())
    parts: list[pd.DataFrame] = []
    beside: list[pd.DataFrame] = []
    filled = left = carried = 0
    for number, (first, last) in enumerate(pairwise(edges)):
        part = flat.iloc[first:last]
        stamps = pd.DatetimeIndex(part.index).asi8.tobytes()
        seen = stamps in known
        if seen and not holes[first:last].any() and not roles.names:
            parts.append(part)
            continue
        end = _plain_end(holes[first:last], flat.columns, roles) if seen and roles.names else None
        if end is not None:
            parts.append(part.iloc[:end].drop(columns=list(roles.moving)))
            beside.append(part[list(roles.moving)])
            continue
        called = f"{name}, series {ids[number]!r}" if ids[number] else name
        if len(part) > 1:
            steps = make_regular(part, called, frequency, rules)
        else:
            steps = part
            _check_on_grid(part.index, called, frequency)
        if len(steps) == len(part):
            known.add(stamps)
        if not roles.names:
            whole = fill(steps, called, rules)
            filled += int(steps.isna().to_numpy().sum()) - int(whole.isna().to_numpy().sum())
            parts.append(whole)
            continue
        parted = part_in_two(steps, roles, called, rules)
        parts.append(parted.values)
        beside.append(parted.along)
        filled, left, carried = filled + parted.filled, left + parted.left, carried + parted.carried
    notes = [f"{left:,} rows before the first value were left out"] if left else []
    notes += [f"{carried:,} values of covariates were filled by {missing}"] if carried else []
    return Parts(
        values=parts, beside=beside if roles.names else None, filled=filled, notes=tuple(notes)
    )


def _plain_end(holes: np.ndarray, columns: pd.Index, roles: Roles) -> int | None:
    """Rows of values of a part of which nothing is to be said: only the future after them has none.

    None for any other part.
    """
    place = {column: number for number, column in enumerate(columns)}
    values = [number for column, number in place.items() if column not in roles.moving]
    there = ~holes[:, values]
    end = int(there.all(1).sum())
    whole = there[:end].all() and not there[end:].any()
    known = not holes[:, [place[c] for c in roles.future]].any()
    past = not holes[:end, [place[c] for c in roles.past]].any()
    rest = end == len(holes) or bool(roles.future)
    return end if end and whole and known and past and rest else None


def _check_on_grid(index: pd.Index, name: str, frequency: str) -> None:
    """Refuse the only time stamp of a series where it does not belong to the frequency."""
    if len(pd.date_range(index[0], index[0], freq=frequency)) == 0:
        raise DataError(
            f"{name}: its only time stamp, {index[0]}, is none of frequency {frequency}."
        )
