"""Forecast errors. Each function takes arrays (..., C) of truth and forecast in one unit."""

import numpy as np


def mse(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean squared error, ``mean (y - f)^2``."""
    return float(np.mean((truth - forecast) ** 2))


def mae(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute error, ``mean |y - f|``."""
    return float(np.mean(np.abs(truth - forecast)))


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error, ``mean 200 |y - f| / (|y| + |f|)``, in percent.

    Points where both are 0 count as 0.

    References:
        Makridakis, "Accuracy measures", International Journal of Forecasting 9 (1993), as used in M4.
    """
    total = np.abs(truth) + np.abs(forecast)
    ratio = np.divide(
        200 * np.abs(truth - forecast), total, out=np.zeros_like(total), where=total > 0
    )
    return float(np.mean(ratio))


def seasonal_error(history: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute seasonal difference per variate of (N, C) history: the scale of MASE.

    Raises:
        ValueError: if the history is not longer than the season.
    """
    if len(history) <= season:
        raise ValueError(f"history must be longer than season={season}, got {len(history)} rows.")
    scale: np.ndarray = np.mean(np.abs(history[season:] - history[:-season]), axis=0)
    return scale


def mase(truth: np.ndarray, forecast: np.ndarray, history: np.ndarray, season: int) -> float:
    """Mean absolute scaled error: MAE over that of seasonal naive within the history.

    Averaged over variates whose history is not constant; NaN if there is none.

    References:
        Hyndman and Koehler, International Journal of Forecasting 22 (2006).
    """
    scale = seasonal_error(history, season)
    error = np.mean(np.abs(truth - forecast), axis=tuple(range(truth.ndim - 1)))
    varies = scale > 0
    return float(np.mean(error[varies] / scale[varies])) if varies.any() else float("nan")
