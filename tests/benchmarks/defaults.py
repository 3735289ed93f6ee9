"""Compare training options and sizes on ETTh1's validation rows; test rows are cut off first.

    python tests/benchmarks/defaults.py defaults.json

One option is changed at a time; a trial is scored by the whole network's mean squared error out of fold
(`stanhop_app.forecasting.combination`), and by its deep part's. Interrupt and run again to go on.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.files import write_json

HORIZONS = (24, 96)
TRIALS: dict[str, dict[str, Any]] = {
    "as before (mse, 6 epochs, 1e-3, batch 64, dropout .1)": {},
    "loss huber": {"loss": "huber"},
    "loss mae": {"loss": "mae"},
    "dropout .2": {"network": {"dropout": 0.2}},
    "last weights, no average": {"training": {"average_decay": 0.0}},
    "learning rate 2e-3": {"learning_rate": 2e-3},
    "learning rate 5e-4": {"learning_rate": 5e-4},
    "10 epochs": {"max_epochs": 10},
    "batch 128": {"batch_size": 128},
    "deep lookback 512": {"network": {"deep_lookback": 512}},
    "huber, dropout .2": {"loss": "huber", "network": {"dropout": 0.2}},
    "mae, dropout .2": {"loss": "mae", "network": {"dropout": 0.2}},
}


def main(results: Path) -> None:
    """Fill the missing trials and print the table."""
    content: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    frame = datasets.load("etth1")
    frame = frame.iloc[: len(frame) * 19 // 24]  # training and validation rows of 14/5/5
    for name, options in TRIALS.items():
        for horizon in HORIZONS:
            key = f"{name} | {horizon}"
            if key in content:
                continue
            started = time.perf_counter()
            fitted = STanHopForecaster(horizon, split="14/5/0", progress=False, **options).fit(
                frame
            )
            combination = fitted.combination_
            assert combination is not None
            content[key] = {
                "whole": min(combination.errors.values()),
                "deep": combination.errors["deep"],
                "rules": combination.rules,
                "seconds": round(time.perf_counter() - started, 1),
            }
            write_json(results, content)
            print(key, content[key], file=sys.stderr, flush=True)
    rows = {
        (name, part): [content[f"{name} | {horizon}"][part] for horizon in HORIZONS]
        for name in TRIALS
        for part in ("whole", "deep")
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(HORIZONS))
    table.index = pd.MultiIndex.from_tuples(list(rows))
    print(table.unstack(sort=False).to_string(float_format="%.4f"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
