"""Forecast errors: what every evaluation measures. A new metric is one entry in `METRICS`.

Shape letters: B windows, L horizon, C variates.

References:
    Makridakis, "Accuracy measures", International Journal of Forecasting 9 (1993), sMAPE as used in M4;
    Hyndman and Koehler, International Journal of Forecasting 22 (2006), MASE.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from stanhop_app.errors import OptionError


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """What gives a variate's errors their meaning, each (C,), float64."""

    mean: Tensor
    """The scale of the training rows: scaled value * scale + mean is the value itself."""
    scale: Tensor


Pointwise = Callable[[Float[Tensor, "B L C"], Float[Tensor, "B L C"], Units], Tensor]
"""Errors (B, L, C) of single values, from truth and forecast in scaled units, float64."""
ByVariate = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Takes mean pointwise errors (L, C), the scale (C,) and the seasonal error (C,), returns the metric (C,)."""


def squared(truth: Tensor, forecast: Tensor, units: Units) -> Tensor:
    """``(y - f)^2``, scaled units."""
    return (forecast - truth).square()


def absolute(truth: Tensor, forecast: Tensor, units: Units) -> Tensor:
    """``|y - f|``, scaled units."""
    return (forecast - truth).abs()


def percentage(truth: Tensor, forecast: Tensor, units: Units) -> Tensor:
    """``200 |y - f| / (|y| + |f|)`` of the values themselves, in percent; 0 where both are 0."""
    mean, scale = units.mean, units.scale
    size = (truth * scale + mean).abs() + (forecast * scale + mean).abs()
    return 200 * ((forecast - truth) * scale).abs() / size.clamp_min(1e-300)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A pointwise error, and the tables that its mean over windows stands in."""

    error: Pointwise
    overall: bool = False
    """Whether its mean over windows, steps and variates, in scaled units, is shown for every model."""
    by_variate: ByVariate | None = None
    """Turns it into every variate's own units; None: it is not shown in those."""


def _mase(error: np.ndarray, scale: np.ndarray, season: np.ndarray) -> np.ndarray:
    mean = error.mean(0) * scale
    return np.divide(mean, season, out=np.full_like(mean, np.nan), where=season > 0)


METRICS: dict[str, Metric] = {
    "mse": Metric(error=squared, overall=True),
    "rmse": Metric(error=squared, by_variate=lambda e, scale, _: np.sqrt(e.mean(0)) * scale),
    "mae": Metric(error=absolute, overall=True, by_variate=lambda e, scale, _: e.mean(0) * scale),
    "mase": Metric(error=absolute, by_variate=_mase),
    "smape": Metric(error=percentage, by_variate=lambda e, scale, season: e.mean(0)),
}
"""Every metric by the name that tables, `config.json` and ``--json`` print. MASE is the mean absolute error
over that of seasonal naive within the training rows; it is not a number where a variate is constant there."""


def seasonal_error(history: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute seasonal difference per variate of (N, C) history: the scale of MASE.

    Raises:
        OptionError: if the history is not longer than the season.
    """
    if len(history) <= season:
        raise OptionError(f"history must be longer than season={season}, got {len(history)} rows.")
    steps = np.abs(history[season:] - history[:-season])
    mean = np.nanmean if np.isnan(steps).any() else np.mean
    scale: np.ndarray = mean(steps, axis=0)
    return scale
