"""Scores of forecasts over all stride-1 windows of a part of the data.

Shape letters: B batch, L horizon, C variates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.metrics import METRICS, Pointwise, Units
from stanhop_app.models.holes import between

W = TypeVar("W", bound=Windows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A fitted predictor with the number of time steps that it reads."""

    predict: Callable[..., Tensor]
    """Windows, and what lies beside them by keyword if it `reads_beside`, to forecasts."""
    lookback: int
    holes: bool = False
    """Whether it takes windows with holes; else they are filled for it (`stanhop_app.models.holes`)."""
    note: str = ""
    """What validation chose."""

    reads_beside: bool = False
    """Whether it takes what lies beside windows; one that does not is given `Windows.plain` ones."""
    reads_clock: bool = False
    """Whether it takes when the first target is, by the keyword ``when`` (`Windows.when`)."""

    def suited(self, windows: W) -> W:
        """Windows as it reads them: plain ones if it reads nothing beside them."""
        return windows if self.reads_beside else windows.plain()

    def pairs(self, windows: Windows, batch: Tensor) -> tuple[Tensor, Tensor]:
        """What came and what is forecast, (B, L, C) each, of `suited` windows by number; scaled units."""
        x, truth = windows.gather(batch)
        beside: dict[str, Tensor | None] = {**windows.beside(batch)}
        if self.reads_clock:
            beside["when"] = windows.when(batch)
        made = self.predict(between(x) if windows.holes and not self.holes else x, **beside)
        effect = windows.effect(batch)
        return (truth, made) if effect is None else (truth + effect, made + effect)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Errors of one predictor on one part, averaged over windows."""

    errors: Mapping[Pointwise, np.ndarray]
    """Mean of every pointwise error of `METRICS` over the values that are known, (L, C)."""
    windows: int
    over_time: np.ndarray
    """(M,) mean squared error of the windows of every first target, scaled units, in order of time."""

    def overall(self, metric: str) -> float:
        """Mean of a metric's pointwise error over steps and variates."""
        return float(np.nanmean(self.errors[METRICS[metric].error]))

    @property
    def mse(self) -> float:
        """Mean squared error over steps and variates, scaled units."""
        return self.overall("mse")

    @property
    def mae(self) -> float:
        """Mean absolute error over steps and variates, scaled units."""
        return self.overall("mae")


@torch.no_grad()
def score(
    predictor: Predictor, windows: Windows, scaler: Scaler, batch_size: int | None = None
) -> Scores:
    """Score one predictor on every window; memory does not grow with their number."""
    windows = predictor.suited(windows)
    shape = (windows.horizon, windows.values.shape[1])
    measured = dict.fromkeys(metric.error for metric in METRICS.values())
    sums = {error: torch.zeros(shape, dtype=torch.float64) for error in measured}
    units = Units(
        mean=torch.tensor(scaler.mean, dtype=torch.float64),
        scale=torch.tensor(scaler.scale, dtype=torch.float64),
    )
    known = torch.zeros(shape, dtype=torch.float64)
    losses, moments = [], []
    for batch in windows.batches(batch_size):
        truth, forecast = (values.double() for values in predictor.pairs(windows, batch))
        known += (~truth.isnan()).sum(0)
        for error, total in sums.items():
            total += error(truth, forecast, units).nansum(0)
        losses.append((truth - forecast).square().nanmean((1, 2)))
        when = windows.when(batch)
        moments.append(batch.double() if when is None else when[:, 0])
    return Scores(
        errors={error: (total / known).numpy() for error, total in sums.items()},
        windows=len(windows),
        over_time=_over_time(torch.cat(losses), torch.cat(moments)),
    )


def _over_time(losses: Tensor, moments: Tensor) -> np.ndarray:
    """Means of losses (N,) at each moment, those that are not known left out."""
    known = ~losses.isnan()
    _, places = moments[known].unique(return_inverse=True)
    count = int(places.max()) + 1 if len(places) else 0
    sums = losses.new_zeros(count).index_add_(0, places, losses[known])
    means: np.ndarray = (sums / places.bincount(minlength=count).clamp_min(1)).numpy()
    return means


def parts(whole: Windows, split: Split | None) -> dict[str, Windows]:
    """Windows to be scored: "validation" and "test" of a split, or "all" of a new table.

    Raises:
        DataError: if a new table is too short for one window.
    """
    if split is None:
        if len(whole) == 0:
            raise DataError(
                f"too few rows: {len(whole.values)}, but scoring needs at least "
                f"{whole.lookback + whole.horizon} (lookback {whole.lookback} and horizon {whole.horizon})."
            )
        return {"all": whole}
    borders = {
        "validation": (split.train, split.validation),
        "test": (split.validation, split.test),
    }
    return {
        name: replace(whole, first=first, last=last)
        for name, (first, last) in borders.items()
        if last - first >= whole.horizon
    }


def score_all(
    predictors: Mapping[str, Predictor],
    whole: Windows,
    split: Split | None,
    scaler: Scaler,
) -> dict[str, dict[str, Scores]]:
    """Scores by part and predictor, all on the same targets.

    Args:
        predictors: by the name that tables print.
        whole: windows of all rows (`Panel.whole`).
        split: borders, or None to score every window of the table.
        scaler: for errors in original units.
    """
    # One first target for all, so that a longer lookback does not mean other windows.
    longest = max(predictor.lookback for predictor in predictors.values())
    result: dict[str, dict[str, Scores]] = {}
    for part, windows in parts(replace(whole, lookback=longest), split).items():
        of_part = replace(windows, first=max(windows.first, longest))
        result[part] = {
            name: score(p, replace(of_part, lookback=p.lookback), scaler)
            for name, p in predictors.items()
        }
    return result


def score_table(scores: Mapping[str, Mapping[str, Scores]]) -> pd.DataFrame:
    """One row a predictor, a column a part and overall metric, such as test_mse; scaled units."""
    columns = {
        f"{part}_{name}": {model: s.overall(name) for model, s in of_part.items()}
        for part, of_part in scores.items()
        for name, metric in METRICS.items()
        if metric.overall
    }
    table = pd.DataFrame(columns)
    table.index.name = "model"
    return table


def variate_table(
    scores: Scores, scaler: Scaler, columns: list[str], scale_of_mase: np.ndarray
) -> pd.DataFrame:
    """One row a variate, a column a metric of `METRICS` that is shown by variate; original units.

    Args:
        scores: of one predictor.
        scaler: gives the units back.
        columns: names of the variates.
        scale_of_mase: seasonal error of the training rows per variate, original units
            (`stanhop_app.forecasting.metrics.seasonal_error`).
    """
    scale = np.array(scaler.scale)
    return pd.DataFrame(
        {
            name: metric.by_variate(scores.errors[metric.error], scale, scale_of_mase)
            for name, metric in METRICS.items()
            if metric.by_variate is not None
        },
        index=pd.Index(columns, name="variate"),
    )
