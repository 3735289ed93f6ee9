"""Where a forecaster errs: by step of the horizon, by hour and weekday, and on one window.

Shape letters: B windows, L horizon, C variates.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from stanhop_app.errors import DataError
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.runs.run import Run

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Mean absolute errors in original units."""

    by_step: pd.DataFrame
    """Index step 1..L, a column a variate."""
    by_hour: dict[str, pd.DataFrame]
    """A table a variate: index weekday, columns hours 0..23, of the target's time stamp; nan where
    there is none."""
    windows: int


@torch.no_grad()
def residuals(run: Run, part: str = "test") -> Residuals:
    """Errors of all windows of a part, in batches.

    Args:
        run: on the table of its training, which has a time index.
        part: "train", "validation" or "test".

    Raises:
        DataError: if there is no window or no time index, or the table is another one.
    """
    windows, fitted = run.parts[part], run.fitted
    if len(windows) == 0:
        raise DataError("this part of the split holds no window.")
    index = run.table.index
    if not isinstance(index, pd.DatetimeIndex):
        raise DataError("errors by hour need a table with a time index.")
    scale = np.array(fitted.scaler.scale)
    slot = torch.from_numpy((index.day_of_week * 24 + index.hour).to_numpy().copy()).long()
    variates = len(fitted.columns)
    by_step = torch.zeros(windows.horizon, variates, dtype=torch.float64)
    steps = torch.zeros_like(by_step)
    by_slot, hits = torch.zeros(2, 168, variates, dtype=torch.float64)
    first, whole = max(windows.first, windows.lookback), run.forecaster.predictors()[WHOLE]
    for batch in windows.batches():
        truth, forecast = whole.pairs(windows, batch)
        error = (forecast - truth).abs().double()
        known = (~error.isnan()).double()  # holes are no targets
        error = error.nan_to_num(0.0)
        by_step += error.sum(0)
        steps += known.sum(0)
        slots = slot[first + batch[:, None] + torch.arange(windows.horizon)].flatten()
        by_slot.index_add_(0, slots, error.flatten(0, 1))
        hits.index_add_(0, slots, known.flatten(0, 1))
    names = fitted.columns
    mean = (by_slot / hits).numpy() * scale  # nan where no target lies
    return Residuals(
        by_step=pd.DataFrame(
            (by_step / steps).numpy() * scale,
            index=pd.RangeIndex(1, windows.horizon + 1, name="step"),
            columns=list(names),
        ),
        by_hour={
            name: pd.DataFrame(mean[:, i].reshape(7, 24), index=list(WEEKDAYS))
            for i, name in enumerate(names)
        },
        windows=len(windows),
    )
