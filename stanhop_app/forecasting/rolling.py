"""From the last rows of a table to the steps after them. Nothing here needs torch.

Shape letters: T lookback, L horizon of one pass, C variates.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from stanhop_app.data.frame import time_index
from stanhop_app.data.frequency import future_index
from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import DataError, OptionError
from stanhop_app.models.config import LONGEST

Predict = Callable[[np.ndarray], np.ndarray]
"""(1, T, C) -> (1, L, C), float32, scaled units."""


def forecast_after(
    context: pd.DataFrame,
    predict: Predict,
    scaler: Scaler,
    *,
    lookback: int,
    horizon: int,
    frequency: str | None = None,
) -> pd.DataFrame | np.ndarray:
    """Forecast the steps after the last row of a table.

    Args:
        context: at least ``lookback`` rows, original units, columns in the model's order.
        predict: the model; beyond its own horizon the forecast rolls on from itself.
        scaler: of the model.
        lookback: rows that the model reads.
        horizon: steps forecast.
        frequency: of a calendar of a week, which time stamps do not know (`future_index`).

    Returns:
        A frame with future time stamps in original units; an array (horizon, C) if the rows have none.

    Raises:
        OptionError: if the horizon is below 1.
        DataError: if there are too few rows.
    """
    if not 1 <= horizon <= LONGEST:
        raise OptionError(f"horizon must be in 1..{LONGEST:,} steps, got {horizon:,}.")
    if len(context) < lookback:
        raise DataError(
            f"too few rows: {len(context)}, but a forecast needs the last {lookback} (lookback)."
        )
    window = scaler.transform(context.to_numpy(dtype=np.float64)[-lookback:])[None]
    steps: list[np.ndarray] = []
    while sum(step.shape[1] for step in steps) < horizon:
        steps.append(predict(window))
        window = np.concatenate([window, steps[-1]], axis=1)[:, -lookback:]
    values = scaler.inverse(np.concatenate(steps, axis=1)[0, :horizon])
    index = time_index(context)
    if index is None:
        return values
    future = future_index(index, horizon, frequency)
    return pd.DataFrame(values, index=future, columns=context.columns)
