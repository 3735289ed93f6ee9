"""One peer on one table, in an environment of its own; `league.py` beside this folder runs it.

    pip install statsforecast supersmoother mlforecast lightgbm neuralforecast
    python entrants/peers.py FOLDER MODEL SEED

``FOLDER`` has ``table.parquet`` (unique_id, ds, y) and ``entry.json``; what is made is written to
``made.parquet`` there. Every library does its own walk-forward: one fit on what lies before the first
cut-off (one at every cut-off where there are at most three), then forecasts with what was known at each.
Models are as their authors recommend; what was chosen here is in the functions below. Nothing of `stanhop`
is imported.
"""

import inspect
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
COVERAGES = [50, 80, 95]
STATISTICAL = ("seasonal naive", "AutoETS", "AutoTheta", "MSTL")
NEURAL = ("NHITS", "DLinear", "TiDE", "PatchTST", "iTransformer")
LATEST = 4096
"""Rows of a series that statistical models read: they are local, and their states forget."""
SEASONS = {24: [24, 168], 168: [24, 168], 336: [48, 336]}
"""Seasons that MSTL takes out, by the season of the table; others as they are."""


def columns(frame: pd.DataFrame, model: str) -> pd.DataFrame:
    """The columns that `league.py` judges."""
    frame = frame.reset_index() if "unique_id" not in frame else frame
    point = f"{model}-median" if f"{model}-median" in frame else model
    made = frame[["unique_id", "ds", "cutoff"]].copy()
    made["point"] = frame[point].to_numpy()
    for level in LEVELS:
        coverage = round(abs(1 - 2 * level) * 100)
        side = "lo" if level < 0.5 else "hi"
        column = point if level == 0.5 else f"{model}-{side}-{coverage}"
        column = column if column in frame else f"{model}-{side}-{coverage}.0"
        made[f"q{level}"] = frame[column].to_numpy()
    return made


def statistical(name: str, table: pd.DataFrame, entry: dict[str, Any]) -> pd.DataFrame:
    """Local models of statsforecast, with the intervals that they state."""
    from statsforecast import StatsForecast
    from statsforecast.models import MSTL, AutoETS, AutoTheta, SeasonalNaive

    season, horizon, origins = entry["season"], entry["horizon"], entry["origins"]
    # AutoETS and AutoTheta take one season; of hours and half-hours it is the day.
    short = {168: 24, 336: 48}.get(season, season)
    model = {
        "seasonal naive": lambda: SeasonalNaive(season, alias=name),
        "AutoETS": lambda: AutoETS(season_length=short, alias=name),
        "AutoTheta": lambda: AutoTheta(season_length=short, alias=name),
        "MSTL": lambda: MSTL(SEASONS.get(season, [season]), alias=name),
    }[name]()
    rest = table.groupby("unique_id").cumcount(ascending=False)
    table = table[rest < LATEST + horizon * origins]
    library = StatsForecast(models=[model], freq=entry["frequency"], n_jobs=1)
    asked = {"h": horizon, "df": table, "step_size": horizon, "n_windows": origins}
    again = origins <= 3
    made = library.cross_validation(**asked, level=COVERAGES, refit=again)
    return columns(made, name)


def boosted(table: pd.DataFrame, entry: dict[str, Any], seed: int) -> pd.DataFrame:
    """LightGBM on lags and the calendar (mlforecast), with conformal intervals."""
    import lightgbm
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import LocalStandardScaler
    from mlforecast.utils import PredictionIntervals

    season, horizon, origins = entry["season"], entry["horizon"], entry["origins"]
    rows = int(table.groupby("unique_id").size().min()) - horizon * origins
    windows = min(20, max(2, rows // (4 * horizon)))
    longest = max(2, min(season, rows - horizon * windows - 2 * horizon))
    short = {168: 24, 336: 48}.get(season, season)
    lags = {*range(1, min(max(short, 12), longest) + 1)}
    lags |= {lag for lag in (short, 2 * short, season, season + 1, 2 * season) if lag <= longest}
    means = {1: [RollingMean(width) for width in {short, season} if 1 < width <= longest]}
    dates = {"h": ["hour", "dayofweek", "month"], "30min": ["hour", "minute", "dayofweek", "month"]}
    dates |= {"B": ["dayofweek"], "W-MON": ["week"], "MS": ["month"], "QS": ["quarter"]}
    model = lightgbm.LGBMRegressor(
        n_estimators=500, learning_rate=0.05, verbosity=-1, seed=seed, num_threads=1
    )
    library = MLForecast(
        models={"LightGBM": model},
        freq=entry["frequency"],
        lags=sorted(lags),
        lag_transforms={1: means[1]} if means[1] else None,
        date_features=dates.get(entry["frequency"], []),
        target_transforms=[LocalStandardScaler()],
        num_threads=1,
    )
    made = library.cross_validation(
        table,
        n_windows=origins,
        h=horizon,
        step_size=horizon,
        refit=origins <= 3,
        level=COVERAGES,
        prediction_intervals=PredictionIntervals(n_windows=windows, h=horizon),
    )
    return columns(made, "LightGBM")


def neural(name: str, table: pd.DataFrame, entry: dict[str, Any], seed: int) -> pd.DataFrame:
    """Networks of neuralforecast, trained for quantiles, stopped early on a validation part."""
    import neuralforecast.models
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss

    horizon, origins = entry["horizon"], entry["origins"]
    rows = int(table.groupby("unique_id").size().min()) - horizon * origins
    long = entry["wide"]
    size = {"PatchTST": 336, "iTransformer": 96, "DLinear": 336, "TiDE": 720}.get(name, 5 * horizon)
    size = max(2, min(size if long else 3 * horizon, rows - 3 * horizon))
    validation = max(horizon, min(rows // 5, 20 * horizon)) if long else horizon
    kind = getattr(neuralforecast.models, name)
    options: dict[str, Any] = {
        **{"h": horizon, "input_size": size, "loss": MQLoss(level=COVERAGES), "random_seed": seed},
        **{"scaler_type": "robust" if name == "NHITS" else "standard", "max_steps": 1000},
        **{"early_stop_patience_steps": 5, "val_check_steps": 50, "accelerator": "cpu"},
        **{"enable_progress_bar": False, "logger": False, "start_padding_enabled": True},
    }
    own = {
        "PatchTST": {"patch_len": min(16, size), "windows_batch_size": 64},
        "iTransformer": {"n_series": table["unique_id"].nunique(), "windows_batch_size": 32},
        "TiDE": {"windows_batch_size": 256},
    }.get(name, {})
    known = {
        *inspect.signature(kind.__init__).parameters,
        "accelerator",
        "enable_progress_bar",
        "logger",
    }
    model = kind(**{k: v for k, v in {**options, **own}.items() if k in known})
    library = NeuralForecast(models=[model], freq=entry["frequency"])
    made = library.cross_validation(
        df=table,
        n_windows=origins,
        step_size=horizon,
        val_size=validation,
        refit=origins <= 3,
    )
    return columns(made, name)


def main() -> None:
    """Make the forecasts of one model."""
    folder, name, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    for library in ("pytorch_lightning", "lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
    table = pd.read_parquet(folder / "table.parquet")
    entry = json.loads((folder / "entry.json").read_text())
    if name in STATISTICAL:
        made = statistical(name, table, entry)
    elif name == "LightGBM":
        made = boosted(table, entry, seed)
    else:
        made = neural(name, table, entry, seed)
    assert np.isfinite(made["point"].to_numpy()).all()
    made.to_parquet(folder / "made.parquet")
    status = Path("/proc/self/status").read_text()  # rusage would begin with the parent's peak
    (folder / "peak").write_text(next(r for r in status.splitlines() if r.startswith("VmHWM")))


if __name__ == "__main__":
    main()
