"""Tables of any kind become pandas frames: series, and polars, pyarrow and others through narwhals."""

import datetime as dt
import re
from typing import Any

import pandas as pd

from stanhop_app.errors import OptionError

UNIQUE_ID = "unique_id"
"""The column of ids where nobody named it, as Nixtla writes it."""
IDS = "stanhop ids"
"""Where the attributes of a frame say which column was the level of its index that names the series."""


def is_table(data: Any) -> bool:
    """Whether something is a dataframe or a series of any library; arrays are not."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return True
    if type(data).__module__.partition(".")[0] in ("builtins", "numpy", "torch", "scipy"):
        return False
    return _narwhals(data) is not None


def to_pandas(data: Any) -> pd.DataFrame:
    """A pandas frame of the same columns; an index that names series and times becomes columns.

    Args:
        data: frame or series of pandas, polars, pyarrow, or another library that narwhals knows.

    Raises:
        OptionError: for anything else.
    """
    if isinstance(data, pd.Series):
        return _flat(data.to_frame("value" if data.name is None else data.name))
    if isinstance(data, pd.DataFrame):
        return _flat(data)
    native = _narwhals(data)
    if native is None:
        raise OptionError(
            f"X must be a dataframe, a series or an array, got {type(data).__name__}; read a file with "
            "stanhop_app.data.frame.read_frame."
        )
    if hasattr(native, "collect"):  # a table that is not there yet
        native = native.collect()
    return to_pandas(native.to_pandas())


def _narwhals(data: Any) -> Any:
    import narwhals as nw  # only for what is not of pandas

    try:
        return nw.from_native(data, allow_series=True)
    except TypeError:
        return None


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Levels of an index as columns, and dates that are objects or text as an index of time."""
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis([" ".join(map(str, name)).strip() for name in frame.columns], axis=1)
    index = frame.index
    if isinstance(index, pd.MultiIndex):
        return _levels(frame, index)
    if len(index) and not isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.RangeIndex):
        name = "time" if index.name is None else str(index.name)
        if _is_date(index[0]) and name not in frame.columns:
            return frame.rename_axis(index=name).reset_index()
    return frame


def _levels(frame: pd.DataFrame, index: pd.MultiIndex) -> pd.DataFrame:
    """Levels as columns; of two of which one is time, the other names the series, as panels are written."""
    names = [f"level {i}" if n is None else str(n) for i, n in enumerate(index.names)]
    dated = [pd.api.types.is_datetime64_any_dtype(level) for level in index.levels]
    if len(names) == 2 and sum(dated) == 1 and UNIQUE_ID not in frame.columns:
        level = dated.index(False)
        if index.names[level] is None or names[level] in frame.columns:
            names[level] = UNIQUE_ID
        frame = frame.copy(deep=False)
        frame.attrs = {**frame.attrs, IDS: names[level]}
        if index.names[dated.index(True)] is None:
            names[dated.index(True)] = "time"
    return frame.set_axis(index.set_names(names), axis=0).reset_index()


def _is_date(value: Any) -> bool:
    """Whether a label of a row is a date, or text that begins with the year or reads as one."""
    if isinstance(value, dt.date):
        return True
    return (
        isinstance(value, str) and re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", value) is not None
    )
