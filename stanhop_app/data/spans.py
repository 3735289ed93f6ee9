"""Rows of a long table in time order become series of equal steps, each by itself."""

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
    return codes, list(map(str, names(ids, name)))


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


def regular_parts(
    flat: pd.DataFrame,
    starts: np.ndarray,
    ids: list[str],
    name: str,
    frequency: str,
    missing: str,
    roles: Roles,
) -> tuple[list[pd.DataFrame], list[pd.DataFrame] | None, int]:
    """Every series without gaps and holes, its covariates if there are any, and the values that were filled.

    Series of the same time stamps, as most panels have them, are looked at once.
    """
    rules, edges = filling(missing), [*starts.tolist(), len(flat)]
    known: set[bytes] = set()
    holes = np.isnan(flat.to_numpy()).any(axis=1)
    parts, filled = [], 0
    beside: list[pd.DataFrame] | None = [] if roles.names else None
    for number, (first, last) in enumerate(pairwise(edges)):
        part = flat.iloc[first:last]
        stamps = pd.DatetimeIndex(part.index).asi8.tobytes()
        if beside is None and stamps in known and not holes[first:last].any():
            parts.append(part)
            continue
        called = f"{name}, series {ids[number]!r}" if ids[number] else name
        if len(part) > 1:
            steps = make_regular(part, called, frequency, rules)
        else:
            steps = part
            _check_on_grid(part.index, called, frequency)
        if beside is None:
            whole = fill(steps, called, rules)
        else:
            whole, along = part_in_two(steps, roles, called, rules)
            steps = steps.loc[whole.index, list(whole.columns)]
            beside.append(along)
        if len(whole) == len(part):
            known.add(stamps)
        filled += int(steps.isna().to_numpy().sum()) - int(whole.isna().to_numpy().sum())
        parts.append(whole)
    return parts, beside, filled


def _check_on_grid(index: pd.Index, name: str, frequency: str) -> None:
    """Refuse the only time stamp of a series where it does not belong to the frequency."""
    if len(pd.date_range(index[0], index[0], freq=frequency)) == 0:
        raise DataError(
            f"{name}: its only time stamp, {index[0]}, is none of frequency {frequency}."
        )
