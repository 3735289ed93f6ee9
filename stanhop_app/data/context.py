"""The last rows of a table as a folder keeps them: values, and the time stamp that they end at."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from stanhop_app.data.frequency import is_weekly
from stanhop_app.errors import OptionError


def stamp(context: pd.DataFrame) -> dict[str, Any] | None:
    """The last time stamp of a context with what is needed to rebuild its index."""
    index = context.index
    if not isinstance(index, pd.DatetimeIndex):
        return None
    kept = {
        "time": index[-1].isoformat(),
        "zone": None if index.tz is None else str(index.tz),
        "unit": index.unit,
        "name": index.name,
    }
    if index.freq is not None:
        return kept
    before = (index[-1] - index) // pd.Timedelta(minutes=1)
    return {**kept, "minutes_before": before.tolist()}


def stamped_context(values: np.ndarray, config: dict[str, Any]) -> pd.DataFrame:
    """The rows that a folder keeps, (T, C), with the time index that its configuration tells."""
    stamp = config["context_end"]
    if stamp is None:
        return pd.DataFrame(values, columns=config["columns"])
    end = pd.Timestamp(stamp["time"])
    if stamp["zone"] is not None:
        end = end.tz_convert(stamp["zone"])
    if is_weekly(config["frequency"]):
        before = pd.to_timedelta(stamp["minutes_before"], unit="min")
        if len(before) != len(values):
            raise OptionError(f"there are {len(before)} time stamps for {len(values)} rows")
        index = pd.DatetimeIndex(end - before, name=stamp["name"]).as_unit(stamp["unit"])
        return pd.DataFrame(values, columns=config["columns"], index=index)
    index = pd.date_range(
        end=end,
        periods=len(values),
        freq=to_offset(config["frequency"]),
        unit=stamp["unit"],
        name=stamp["name"],
    )
    return pd.DataFrame(values, columns=config["columns"], index=index)
