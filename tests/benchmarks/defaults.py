"""Options of the deep part, one changed at a time, on the validation rows of several tables.

    python tests/benchmarks/defaults.py [--tables etth1 ...] [--horizons 24 96] [--trials "anchor fitted" ...]
        [--seeds 0] [--windows 8000] [--epochs 4] [--downloads FOLDER] [--output defaults.json]

A default is chosen by what it does on all of them: test rows are cut off first. "deep" is the mean squared
error of the deep part alone, "linear" that of the linear part, "whole" that of both together, all on
validation windows, in scaled units; the last two are out of fold (`stanhop_app.forecasting.combination`). So
that a trial takes a minute or two, an epoch has ``--windows`` windows at most. Interrupt and run again to go
on.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
from entrants.entries import table_of

from stanhop_app.data.panel import Panel
from stanhop_app.forecasting.combination import join
from stanhop_app.forecasting.fit import prepare
from stanhop_app.forecasting.linear.fit import fit_linear
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.config import STanHopConfig
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.loop import train

HERE = Path(__file__).parent
TABLES = ("etth1", "sample", "exchange-rate", "prices", "pedestrians", "demand")
HOURLY = ("demand",)
"""Tables whose half-hours are averaged."""
TRIALS: dict[str, dict[str, dict[str, Any]]] = {
    "default": {},
    "anchor fitted": {"network": {"anchor": "fitted"}},
    "deep lookback 512": {"network": {"deep_lookback": 512}},
    "dropout .3": {"network": {"dropout": 0.3}},
    "width 32": {"network": {"dim": 32, "hidden_dim": 64}},
    "one block": {"network": {"num_layers": 1}},
    "loss mae": {"training": {"loss": "mae"}},
    "learning rate .001": {"training": {"learning_rate": 1e-3}},
    "batch 128": {"training": {"batch_size": 128}},
}


def frame_of(name: str, downloads: Path) -> pd.DataFrame:
    """Training and validation rows of a wide table."""
    long = table_of(name, downloads)
    frame = long.pivot(index="ds", columns="unique_id", values="y").rename_axis(columns=None)
    frame = frame.resample("h").mean() if name in HOURLY else frame
    return frame.iloc[: len(frame) * 19 // 24]


def cell(
    frame: pd.DataFrame, horizon: int, seed: int, trial: str, asked: argparse.Namespace
) -> dict[str, Any]:
    """One trial on one table."""
    options = TRIALS[trial]
    panel = Panel.of(frame, "14/5/0")
    network = STanHopConfig(
        num_variates=len(panel.columns), horizon=horizon, **options.get("network", {})
    )
    training = TrainingConfig(
        **{"max_epochs": asked.epochs, "epoch_windows": asked.windows, "seed": seed},
        **options.get("training", {}),
    )
    started = time.process_time()
    prepared = prepare(panel, network, training)
    learn, validation = prepared.windows["train"], prepared.windows["validation"]
    task = ForecastTask(learn, validation, training.loss)
    history = train(prepared.network.deep, task, training, progress=False)
    seconds = time.process_time() - started
    combination = join(prepared.network, fit_linear(learn, validation), validation)
    return {
        "deep": combination.errors["deep"],
        "linear": combination.errors["linear"],
        "whole": min(combination.errors.values()),
        "epochs": [row["validation_loss"] for row in history],
        "cpu_seconds": round(seconds, 1),
    }


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--horizons", nargs="*", type=int, default=[24, 96])
    parser.add_argument("--trials", nargs="*", default=list(TRIALS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--windows", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--downloads", type=Path, default=Path("league-tables"))
    parser.add_argument("--output", type=Path, default=HERE / "defaults.json")
    asked = parser.parse_args()
    frames = {name: frame_of(name, asked.downloads) for name in asked.tables}
    cells = [
        {"table": table, "horizon": horizon, "trial": trial, "seed": seed}
        for trial in asked.trials
        for horizon in asked.horizons
        for seed in asked.seeds
        for table in asked.tables
    ]
    identity = {"windows": asked.windows, "epochs": asked.epochs}
    fill(
        open_results(asked.output, "defaults", 1, identity),
        asked.output,
        cells,
        lambda c, _: cell(frames[c["table"]], c["horizon"], c["seed"], c["trial"], asked),
        name=lambda c: "{table} {horizon} {trial} seed {seed}".format(**c),
        say=print,
    )


if __name__ == "__main__":
    main()
