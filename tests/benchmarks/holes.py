"""Holes in ETTh1: left out (mask) against interpolated, scored on true values only.

    python tests/benchmarks/holes.py [--output holes.json] [--seeds 0]

A share of the values is taken away from the whole table, one by one or a day at a time. A fit sees what is
left, at training and in the windows that it forecasts from; its errors on all test windows count true values.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from stanhop_app.datasets import load

from stanhop_app import STanHopForecaster
from stanhop_app.data.frame import to_frame
from stanhop_app.data.windows import Windows
from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
HORIZON = 24


def without(frame: pd.DataFrame, share: float, how: str, seed: int) -> pd.DataFrame:
    """The table with a share of its values taken away, singly or in stretches of a day; ends stay."""
    generator = np.random.default_rng(seed)
    gone = np.zeros(frame.shape, bool)
    if how == "single":
        gone = generator.random(frame.shape) < share
    else:
        days = generator.random((len(frame) // 24 + 1, frame.shape[1])) < share
        gone = days.repeat(24, axis=0)[: len(frame)]
    gone[0] = gone[-1] = False
    return frame.mask(gone)


def cell(share: float, how: str, missing: str, seed: int) -> dict[str, Any]:
    """One fit; its mean squared error on test windows whose targets are true."""
    frame = load("etth1")
    rows = without(frame, share, how, 7)
    forecaster = STanHopForecaster(
        horizon=HORIZON, missing=missing, seed=seed, final="none", progress=False
    )
    forecaster.fit(rows)
    read = to_frame(rows, missing=missing)
    fitted = forecaster.fitted_
    true = torch.from_numpy(fitted.scaler.transform(frame.to_numpy()))
    spans = {"first": fitted.borders.validation, "last": fitted.borders.test,
             "lookback": fitted.lookback, "horizon": HORIZON}  # fmt: skip
    seen = Windows(values=fitted.panel(read).scaled, **spans)
    wanted = Windows(values=true, **spans)
    errors = dict.fromkeys(forecaster.predictors(), 0.0)
    with torch.no_grad():
        for batch in seen.batches():
            y = wanted.gather(batch)[1]
            for name, predictor in forecaster.predictors().items():
                error = (predictor.pairs(seen, batch)[1] - y).square().mean((1, 2)).sum()
                errors[name] += float(error) / len(seen)
    return {"mse": errors, "gone": float(rows.isna().to_numpy().mean())}


def main() -> None:
    """Fill the cells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--output", type=Path, default=HERE / "holes.json")
    asked = parser.parse_args()
    cells: list[dict[str, Any]] = []
    for seed in map(int, asked.seeds.split(",")):
        for how, share in (("single", 0.1), ("day", 0.1), ("single", 0.3), ("day", 0.3)):
            cells += [
                {"how": how, "share": share, "missing": missing, "seed": seed}
                for missing in ("interpolate", "mask")
            ]
    content = fill(
        open_results(asked.output, "holes", 1, {}), asked.output, cells,
        lambda c, _: cell(float(c["share"]), str(c["how"]), str(c["missing"]), int(c["seed"])),
        name=lambda c: f"{c['how']} {c['share']} {c['missing']} seed {c['seed']}", say=print,
    )  # fmt: skip
    for key, made in content["cells"].items():
        print(key, made["mse"])


if __name__ == "__main__":
    main()
