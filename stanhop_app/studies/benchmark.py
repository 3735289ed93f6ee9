"""Train and score a grid of horizons and splits; every finished cell is kept at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stanhop_app.data.panel import Panel
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import choose_season, fit_and_score
from stanhop_app.studies.cells import Cell, fill, open_results, trained_cells

KIND, VERSION = "benchmark", 4
"""Kind and version of the results file; the version rises when cells hold something else or are
made otherwise."""


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

    A cell that was interrupted goes on from its checkpoint, in the folder ``<results>.cells``.

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
    if not (horizons and splits):
        raise OptionError("horizons and splits must name at least one each.")
    panels = {split: Panel.of(frame, split) for split in splits}
    digest = next(iter(panels.values())).fingerprint
    identity = {"options": dict(options), "data_sha256": digest}

    def make(cell: Cell, folder: Path | None) -> dict[str, Any]:
        started = time.perf_counter()
        panel = panels[cell["split"]]
        forecaster = STanHopForecaster(horizon=cell["horizon"], split=cell["split"], **options)
        forecaster.fit(panel, run_folder=folder, resume=True)
        run = Run(forecaster=forecaster, panel=panel)
        report, baselines = fit_and_score(run, choose_season(panel))
        combination = forecaster.combination_
        return {
            "scores": report.as_json()["scores"],
            "rules": None if combination is None else list(combination.rules),
            "ridge": baselines["ridge"].note,
            "epochs": len(forecaster.history_),
            "seconds": round(time.perf_counter() - started, 1),
        }

    return fill(
        open_results(results, KIND, VERSION, identity),
        results,
        [{"split": split, "horizon": horizon} for split in splits for horizon in horizons],
        make,
        name=lambda cell: "{split} {horizon}".format(**cell),
        say=say,
    )


def benchmark_table(content: Mapping[str, Any], metric: str = "test_mse") -> pd.DataFrame:
    """One row a split and horizon, one column a model."""
    cells = trained_cells(content)
    rows = {
        (cell["split"], cell["horizon"]): {m: s[metric] for m, s in cell["scores"].items()}
        for cell in cells
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["split", "horizon"])
    return table
