"""From the last rows of a table, or of many series, to the steps after them. Nothing here needs torch.

Shape letters: T lookback, L horizon of one pass, C variates.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.data.frequency import future_index, is_weekly
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.outlook.ahead import Ahead, Beside
from stanhop_app.models.config import LONGEST

Predict = Callable[..., np.ndarray]
"""(B, T, C), and what lies beside by keyword, -> (B, L, C), float32, scaled units."""
AT_ONCE = 256
"""Series that are forecast in one pass."""


def forecast_after(
    context: pd.DataFrame,
    predict: Predict,
    scaler: Scaler,
    *,
    lookback: int,
    horizon: int,
    frequency: str | None = None,
    holes: bool = False,
    timed: bool = False,
) -> pd.DataFrame | np.ndarray:
    """Forecast the steps after the last row of a table.

    Args:
        context: at least ``lookback`` rows, original units, columns in the model's order.
        predict: the model; beyond its own horizon the forecast rolls on from itself.
        scaler: of the model.
        lookback: rows that the model reads.
        horizon: steps forecast.
        frequency: of a calendar of a week, which time stamps do not know (`future_index`).
        holes: whether the model takes windows with holes.
        timed: whether it takes when the first step is, by the keyword ``when``.

    Returns:
        A frame with future time stamps in original units; an array (horizon, C) if the rows have none.

    Raises:
        OptionError: if the horizon is below 1.
        DataError: if there are too few rows.
    """
    _check_horizon(horizon)
    if len(context) < lookback:
        raise _too_few(len(context), lookback)
    window = scaler.transform(context.to_numpy(dtype=np.float64)[-lookback:])[None]
    _check_holes(window, holes)
    index = time_index(context)
    future = None if index is None else future_index(index, horizon, frequency)
    when = _clocks([future], frequency) if timed and future is not None else None
    values = scaler.inverse(_rolled(window, predict, lookback, horizon, when=when)[0])
    if future is None:
        return values
    return pd.DataFrame(values, index=future, columns=context.columns)


def forecast_series(
    history: SeriesTable,
    scalers: Sequence[Scaler],
    predict: Predict,
    *,
    lookback: int,
    horizon: int,
    holes: bool = False,
    timed: bool = False,
    ahead: Ahead | None = None,
) -> pd.DataFrame:
    """Forecast the steps after the last row of each of many series, or of one wide table with covariates.

    A history shorter than the lookback is continued to the left by its first value, as in training.

    Args:
        history: at least one row of each series, original units, columns in the model's order.
        scalers: one a series.
        predict: the model; beyond its own horizon the forecast rolls on from itself.
        lookback: rows that the model reads.
        horizon: steps forecast.
        holes: whether the model takes windows with holes.
        timed: whether it takes when the first step is, by the keyword ``when``.
        ahead: covariates, of the future too; None: there are none.

    Returns:
        A long frame: the ids, the time stamps, and the columns, in original units. Of a wide table a frame
        as of `forecast_after`.

    Raises:
        OptionError: if the horizon is below 1.
        DataError: if a covariate is not known as far ahead.
    """
    _check_horizon(horizon)
    if not history.id_name and len(history.frame) < lookback:
        raise _too_few(len(history.frame), lookback)
    if ahead is not None:
        ahead.check()
    values = history.frame.to_numpy(dtype=np.float64)
    spans = history.spans()
    index, frequency = pd.DatetimeIndex(history.frame.index), history.frequency
    future = lru_cache(maxsize=4096)(
        lambda last: future_index(pd.DatetimeIndex([last], freq=frequency), horizon, frequency)
    )
    times = [future(index[last - 1]) for _, last in spans]
    forecasts = []
    for first in range(0, len(spans), AT_ONCE):
        some = range(first, min(first + AT_ONCE, len(spans)))
        windows = _windows(values, spans, scalers, lookback, some)
        _check_holes(windows, holes)
        beside = None if ahead is None else ahead.of(some)
        when = _clocks([times[i] for i in some], frequency) if timed else None
        scaled = _rolled(windows, predict, lookback, horizon, beside, when)
        forecasts += [scalers[i].inverse(scaled[i - first]) for i in some]
    stamps = times[0].append(times[1:]) if len(times) > 1 else times[0]
    frame = pd.DataFrame(np.concatenate(forecasts), columns=history.frame.columns)
    if not history.id_name:
        stamps = stamps.rename(index.name)
        if not is_weekly(history.frequency):
            stamps = pd.DatetimeIndex(stamps, freq=history.frequency)
        return frame.set_axis(stamps, axis=0)
    frame.insert(0, str(index.name or "time"), stamps)
    frame.insert(0, history.id_name, history.repeated_ids(horizon))
    return frame


def _too_few(rows: int, lookback: int) -> DataError:
    return DataError(f"too few rows: {rows}, but a forecast needs the last {lookback} (lookback).")


def last_windows(
    history: SeriesTable, scalers: Sequence[Scaler], lookback: int, ahead: Ahead | None = None
) -> np.ndarray:
    """What each series is forecast from, (S, T, C) float32, scaled, less the effects of covariates."""
    spans, values = history.spans(), history.frame.to_numpy(dtype=np.float64)
    parts = []
    for first in range(0, len(spans), AT_ONCE):
        some = range(first, min(first + AT_ONCE, len(spans)))
        windows = _windows(values, spans, scalers, lookback, some)
        parts.append(windows if ahead is None else windows - ahead.of(some).effect[:, :lookback])
    return np.concatenate(parts)


def _windows(
    values: np.ndarray,
    spans: Sequence[tuple[int, int]],
    scalers: Sequence[Scaler],
    lookback: int,
    some: Sequence[int],
) -> np.ndarray:
    return np.stack([_window(values, spans[i], scalers[i], lookback) for i in some])


def _window(values: np.ndarray, span: tuple[int, int], scaler: Scaler, lookback: int) -> np.ndarray:
    """The last rows of one series, scaled, as many as the model reads."""
    rows = scaler.transform(values[max(span[0], span[1] - lookback) : span[1]])
    return np.concatenate([np.repeat(rows[:1], lookback - len(rows), axis=0), rows])


def _clocks(futures: Sequence[pd.DatetimeIndex], frequency: str | None) -> np.ndarray:
    """When every step to be forecast is, (B, H, 2); the same future is looked at once."""
    made: dict[int, np.ndarray] = {}
    for future in futures:
        if id(future) not in made:
            made[id(future)] = clock(future, frequency)
    return np.stack([made[id(future)] for future in futures])


def _rolled(
    windows: np.ndarray,
    predict: Predict,
    lookback: int,
    horizon: int,
    beside: Beside | None = None,
    when: np.ndarray | None = None,
) -> np.ndarray:
    """(B, T, C) -> (B, horizon, C): as many passes as it takes, each on what the ones before forecast."""
    steps: list[np.ndarray] = []
    if beside is not None:
        windows = windows - beside.effect[:, :lookback]
    while (done := sum(step.shape[1] for step in steps)) < horizon:
        known = {}
        if beside is not None:
            rows = beside.covariates[:, done : done + lookback + beside.step]
            known = {"covariates": rows, "static": beside.static}
        if when is not None:
            known["when"] = when[:, done]
        steps.append(predict(windows, **known))
        windows = np.concatenate([windows, steps[-1]], axis=1)[:, -lookback:]
    forecast: np.ndarray = np.concatenate(steps, axis=1)[:, :horizon]
    if beside is None:
        return forecast
    return forecast + beside.effect[:, lookback : lookback + horizon]


def _check_holes(windows: np.ndarray, holes: bool) -> None:
    if not holes and np.isnan(windows).any():
        raise DataError(
            "values are missing in the last rows, and the model was trained without holes; fill them "
            "(missing, --missing), or train it with missing='mask'."
        )


def _check_horizon(horizon: int) -> None:
    if not 1 <= horizon <= LONGEST:
        raise OptionError(f"horizon must be in 1..{LONGEST:,} steps, got {horizon:,}.")
