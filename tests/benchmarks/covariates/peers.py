"""LightGBM on lags and the same covariates (mlforecast), in an environment of its own.

    pip install mlforecast lightgbm
    python tests/benchmarks/covariates/peers.py FOLDER --output peers.json

One model for all series, fitted on the rows of training and validation, forecasts step by step from origins
a horizon apart over the test rows, which are those of `covariates.py`. Covariates of the past are lags.
Errors are in deviations of the training rows, as there. Nothing of `stanhop` is imported.
"""

import argparse
import json
import time
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean

TABLES = {
    "elecdemand": {"value": "demand", "horizon": 48, "season": 48, "frequency": "30min"},
    "nycflights": {"value": "departures", "horizon": 24, "season": 24, "frequency": "h"},
}
KNOWN = {"elecdemand": ["working_day", "temperature"], "nycflights": ["scheduled"]}
PAST = {"elecdemand": [], "nycflights": ["temp", "wind_speed", "precip", "visib"]}


def borders(name: str, rows: int) -> tuple[int, int]:
    """Where training and validation end, as `covariates.py` has them."""
    if name == "nycflights":
        return rows - 2 * 1752, rows - 1752
    return rows * 14 // 24, rows * 19 // 24


def table_of(name: str, folder: Path) -> pd.DataFrame:
    """A long frame as mlforecast takes it; past covariates a horizon late, as they are known then."""
    entry = TABLES[name]
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["time"])
    frame = frame.rename(columns={"time": "ds", entry["value"]: "y", "id": "unique_id"})
    if "unique_id" not in frame:
        frame["unique_id"] = "all"
    for column in PAST[name]:
        late = frame.groupby("unique_id")[column].shift(entry["horizon"])
        frame[column] = late.bfill()
    return frame[["unique_id", "ds", "y", *KNOWN[name], *PAST[name]]]


def cell(name: str, kind: str, folder: Path) -> dict[str, float]:
    """Errors with or without covariates."""
    entry, frame = TABLES[name], table_of(name, folder)
    horizon, season = entry["horizon"], entry["season"]
    covariates = [*KNOWN[name], *PAST[name]] if kind == "known" else []
    frame = frame[["unique_id", "ds", "y", *covariates]]
    rows = int(frame.groupby("unique_id").size().iloc[0])
    trained, validated = borders(name, rows)
    number = frame.groupby("unique_id").cumcount()
    scale = frame[number < trained].groupby("unique_id")["y"].std(ddof=0)
    lags = [*range(1, season + 1), 2 * season, 7 * season, 7 * season + 1]
    model = MLForecast(
        models={
            "made": lightgbm.LGBMRegressor(
                n_estimators=500, learning_rate=0.05, verbosity=-1, seed=0
            )
        },
        freq=entry["frequency"],
        lags=lags,
        lag_transforms={1: [RollingMean(season), RollingMean(7 * season)]},
        date_features=["hour", "dayofweek", "month"],
    )
    started = time.perf_counter()
    windows = (rows - validated) // horizon
    made = model.cross_validation(
        frame, n_windows=windows, h=horizon, step_size=horizon, static_features=[], refit=False
    )
    # refit=False fits once, on what lies before the first origin: training and validation rows.
    error = (made["y"] - made["made"]) / made["unique_id"].map(scale).to_numpy()
    return {
        "mse": float((error**2).mean()),
        "mae": float(error.abs().mean()),
        "values": len(error),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Make what the JSON does not have yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for name in TABLES:
        for kind in ("without", "known"):
            key = f"{name}, {kind}"
            if key not in results:
                results[key] = cell(name, kind, asked.folder)
                asked.output.write_text(json.dumps(results, indent=2))
            print(key, {k: round(v, 4) for k, v in results[key].items()}, flush=True)


if __name__ == "__main__":
    np.random.seed(0)
    main()
