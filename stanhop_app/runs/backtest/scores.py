"""Scores of a backtest: per model, and per step, variate, series, hour, weekday or cut-off.

Errors but sMAPE, MASE and shares are in scaled units, so that variates count alike: those of the training
rows' deviation. "wql" is the weighted quantile loss, twice the mean pinball loss over seven levels by the
mean absolute value; "crps", the same not divided, is the continuous ranked probability score as far as seven
levels tell it; "winkler" is the interval score.

References:
    Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102 (2007).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.runs.backtest.record import ENDS, Backtest, level_name

GROUPS = ("step", "variate", "series", "hour", "weekday", "cutoff")
COVERAGES = (80, 95)


def scores(made: Backtest, by: Sequence[str] = ()) -> pd.DataFrame:
    """One row a model and group, a column a score.

    Args:
        made: the backtest.
        by: some of `GROUPS`; none: one row a model.

    Raises:
        OptionError: for another group, or series of one table.
    """
    table = made.table
    check_groups(by, many="series" in table)
    groups = [table["model"], *(_group(table, name) for name in by)]
    grouped = single(made).groupby(groups, observed=True, sort=False)
    mean = grouped.mean()
    told = mean.assign(
        values=grouped["mse"].count(), rmse=np.sqrt(mean["mse"]), wql=mean["crps"] / mean["size"]
    )
    first = ["values", "mse", "mae", "rmse", "mase", "smape", "bias", "wql", "crps"]
    return told[[*first, *(name for name in told if name not in (*first, "size"))]]


def check_groups(by: Sequence[str], *, many: bool) -> None:
    """Raise an `OptionError` for what scores are not told by; ``many``: whether there are series."""
    known = [name for name in GROUPS if name != "series" or many]
    for name in by:
        if name not in known:
            raise OptionError(f"scores are told by {', '.join(known)}; got {name!r}.")


def _group(table: pd.DataFrame, name: str) -> pd.Series:
    """What rows are told apart by."""
    if name == "hour":
        return table["time"].dt.hour.rename(name)
    return table["time"].dt.day_of_week.rename(name) if name == "weekday" else table[name]


def single(made: Backtest) -> pd.DataFrame:
    """The scores of every single value, not a number where nobody knows what came; and its size, scaled."""
    table = made.table
    units = pd.DataFrame(list(made.about["units"]))
    keys = ["series", "variate"] if "series" in table else ["variate"]
    place = units.set_index(keys)[["mean", "scale", "seasonal_error"]].astype(float)
    names = [table[key].astype(str) for key in keys]
    wanted = pd.MultiIndex.from_arrays(names) if len(keys) > 1 else pd.Index(names[0])
    mean, scale, season = place.reindex(wanted).to_numpy().T
    actual, forecast = (table[name].to_numpy() for name in ("actual", "forecast"))
    error = (forecast - actual) / scale
    values = {
        "mse": error**2,
        "mae": np.abs(error),
        "mase": np.abs(forecast - actual) / np.where(season > 0, season, np.nan),
        "smape": 200
        * np.abs(forecast - actual)
        / np.maximum(np.abs(forecast) + np.abs(actual), 1e-300),
        "bias": error,
        "crps": 2 * pinball(made).to_numpy().mean(1) / scale,
        "size": np.abs(actual - mean) / scale,
    }
    known = ~np.isnan(actual)
    for coverage in COVERAGES:
        tail = (1 - coverage / 100) / 2
        low, high = (table[level_name(level)].to_numpy() for level in (tail, 1 - tail))
        outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
        values[f"coverage_{coverage}"] = np.where(known, outside == 0, np.nan).astype(float)
        values[f"width_{coverage}"] = np.where(known, high - low, np.nan) / scale
        values[f"winkler_{coverage}"] = (high - low + outside / tail) / scale
    return pd.DataFrame(values, index=table.index)


def pinball(made: Backtest) -> pd.DataFrame:
    """Pinball losses, a column a level, in the units of the table."""
    left = made.table["actual"].to_numpy()[:, None] - made.table[list(ENDS)].to_numpy()
    levels = np.array(LEVELS)
    return pd.DataFrame(np.maximum(levels * left, (levels - 1) * left), columns=list(ENDS))
