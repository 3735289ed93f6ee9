"""Time stamps and values that are missing, or there twice: named, or mended as the caller says."""

import numpy as np
import pandas as pd

from stanhop_app.data.frequency import regular_grid
from stanhop_app.errors import DataError

CHOICES = "'interpolate', 'ffill' or 'zero'"
"""What to say of filling: zero where no row means that nothing was sold."""


def reject_duplicates(index: pd.Index, name: str) -> None:
    twice = index.duplicated()
    if twice.any():
        raise DataError(
            f"{name}: {int(twice.sum())} time stamps appear more than once, first {index[twice][0]}; "
            "remove the duplicates, or name the column that tells series apart (--id-column)."
        )


def make_regular(
    frame: pd.DataFrame, name: str, frequency: str | None, missing: str
) -> pd.DataFrame:
    """Give the index its frequency; add the time stamps that are missing, as NaN, if allowed."""
    index = pd.DatetimeIndex(frame.index)
    grid = regular_grid(index, name, frequency)
    absent = len(grid) - len(index)
    if absent:
        if missing == "error":
            position = int(np.flatnonzero(index != grid[: len(index)])[0])
            raise DataError(
                f"{name}: {absent} time stamps are missing at frequency {grid.freqstr}, first "
                f"{grid[position]} (after {index[position - 1]} comes {index[position]}); fill them "
                f"with missing={CHOICES} (--missing)."
            )
        return frame.reindex(grid)
    return frame.set_axis(grid, axis=0)


def fill(frame: pd.DataFrame, name: str, missing: str) -> pd.DataFrame:
    """Handle missing values by the rule ``missing``."""
    holes = frame.isna()
    if not holes.to_numpy().any():
        return frame
    column = next(c for c in frame.columns if holes[c].any())
    count = int(holes[column].sum())
    first = int(np.flatnonzero(holes[column])[0])
    where = f"column {column!r} has {count} missing values, first at {frame.index[first]}"
    if missing == "error":
        others = int(holes.any().sum()) - 1
        more = f" ({others} more columns have some)" if others else ""
        raise DataError(
            f"{name}: {where} (row {first + 1} in time order){more}; fill them with "
            f"missing={CHOICES} (--missing)."
        )
    if missing == "zero":
        return frame.fillna(0.0)
    filled = frame.ffill() if missing == "ffill" else frame.interpolate("time", limit_area="inside")
    still = filled.isna()
    if still.to_numpy().any():
        column = next(c for c in frame.columns if still[c].any())
        if still[column].all():
            raise DataError(
                f"{name}: column {column!r} is empty; choose other columns (--columns)."
            )
        begins = bool(still[column].iloc[0])
        ends = still[column] if begins else still[column][::-1]
        count = int(ends.cumprod().sum())
        first = frame.index[0] if begins else frame.index[-count]
        raise DataError(
            f"{name}: column {column!r} {'begins' if begins else 'ends'} with {count} missing values, from "
            f"{first} on, which {missing!r} cannot fill; drop these rows, or choose other columns "
            "(--columns)."
        )
    return filled
