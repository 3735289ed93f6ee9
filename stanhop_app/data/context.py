"""The last rows of a table as a folder keeps them: values, and the time stamp that they end at."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset


def stamp(context: pd.DataFrame) -> dict[str, Any] | None:
    """The last time stamp of a context with what is needed to rebuild its index."""
    index = context.index
    if not isinstance(index, pd.DatetimeIndex):
        return None
    return {
        "time": index[-1].isoformat(),
        "zone": None if index.tz is None else str(index.tz),
        "unit": index.unit,
        "name": index.name,
    }


def stamped_context(values: np.ndarray, config: dict[str, Any]) -> pd.DataFrame:
    """The rows that a folder keeps, (T, C), with the time index that its configuration tells."""
    stamp = config["context_end"]
    if stamp is None:
        return pd.DataFrame(values, columns=config["columns"])
    end = pd.Timestamp(stamp["time"])
    if stamp["zone"] is not None:
        end = end.tz_convert(stamp["zone"])
    index = pd.date_range(
        end=end,
        periods=len(values),
        freq=to_offset(config["frequency"]),
        unit=stamp["unit"],
        name=stamp["name"],
    )
    return pd.DataFrame(values, columns=config["columns"], index=index)
