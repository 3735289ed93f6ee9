"""Errors of each of many series, in its own units, over all windows of a part.

References:
    Hyndman and Koehler, International Journal of Forecasting 22 (2006), MASE and RMSSE; Makridakis et al.,
    International Journal of Forecasting 36 (2020), sMAPE and MASE as in M4: means over the series.
"""

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import SeriesWindows
from stanhop_app.errors import warnings_as
from stanhop_app.forecasting.evaluation import Predictor


@torch.no_grad()
def series_errors(
    predictor: Predictor, windows: SeriesWindows, panel: Panel, season: int
) -> pd.DataFrame:
    """One row a series that has windows, a column a metric, means over windows, steps and columns.

    MAE is in the units of the values, sMAPE in percent. MASE and RMSSE divide the mean absolute error and
    the root of the mean squared one by those of seasonal naive within the training rows; they are not numbers
    where a series is constant there or no longer than a season.

    Args:
        predictor: in scaled units.
        windows: of one part.
        panel: that they were cut from.
        season: of seasonal naive.
    """
    count, columns = len(panel.ids), len(panel.columns)
    mean = torch.tensor([s.mean for s in panel.scalers], dtype=torch.float64)
    scale = torch.tensor([s.scale for s in panel.scalers], dtype=torch.float64)
    starts = torch.tensor(panel.starts)
    sums = torch.zeros(3, count, columns, dtype=torch.float64)
    known = torch.zeros(count, columns, dtype=torch.float64)
    windows = predictor.suited(windows)
    for batch in windows.batches():
        number = torch.searchsorted(starts, windows.begins[batch], right=True) - 1
        units = scale[number][:, None], mean[number][:, None]
        pair = predictor.pairs(windows, batch)
        y, forecast = (values.double() * units[0] + units[1] for values in pair)
        error = (forecast - y).abs()
        size = (y.abs() + forecast.abs()).clamp_min(1e-300)
        for total, values in zip(sums, (error, error.square(), 200 * error / size), strict=True):
            total.index_add_(0, number, values.nansum(1))
        known.index_add_(0, number, (~error.isnan()).sum(1).double())
    there = (known > 0).any(1)
    mae, mse, smape = (total[there] / known[there] for total in sums)
    absolute, squared = naive_errors(panel, season)
    rows = {
        "mae": np.nanmean(mae.numpy(), axis=1),
        "smape": np.nanmean(smape.numpy(), axis=1),
        "mase": _ratio(mae.numpy(), absolute[there.numpy()]),
        "rmsse": _ratio(mse.sqrt().numpy(), np.sqrt(squared[there.numpy()])),
    }
    names = [name for name, has in zip(panel.ids, there.tolist(), strict=True) if has]
    return pd.DataFrame(rows, index=pd.Index(names, name=panel.id_name))


def naive_errors(panel: Panel, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute and squared seasonal difference of the training rows of every series, each (S, C)."""
    absolute = np.full((len(panel.ids), len(panel.columns)), np.nan)
    squared = absolute.copy()
    for number, ((first, _), split) in enumerate(zip(panel.spans, panel.splits, strict=True)):
        rows = panel.values[first : first + split.train]
        if len(rows) > season:
            steps = rows[season:] - rows[:-season]
            with warnings_as("ignore", RuntimeWarning):  # of columns that hold no value
                absolute[number] = np.nanmean(np.abs(steps), axis=0)
                squared[number] = np.nanmean(steps**2, axis=0)
    return absolute, squared


def _ratio(error: np.ndarray, naive: np.ndarray) -> np.ndarray:
    """Mean over the columns of errors over those of seasonal naive."""
    ratio = np.divide(error, naive, out=np.full_like(error, np.nan), where=naive > 0)
    mean: np.ndarray = ratio.mean(1)
    return mean
