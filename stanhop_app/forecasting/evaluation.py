"""Scores of forecasts over all stride-1 windows of a part of the data.

Shape letters: B batch, L horizon, C variates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.predictor import Predictor


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Errors of one predictor on one part, averaged over windows."""

    squared: np.ndarray
    """Mean squared error in scaled units, (L, C)."""
    absolute: np.ndarray
    """Mean absolute error in scaled units, (L, C)."""
    percentage: np.ndarray
    """sMAPE in percent, in original units, (L, C)."""
    windows: int

    @property
    def mse(self) -> float:
        """Over steps and variates, scaled units."""
        return float(self.squared.mean())

    @property
    def mae(self) -> float:
        """Over steps and variates, scaled units."""
        return float(self.absolute.mean())


@torch.no_grad()
def score(
    predictor: Predictor, windows: Windows, scaler: Scaler, batch_size: int | None = None
) -> Scores:
    """Score one predictor on every window; memory does not grow with their number."""
    shape = (windows.horizon, windows.values.shape[1])
    sums = torch.zeros(3, *shape, dtype=torch.float64)
    mean = torch.tensor(scaler.mean, dtype=torch.float64)
    scale = torch.tensor(scaler.scale, dtype=torch.float64)
    for batch in windows.batches(batch_size):
        x, truth = windows.gather(batch)
        forecast = predictor.predict(x).double()
        error = forecast - truth
        sums[0] += error.square().sum(0)
        sums[1] += error.abs().sum(0)
        size = (truth * scale + mean).abs() + (forecast * scale + mean).abs()
        sums[2] += (200 * (error * scale).abs() / size.clamp_min(1e-300)).sum(0)
    squared, absolute, percentage = (sums / len(windows)).numpy()
    return Scores(squared=squared, absolute=absolute, percentage=percentage, windows=len(windows))


def parts(values: Tensor, split: Split | None, horizon: int, lookback: int) -> dict[str, Windows]:
    """Windows to be scored: "validation" and "test" of a split, or "all" of a new table.

    Raises:
        DataError: if a new table is too short for one window.
    """
    if split is None:
        windows = Windows(
            values=values, first=0, last=len(values), lookback=lookback, horizon=horizon
        )
        if len(windows) == 0:
            raise DataError(
                f"too few rows: {len(values)}, but scoring needs at least {lookback + horizon} "
                f"(lookback {lookback} and horizon {horizon})."
            )
        return {"all": windows}
    borders = {
        "validation": (split.train, split.validation),
        "test": (split.validation, split.test),
    }
    return {
        name: Windows(values=values, first=first, last=last, lookback=lookback, horizon=horizon)
        for name, (first, last) in borders.items()
        if last - first >= horizon
    }


def score_all(
    predictors: Mapping[str, Predictor],
    values: Tensor,
    split: Split | None,
    horizon: int,
    scaler: Scaler,
) -> dict[str, dict[str, Scores]]:
    """Scores by part and predictor, all on the same targets.

    Args:
        predictors: by the name that tables print.
        values: (N, C) scaled values.
        split: borders, or None to score every window of the table.
        horizon: steps forecast.
        scaler: for errors in original units.
    """
    # One first target for all, so that a longer lookback does not mean other windows.
    longest = max(predictor.lookback for predictor in predictors.values())
    result: dict[str, dict[str, Scores]] = {}
    for part, windows in parts(values, split, horizon, longest).items():
        first = max(windows.first, longest)
        result[part] = {
            name: score(
                predictor,
                Windows(
                    values=values,
                    first=first,
                    last=windows.last,
                    lookback=predictor.lookback,
                    horizon=horizon,
                ),
                scaler,
            )
            for name, predictor in predictors.items()
        }
    return result


def score_table(scores: Mapping[str, Mapping[str, Scores]]) -> pd.DataFrame:
    """One row a predictor, columns such as validation_mse, test_mae; scaled units."""
    columns = {
        f"{part}_{metric}": {name: getattr(s, metric) for name, s in of_part.items()}
        for part, of_part in scores.items()
        for metric in ("mse", "mae")
    }
    table = pd.DataFrame(columns)
    table.index.name = "model"
    return table


def variate_table(
    scores: Scores, scaler: Scaler, columns: list[str], scale_of_mase: np.ndarray
) -> pd.DataFrame:
    """One row a variate in its original units: rmse, mae, mase, smape (percent).

    Args:
        scores: of one predictor.
        scaler: gives the units back.
        columns: names of the variates.
        scale_of_mase: seasonal error of the training rows per variate, original units
            (`stanhop_app.forecasting.metrics.seasonal_error`); MASE is NaN where it is 0.
    """
    scale = np.array(scaler.scale)
    mae = scores.absolute.mean(0) * scale
    mase = np.divide(mae, scale_of_mase, out=np.full_like(mae, np.nan), where=scale_of_mase > 0)
    return pd.DataFrame(
        {
            "rmse": np.sqrt(scores.squared.mean(0)) * scale,
            "mae": mae,
            "mase": mase,
            "smape": scores.percentage.mean(0),
        },
        index=pd.Index(columns, name="variate"),
    )
