"""Options that suit the rows that there are, of short series and of many, and a forecast with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frame import frame_frequency
from stanhop_app.data.frequency import season_length
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable, take_any
from stanhop_app.data.windows import split_rows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.models.config import STanHopConfig

LONGEST = 512
"""Steps of lookback where the rows allow them: the default of a forecaster."""
READ = ("missing", "frequency", "future_covariates", "past_covariates", "static_covariates")
"""Options of a forecaster that say how its table is read."""
M4_HORIZONS = {"Y": 6, "A": 6, "Q": 8, "M": 18, "W": 13, "D": 14, "B": 14}
"""Steps by the letter of the frequency."""
PARTS = 4
"""Parts of the rows that train, beside one that validates, where nothing is scored."""


def longest_lookback(train_rows: int, horizon: int, season: int) -> int:
    """Steps of lookback for so many training rows: half of them, and a season at least where that fits.

    With ``n`` rows and horizon ``h`` there are ``n - h - lookback + 1`` windows: half of ``n - h`` steps
    leave as many windows as a window has steps. Of a short series a whole season is worth more than several
    windows. Below 1 there is no window.
    """
    free = train_rows - horizon
    return min(LONGEST, max(free // 2, min(season, free)))


def suited(rows: int, horizon: int, season: int) -> dict[str, Any]:
    """Options of a forecaster that is fitted on all of a short table and scored on nothing.

    Args:
        rows: of the table.
        horizon: steps to forecast.
        season: steps of a season.

    Returns:
        "split" (in rows), "lookback" and, where the default is too long, "patch_length" in "network".

    Raises:
        DataError: saying how many rows are needed: those of a season or of two steps, and two horizons.
    """
    validation = max(rows // (PARTS + 1), horizon)
    lookback = longest_lookback(rows - validation, horizon, season)
    if lookback < 2:
        raise DataError(
            f"too few rows: the table has {rows}, and a forecast of {horizon} steps needs at least "
            f"{2 * horizon + 2}, better {2 * horizon + season}; bring more rows, or choose a smaller horizon."
        )
    return {
        "split": f"{rows - validation}/{validation}/0",
        "lookback": lookback,
        "network": short_patches(lookback),
    }


def short_split(rows: int, horizon: int, season: int, split: str) -> str | None:
    """A split that trains and validates on all rows, where this one leaves a part without a window; or None.

    Raises:
        DataError: if the rows are too few for that too.
    """
    borders = split_rows(rows, split)
    later = min(borders.validation - borders.train, borders.test - borders.validation)
    if later >= horizon and borders.train >= horizon + 2:
        return None
    return str(suited(rows, horizon, season)["split"])


def short_lookback(train_rows: int, horizon: int, season: int, lookback: int) -> int | None:
    """The lookback that so few training rows allow; None where this one fits, or none does."""
    if train_rows >= lookback + horizon:
        return None
    fits = min(lookback, longest_lookback(train_rows, horizon, season))
    return fits if fits >= 2 else None


def usual_horizon(frequency: str) -> int:
    """Steps that are forecast where nobody says how many.

    From days on those of the M4 competition (Makridakis et al. 2020, table 1): 14 days, 13 weeks, 18 months,
    8 quarters, 6 years. Below a day 24 steps, the default of a forecaster.
    """
    return M4_HORIZONS.get(frequency.split("-")[0].rstrip("SE"), STanHopConfig.horizon)


def suited_to(table: SeriesTable | pd.DataFrame, horizon: int) -> dict[str, Any]:
    """Options that a table needs or likes other than the defaults, flat, by their names.

    Of one table those that its rows are too few for ("split", "lookback", "patch_length"), of many series
    those of `suited_to_series`.

    Raises:
        DataError: if the rows are too few for the horizon.
    """
    if isinstance(table, SeriesTable) and table.id_name:
        return suited_to_series(table, horizon)
    frame = table.frame if isinstance(table, SeriesTable) else table
    season = season_length(str(frame_frequency(frame)))
    chosen: dict[str, Any] = {}
    rows, split = len(frame), Panel.split
    if (short := short_split(rows, horizon, season, split)) is not None:
        chosen["split"] = split = short
    train = split_rows(rows, split).train
    lookback = short_lookback(train, horizon, season, STanHopConfig.lookback)
    if lookback is not None:
        chosen |= {"lookback": lookback, **short_patches(lookback)}
    return chosen


def short_patches(lookback: int) -> dict[str, int]:
    """The patch length that so few steps of lookback need; nothing where the default fits twice."""
    if lookback >= 2 * STanHopConfig.patch_length:
        return {}
    return {"patch_length": max(1, lookback // 2)}


def suited_to_series(table: SeriesTable, horizon: int) -> dict[str, Any]:
    """Options of a forecaster of many series, by the name of the option.

    The last horizon of each series is its test, as in forecasting competitions, and two before it
    validate. The lookback is that of the median series, and no more than eight horizons: what lies before
    says little of a single series that others do not say better (N-BEATS, arXiv 1905.10437: two to seven).
    Patches are a season long where four fit, else an eighth of the lookback. Errors of many series of unlike
    shape are summed in absolute values, so that no few of them decide; batches are larger, as a window has
    few columns.

    Args:
        table: the series.
        horizon: steps to forecast.
    """
    rows = int(np.median([last - first for first, last in table.spans()]))
    season = season_length(table.frequency)
    free = max(longest_lookback(max(rows - 3 * horizon, 0), horizon, season), 2)
    lookback = min(free, max(8 * horizon, 2 * season))
    patch = season if 4 <= season <= lookback // 4 else max(lookback // 8, 1)
    return {
        "split": f"*/{2 * horizon}/{horizon}",
        "lookback": lookback,
        "patch_length": patch,
        "loss": "mae",
        "batch_size": 256,
        "epoch_windows": 2**17,
    }


def grouped(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `suited_to` as a forecaster takes them: those of network and training in groups."""
    flat = dict(options)
    for group, name in (("network", "patch_length"), ("training", "epoch_windows")):
        if name in flat:
            flat[group] = {name: flat.pop(name)}
    return flat


def forecast(frame: Any, horizon: int = 24, **options: Any) -> pd.DataFrame:
    """Fit a forecaster on all rows of a table and forecast the steps after the last one.

    Args:
        frame: history, as for `STanHopForecaster.fit`.
        horizon: steps.
        **options: of `STanHopForecaster`. By default four fifths of the rows train and the rest, a horizon at
            least, validates, as nothing is scored; lookback (512 steps at most) and patches follow the
            rows. Of many series see `suited_to_series`.

    Raises:
        DataError: for fewer rows than two horizons and two steps, and for what is wrong with the table.
    """
    reading = {name: options[name] for name in READ if name in options}
    table = take_any(frame, **reading, **(options.get("reading") or {}))
    if isinstance(table, SeriesTable) and table.id_name:
        chosen = {**grouped(suited_to_series(table, horizon)), "split": f"*/{2 * horizon}/0"}
    elif "lookback" not in options and "split" not in options:
        rows = table.frame if isinstance(table, SeriesTable) else table
        chosen = suited(len(rows), horizon, season_length(str(frame_frequency(rows))))
    else:
        chosen = {"split": "4/1/0"}
    for name in ("network", "training"):
        if name in chosen:
            chosen[name] = {**chosen[name], **(options.pop(name, None) or {})}
    fitted = STanHopForecaster(horizon=horizon, **{**chosen, **options}).fit(table)
    prediction = fitted.predict()
    assert isinstance(prediction, pd.DataFrame)
    return prediction
