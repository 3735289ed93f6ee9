"""Peers on M4, in an environment of their own: `pip install statsforecast neuralforecast`.

    python tests/benchmarks/m4/peers.py m4-hourly.csv 48 24 --output peers.json

The table is the long one that `stanhop data fetch m4-hourly` makes and names; its last horizon is the test.
Models are as their authors recommend: AutoETS and AutoTheta with the season, NHITS with an input of five
horizons and its own defaults. Nothing of `stanhop` is imported. A model in the JSON is not run again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

MODELS = ("AutoTheta", "AutoETS", "NHITS")


def forecasts(
    name: str, known: pd.DataFrame, horizon: int, season: int, frequency: str
) -> pd.DataFrame:
    """What a model forecasts of every series, a long frame with its name as a column."""
    if name == "NHITS":
        from neuralforecast import NeuralForecast
        from neuralforecast.models import NHITS

        model = NHITS(h=horizon, input_size=5 * horizon, start_padding_enabled=True, random_seed=0,
                      scaler_type="robust", accelerator="cpu", enable_progress_bar=False)  # fmt: skip
        library = NeuralForecast(models=[model], freq=frequency)
        library.fit(known)
        return library.predict()
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, AutoTheta

    model = {"AutoETS": AutoETS, "AutoTheta": AutoTheta}[name](season_length=season)
    return StatsForecast(models=[model], freq=frequency, n_jobs=1).forecast(df=known, h=horizon)


def judged(
    known: pd.DataFrame, truth: pd.DataFrame, made: pd.DataFrame, name: str, season: int
) -> dict[str, float]:
    """SMAPE and MASE, means over the series."""
    both = truth.merge(made, on=["unique_id", "ds"], validate="one_to_one")
    assert len(both) == len(truth)
    error = (both["y"] - both[name]).abs()
    both = both.assign(error=error, smape=200 * error / (both["y"].abs() + both[name].abs()))
    naive = known.groupby("unique_id")["y"].apply(
        lambda y: np.abs(y.to_numpy()[season:] - y.to_numpy()[:-season]).mean()
    )
    means = both.groupby("unique_id")[["error", "smape"]].mean()
    return {"smape": float(means["smape"].mean()), "mase": float((means["error"] / naive).mean())}


def main() -> None:
    """Run the models that the JSON does not have yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("horizon", type=int)
    parser.add_argument("season", type=int)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    table = pd.read_csv(asked.table, dtype={"unique_id": str}, parse_dates=["ds"])
    last = table.groupby("unique_id").cumcount(ascending=False) < asked.horizon
    known, truth = table[~last], table[last]
    frequency = "h" if asked.season == 24 else "W-MON"
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for name in asked.models.split(","):
        key = f"{asked.table.stem} {name}"
        if key in results:
            continue
        started, cpu = time.perf_counter(), time.process_time()
        made = forecasts(name, known, asked.horizon, asked.season, frequency)
        results[key] = {
            **judged(known, truth, made, name, asked.season),
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
        }
        asked.output.write_text(json.dumps(results, indent=2) + "\n")
        print(key, results[key], flush=True)


if __name__ == "__main__":
    main()
