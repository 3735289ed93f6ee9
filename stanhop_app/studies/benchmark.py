"""Train and score a grid of horizons and splits; every finished cell is kept at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stanhop_app.data.panel import Panel
from stanhop_app.files import write_json
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import choose_season, fit_and_score
from stanhop_app.studies.cells import open_results

FORMAT = 4
"""Of the results file; raised when what a cell holds, or how the network is fitted, changes."""


def run_benchmark(
    frame: pd.DataFrame,
    *,
    horizons: Sequence[int],
    splits: Sequence[str],
    options: Mapping[str, Any],
    results: Path,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells that are missing in a results file, and return its content.

    Args:
        frame: regular frame.
        horizons: horizons, one cell each per split.
        splits: splits by name or ratio.
        options: of `STanHopForecaster`, without horizon and split.
        results: JSON file; a cell is written when it is done, so that the grid can be interrupted.
        say: told of every cell that begins.

    Raises:
        ArtefactError: if the file holds results of other options or other data.
    """
    panels = {split: Panel.of(frame, split) for split in splits}
    digest = next(iter(panels.values())).fingerprint
    identity = {"format": FORMAT, "options": dict(options), "data_sha256": digest}
    content = open_results(results, identity)
    for split in splits:
        for horizon in horizons:
            key = f"{split} {horizon}"
            if key in content["cells"]:
                continue
            say(key)
            started = time.perf_counter()
            panel = panels[split]
            forecaster = STanHopForecaster(horizon=horizon, split=split, **options).fit(panel)
            run = Run(forecaster=forecaster, panel=panel)
            report, baselines = fit_and_score(run, choose_season(panel))
            combination = forecaster.combination_
            content["cells"][key] = {
                "split": split,
                "horizon": horizon,
                "scores": report.as_json()["scores"],
                "rules": None if combination is None else list(combination.rules),
                "ridge": baselines["ridge"].note,
                "epochs": len(forecaster.history_),
                "seconds": round(time.perf_counter() - started, 1),
            }
            write_json(results, content)
    return content


def benchmark_table(content: Mapping[str, Any], metric: str = "test_mse") -> pd.DataFrame:
    """One row a split and horizon, one column a model."""
    cells = content["cells"].values()
    rows = {
        (cell["split"], cell["horizon"]): {m: s[metric] for m, s in cell["scores"].items()}
        for cell in cells
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["split", "horizon"])
    return table
