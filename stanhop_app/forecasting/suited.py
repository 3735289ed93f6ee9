"""Options that suit the rows that there are, of short series and of many, and a forecast with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frame import frame_frequency
from stanhop_app.data.frequency import season_length
from stanhop_app.data.series import SeriesTable, take_any
from stanhop_app.errors import DataError
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.models.config import STanHopConfig

LONGEST = 512
"""Steps of lookback where the rows allow them: the default of a forecaster."""
READ = ("missing", "frequency", "future_covariates", "past_covariates", "static_covariates")
"""Options of a forecaster that say how its table is read."""
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
    """Options of `suited_to_series` as a forecaster takes them: those of network and training in groups."""
    flat = dict(options)
    network = {"patch_length": flat.pop("patch_length")}
    training = {"epoch_windows": flat.pop("epoch_windows")}
    return {**flat, "network": network, "training": training}


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
