"""Peers' intervals, in an environment of their own: `pip install statsforecast neuralforecast`.

    python tests/benchmarks/intervals_peers.py ETTh1.csv --name "etth1 14/5/5" --split 10161/3629/3630
        --horizon 24 --season 24 --frequency h --output intervals_peers.json

The table is wide, its first column the time, or long (unique_id, ds, y). The windows of the test rows are
forecast, a horizon apart, the last one at their end, as by `stanhop backtest`; of a long table the last
horizon of every series. Nothing is fitted again on the way. Models are as their authors recommend: NHITS
with an input of five horizons and seven quantiles (MQLoss), NHITS with absolute errors and conformal
intervals, AutoETS with the season. Errors are in units of the training rows' deviation. Nothing of `stanhop`
is imported. What the JSON has is not run again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
COVERAGES = [50, 80, 95]
MODELS = ("NHITS MQLoss", "NHITS conformal", "AutoETS")


def forecasts(
    name: str, table: pd.DataFrame, asked: argparse.Namespace, sizes: dict[str, int]
) -> pd.DataFrame:
    """Forecasts of all windows with the ends of their intervals."""
    horizon, common = (
        asked.horizon,
        {"df": table, "step_size": asked.horizon, "test_size": sizes["test"]},
    )
    if name == "AutoETS":
        from statsforecast import StatsForecast
        from statsforecast.models import AutoETS

        models = [AutoETS(season_length=asked.season)]
        library = StatsForecast(models=models, freq=asked.frequency, n_jobs=1)
        many = sizes["test"] == horizon
        return library.cross_validation(
            h=horizon, n_windows=None, level=COVERAGES, refit=many, **common
        )
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE, MQLoss
    from neuralforecast.models import NHITS
    from neuralforecast.utils import PredictionIntervals

    conformal = name == "NHITS conformal"
    early = {"early_stop_patience_steps": 5} if sizes["validation"] else {}
    model = NHITS(h=horizon, input_size=5 * horizon, start_padding_enabled=True, random_seed=0,
                  loss=MAE() if conformal else MQLoss(level=COVERAGES), scaler_type="robust",
                  accelerator="cpu", enable_progress_bar=False, **early)  # fmt: skip
    library = NeuralForecast(models=[model], freq=asked.frequency)
    if not conformal:
        return library.cross_validation(n_windows=None, val_size=sizes["validation"], **common)
    windows = max(2, min(30, sizes["validation"] // horizon))
    intervals = PredictionIntervals(n_windows=windows, step_size=horizon)
    if sizes["test"] == horizon:
        return library.cross_validation(
            n_windows=None, val_size=sizes["validation"], prediction_intervals=intervals,
            level=COVERAGES, refit=True, **common,
        )  # fmt: skip
    # Its cross-validation gives conformal intervals only with a training at every cut-off.
    rest = table.groupby("unique_id").cumcount(ascending=False)
    library.fit(
        table[rest >= sizes["test"]],
        val_size=sizes["validation"],
        prediction_intervals=intervals,
    )
    parts = []
    for left in range(sizes["test"], 0, -horizon):
        known = table[(rest >= left) & (rest < left + 10 * horizon)]
        made = library.predict(df=known, level=COVERAGES)
        parts.append(made.reset_index() if "unique_id" not in made else made)
    return pd.concat(parts).merge(table, on=["unique_id", "ds"], validate="one_to_one")


def judged(made: pd.DataFrame, name: str, units: pd.DataFrame) -> dict[str, object]:
    """Weighted quantile loss, coverage, width and Winkler score."""
    made = made.reset_index() if "unique_id" not in made else made
    model = name.split()[0]
    point = f"{model}-median" if f"{model}-median" in made else model
    mean, scale = units.loc[made["unique_id"]].to_numpy().T
    ends = {
        q: (made[column].to_numpy() - mean) / scale
        for q, column in {
            0.5: point,
            **{(1 - c / 100) / 2: f"{model}-lo-{c}" for c in COVERAGES},
            **{(1 + c / 100) / 2: f"{model}-hi-{c}" for c in COVERAGES},
        }.items()
    }
    y = (made["y"].to_numpy() - mean) / scale
    losses = [np.maximum(q * (y - e), (q - 1) * (y - e)).sum() for q, e in ends.items()]
    told: dict[str, object] = {"wql": 2 * sum(losses) / (len(ends) * np.abs(y).sum())}
    for c in (80, 95):
        tail = (1 - c / 100) / 2
        low, high = (
            ends[q] for q in sorted(ends) if abs(q - tail) < 1e-9 or abs(q - 1 + tail) < 1e-9
        )
        out = np.maximum(low - y, 0) + np.maximum(y - high, 0)
        inside = pd.Series(out == 0).groupby(made["unique_id"].to_numpy()).mean()
        told |= {
            f"coverage_{c}": float((out == 0).mean()),
            f"width_{c}": float((high - low).mean()),
            f"winkler_{c}": float((high - low + out / tail).mean()),
        }
        if len(inside) <= 20:
            told[f"variates_{c}"] = inside.round(4).to_dict()
    return {**told, "mse": float(((ends[0.5] - y) ** 2).mean()), "values": len(y)}


def main() -> None:
    """Run the models that the JSON does not have yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--split", help="rows of each part; long tables have none")
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--season", type=int, required=True)
    parser.add_argument("--frequency", required=True)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    table = pd.read_csv(asked.table)
    if asked.split:
        train, validation, test = (int(part) for part in asked.split.split("/"))
        table = table.iloc[: train + validation + test]
        time_column = table.columns[0]
        table = table.melt(time_column, var_name="unique_id", value_name="y")
        table = table.rename(columns={time_column: "ds"})
        sizes = {"validation": validation, "test": test // asked.horizon * asked.horizon}
        known = table.groupby("unique_id").head(train)
    else:
        sizes = {"validation": asked.horizon, "test": asked.horizon}
        known = table.groupby("unique_id").apply(
            lambda rows: rows.iloc[: -3 * asked.horizon], include_groups=False
        )
        known = known.reset_index(level=0)
    table["ds"] = pd.to_datetime(table["ds"])
    table = table.sort_values(["unique_id", "ds"])[["unique_id", "ds", "y"]]
    parts = known.groupby("unique_id")["y"]
    units = pd.DataFrame({"mean": parts.mean(), "scale": parts.std(ddof=0).clip(lower=1e-9)})
    content = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for model in asked.models:
        key = f"{asked.name} {asked.horizon} {model}"
        if key not in content:
            started = time.perf_counter()
            made = forecasts(model, table, asked, sizes)
            content[key] = judged(made, model, units)
            content[key]["seconds"] = round(time.perf_counter() - started, 1)
            asked.output.write_text(json.dumps(content, indent=1) + "\n")
            print(key, content[key], flush=True)


if __name__ == "__main__":
    main()
