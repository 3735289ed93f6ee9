"""Forecasts that were made and kept in files: read back, and looked through before they are scored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stanhop_app.data.frame import time_index
from stanhop_app.errors import DataError, OptionError


def read_forecast(path: Path) -> pd.DataFrame:
    """A forecast that `stanhop forecast` wrote, as CSV or Parquet; messages name it by its file.

    Raises:
        DataError: if it cannot be read as one.
    """
    try:
        if path.suffix == ".parquet":
            made = pd.read_parquet(path)
            made = (
                made
                if isinstance(made.index, pd.DatetimeIndex)
                else made.set_index(made.columns[0])
            )
        else:
            made = pd.read_csv(path, index_col=0)
            if made.index.dtype.kind in "iuf":
                raise OptionError("its first column holds numbers, not time stamps")
            made.index = _stamps(made.index)
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: cannot be read as a forecast ({reason}).") from None
    if not isinstance(made.index, pd.DatetimeIndex) or made.empty:
        raise DataError(f"{path}: is no forecast: its first column must be time stamps.")
    made.attrs["file"] = str(path)
    return made


def _stamps(words: pd.Index) -> pd.DatetimeIndex:
    """Time stamps; of several offsets, as on both sides of a clock change, those in UTC."""
    try:
        return pd.DatetimeIndex(pd.to_datetime(words))
    except ValueError:
        return pd.DatetimeIndex(pd.to_datetime(words, utc=True))


def name_of(made: pd.DataFrame) -> str:
    """What a message calls a forecast."""
    return str(made.attrs.get("file", "a forecast that was made"))


def checked(
    made: pd.DataFrame, index: pd.DatetimeIndex, columns: Sequence[str], coverage: int
) -> pd.DataFrame:
    """A forecast whose points, and ends of intervals, are numbers at rising stamps in the zone of the rows.

    Args:
        made: as `predict` or `predict_interval` returned it.
        index: of the rows.
        columns: that must be forecast.
        coverage: of the interval that is looked at where it is there, in percent.

    Raises:
        DataError: naming the file, the column and the row of what is wrong.
    """
    name = name_of(made)
    lacks = [column for column in columns if column not in made.columns]
    if lacks:
        raise DataError(f"{name}: column {lacks[0]!r} is missing.")
    stamps = _rising(made, index, name)
    made = made.set_axis(stamps, axis=0)
    ends = [_end(column, side, coverage) for column in columns for side in ("lo", "hi")]
    for column in (*columns, *(end for end in ends if end in made.columns)):
        numbers = pd.to_numeric(made[column], errors="coerce")
        wrong = np.flatnonzero(~np.isfinite(numbers.to_numpy(np.float64)))
        if len(wrong):
            cell = made[column].iloc[wrong[0]]
            raise DataError(
                f"{name}: column {column!r}, row {wrong[0] + 1} ({stamps[wrong[0]]}): {str(cell)[:40]!r} is "
                "no number that a forecast can be."
            )
        made = made.assign(**{column: numbers})
    if (told := ends_of(made, columns, coverage)) is not None:
        rows, places = np.nonzero(told[0] > told[1])
        if len(rows):
            raise DataError(
                f"{name}: row {rows[0] + 1} ({stamps[rows[0]]}): the lower end of column "
                f"{columns[places[0]]!r} lies above the upper one."
            )
    return made


def _rising(made: pd.DataFrame, index: pd.DatetimeIndex, name: str) -> pd.DatetimeIndex:
    """Its time stamps, each later than the one before, in the zone of the rows and among them."""
    stamps = time_index(made)
    if stamps is None or not len(stamps):
        raise DataError(f"{name}: its rows have no time stamps.")
    if stamps.hasnans:
        raise DataError(f"{name}: row {int(np.argmax(stamps.isna())) + 1} has no time stamp.")
    if (stamps.tz is None) != (index.tz is None):
        raise DataError(
            f"{name}: it begins at {stamps[0]}, the rows of the run at {index[0]}: one has a time zone, the "
            "other none."
        )
    stamps = stamps if stamps.tz is None else stamps.tz_convert(index.tz)
    falls = np.flatnonzero(np.diff(stamps.asi8) <= 0)
    if len(falls):
        row = int(falls[0]) + 1
        raise DataError(f"{name}: row {row + 1} ({stamps[row]}) is not later than the one before.")
    within = stamps[(stamps >= index[0]) & (stamps <= index[-1])]
    if len(within) and not within.isin(index).any():
        raise DataError(f"{name}: {within[0]} and what follows are between the rows of the run.")
    return stamps


def _end(column: str, side: str, coverage: int) -> str:
    return f"{column}-{side}-{coverage}"


def ends_of(
    made: pd.DataFrame, columns: Sequence[str], coverage: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper ends of the intervals, (L, C) each; None: it has none of this coverage."""
    low, high = ([_end(column, side, coverage) for column in columns] for side in ("lo", "hi"))
    if not {*low, *high} <= set(made.columns):
        return None
    return made[low].to_numpy(np.float64), made[high].to_numpy(np.float64)


def apart(forecasts: Sequence[pd.DataFrame]) -> Sequence[pd.DataFrame]:
    """Forecasts of which no two are of the same steps.

    Raises:
        DataError: naming two that are; one would count as further evidence.
    """
    known: dict[tuple[object, object], str] = {}
    for made in forecasts:
        span, name = (made.index[0], made.index[-1]), name_of(made)
        if span in known:
            raise DataError(
                f"{name}: forecasts the same steps as {known[span]}, from {span[0]}; give one of them."
            )
        known[span] = name
    return forecasts
