"""Time stamps and values that are missing, or there twice: named, or mended as the caller says."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frequency import regular_grid
from stanhop_app.data.reading import Filling
from stanhop_app.errors import DataError

CHOICES = "'interpolate', 'ffill', 'zero' or 'mask'"
"""What to say of filling: zero where no row means that nothing was sold."""


def reject_duplicates(index: pd.Index, name: str) -> None:
    twice = index.duplicated()
    if twice.any():
        raise DataError(
            f"{name}: {int(twice.sum())} time stamps appear more than once, first {index[twice][0]}; "
            "remove the duplicates, or name the column that tells series apart (--id-column)."
        )


def make_regular(
    frame: pd.DataFrame, name: str, frequency: str | None, filling: Filling
) -> pd.DataFrame:
    """Give the index its frequency; add the time stamps that are missing, as NaN, if allowed."""
    index = pd.DatetimeIndex(frame.index)
    grid = regular_grid(index, name, frequency)
    absent = len(grid) - len(index)
    if absent:
        if not filling.allows_rows:
            position = int(np.flatnonzero(index != grid[: len(index)])[0])
            raise DataError(
                f"{name}: {absent} time stamps are missing at frequency {grid.freqstr}, first "
                f"{grid[position]} (after {index[position - 1]} comes {index[position]}); fill them "
                f"with missing={CHOICES} (--missing)."
            )
        return frame.reindex(grid)
    return frame.set_axis(grid, axis=0)


def check_columns(filling: Filling, columns: Iterable[Any], name: str) -> None:
    """Refuse a rule for a column that is not there."""
    unknown = [column for column in filling.by_column if column not in columns]
    if unknown:
        raise DataError(
            f"{name}: missing={unknown[0]}=... (--missing) names a column that is not there; the "
            f"columns are: {', '.join(map(str, columns))}."
        )


def fill(frame: pd.DataFrame, name: str, filling: Filling) -> pd.DataFrame:
    """Handle missing values by the rule of each column.

    Raises:
        DataError: naming the first column that has holes that its rule does not fill.
    """
    check_columns(filling, frame.columns, name)
    holed = [column for column in frame.columns if frame[column].isna().any()]
    refused = [column for column in holed if filling.of(column) == "error"]
    if refused:
        _refuse(frame[refused], frame, name)
    return frame.assign(**{c: _filled(frame[c], name, filling.of(c)) for c in holed})


def _refuse(frame: pd.DataFrame, whole: pd.DataFrame, name: str) -> None:
    """Name the first of some columns that have holes."""
    column = frame.columns[0]
    holes = frame[column].isna()
    first = int(np.flatnonzero(holes)[0])
    others = len(frame.columns) - 1
    more = f" ({others} more columns have some)" if others else ""
    ends = holes.iloc[first:].all() and not whole.iloc[first:].isna().all(axis=None)
    ahead = (
        "; if the columns that go on are known ahead, name them future_covariates (--future-covariates)"
        if ends
        else ""
    )
    raise DataError(
        f"{name}: column {column!r} has {int(holes.sum())} missing values, first at {frame.index[first]} "
        f"(row {first + 1} in time order){more}; fill them with missing={CHOICES} (--missing){ahead}."
    )


def _filled(column: pd.Series, name: str, rule: str) -> pd.Series:
    """A column whose holes are filled by a rule."""
    if rule == "zero":
        return column.fillna(0.0)
    if rule == "mask" and not column.isna().all():
        return column
    filled = column.ffill() if rule == "ffill" else column.interpolate("time", limit_area="inside")
    still = filled.isna()
    if still.all():
        raise DataError(
            f"{name}: column {column.name!r} is empty; choose other columns (--columns)."
        )
    if still.any():
        begins = bool(still.iloc[0])
        ends = still if begins else still[::-1]
        count = int(ends.cumprod().sum())
        first = column.index[0] if begins else column.index[-count]
        raise DataError(
            f"{name}: column {column.name!r} {'begins' if begins else 'ends'} with {count} missing values, "
            f"from {first} on, which {rule!r} cannot fill; drop these rows, or choose other columns "
            "(--columns)."
        )
    return filled
