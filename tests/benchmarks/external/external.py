"""What an external memory is worth: a fit without one, and with one that is filled to three dates.

    python tests/benchmarks/external/external.py [--cells etth1:14/5/5:24 ...] [--seeds 0] [--runs FOLDER]
        [--tables FOLDER] [--output external.json]

A cell is one fit on a table, a split and a horizon, errors in scaled units over all test windows. Fits are
kept under ``--runs``, so that another memory is measured without another training. Real tables beside those
with a name are written by `../covariates/tables.py`.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from stanhop_app.datasets import load

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.forecasting.baselines import fit_ridge
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.plug import plugged
from stanhop_app.forecasting.fitted import ALONE, WHOLE, Fitted
from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
HORIZONS = (24, 48, 96, 168, 192, 336, 720)
CELLS = (
    *(f"etth1:{split}:{horizon}" for split in ("14/5/5", "etth") for horizon in HORIZONS),
    *(f"exchange-rate:14/5/5:{horizon}" for horizon in (24, 96)),
    *(f"sample:14/5/5:{horizon}" for horizon in (24, 96)),
    *(f"elecdemand:14/5/5:{horizon}" for horizon in (48, 336)),
)


def table_of(name: str, folder: Path) -> pd.DataFrame:
    """A table by name, without covariates."""
    if name != "elecdemand":
        return load(name)
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["time"]).set_index("time")
    return frame[["demand"]].asfreq("30min")


def fit_of(frame: pd.DataFrame, split: str, horizon: int, seed: int, folder: Path) -> Fitted:
    """A fit without a memory, as it was saved or made now."""
    if not (folder / "config.json").exists():
        options = {"split": split, "horizon": horizon, "seed": seed, "final": "none"}
        STanHopForecaster(**options, progress=False).fit(frame).save(folder)
    return STanHopForecaster.load(folder).fitted_


def cell(
    name: str, split: str, horizon: int, seed: int, runs: Path, tables: Path
) -> dict[str, Any]:
    """Errors of ridge, of a fit, and of it with a memory of training rows, of validation rows too, of all."""
    frame = table_of(name, tables)
    folder = runs / f"{name}-{split}-h{horizon}-s{seed}".replace("/", "-")
    fitted = fit_of(frame, split, horizon, seed, folder)
    panel = fitted.panel(frame)
    started = time.perf_counter()
    fitted = plugged(fitted, panel)
    seconds = time.perf_counter() - started
    windows = panel.windows(fitted.lookback, horizon)
    test, ridge = windows["test"], fit_ridge(windows["train"], windows["validation"])
    predictors: dict[str, Predictor] = {"ridge": ridge, **parts_of(fitted, panel)}
    scores = {
        key: score(p, replace(test, lookback=p.lookback), panel.scaler)
        for key, p in predictors.items()
    }
    memory = fitted.memory
    return {
        "mse": {key: made.mse for key, made in scores.items()},
        "mae": {key: made.mae for key, made in scores.items()},
        "memory": None if memory is None else memory.as_json(),
        "stored": 0 if memory is None else len(memory.store),
        "seconds": round(seconds, 1),
    }


def parts_of(fitted: Fitted, panel: Panel) -> dict[str, Predictor]:
    """The fit alone, and with its memory filled to the end of training, of validation, and kept current."""
    named, memory = fitted.predictors(), fitted.memory
    if memory is None:
        return dict.fromkeys(("alone", "training", "validation", "current"), named[WHOLE])
    border = float(panel.clock[panel.borders.train, 0])
    early = (memory.store.ends < border).nonzero().flatten()
    trained = replace(memory, store=memory.store.only(early))
    return {
        "alone": named[ALONE],
        "training": reading(fitted, trained),
        "validation": named[WHOLE],
        "current": fitted.predictors(final=True)[WHOLE],
    }


def reading(fitted: Fitted, memory: Memory) -> Predictor:
    """The fit with this memory."""
    return replace(fitted, memory=memory).predictors()[WHOLE]


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--runs", type=Path, default=Path("external-runs"))
    parser.add_argument("--tables", type=Path, default=Path("covariate-tables"))
    parser.add_argument("--output", type=Path, default=HERE / "external.json")
    asked = parser.parse_args()
    cells = [
        dict(zip(("table", "split", "horizon"), text.split(":"), strict=True), seed=seed)
        for seed in map(int, asked.seeds.split(","))
        for text in asked.cells
    ]
    fill(
        open_results(asked.output, "external", 1, {}),
        asked.output,
        [{**each, "horizon": int(each["horizon"])} for each in cells],
        lambda c, folder: cell(
            c["table"], c["split"], c["horizon"], c["seed"], asked.runs, asked.tables
        ),
        name=lambda c: "{table} {split} {horizon} seed {seed}".format(**c),
        say=print,
    )


if __name__ == "__main__":
    main()
