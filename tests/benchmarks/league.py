"""Ours and ten peers on fourteen tables, hourly to yearly, of one to 414 series.

    python tests/benchmarks/league.py --peers PYTHON [--entries etth1-24 ...] [--models NHITS ...]
        [--seeds 0] [--downloads FOLDER] [--output league.json]

``PYTHON`` is the interpreter of an environment with the peers (`entrants/peers.py` says which packages); the
tables are those of `entrants/entries.py`. Every cell is a process of its own with one thread, whose CPU
seconds and peak memory are kept beside its errors; cells that the file has are not made again. Forecasts of
all models are judged here, alike:

point   mean absolute error of a series in units of the mean absolute error of seasonal naive on the rows
        before the first cut-off (MASE), averaged over the series.
wql     twice the mean pinball loss over seven quantiles, in the same units, averaged over the series.

A cell that fails keeps its last line as "failed" and counts as the last of its table. Only numbers of one
file are compared; `tests/benchmarks/tables.py` writes them to `league.md`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from entrants.entries import ENTRIES, Entry, table_of

from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
OURS = "stanhop"
MODELS = (
    *(OURS, "seasonal naive", "AutoETS", "AutoTheta", "MSTL", "LightGBM"),
    *("DLinear", "NHITS", "TiDE", "iTransformer", "PatchTST"),
)
LONGEST = 3600
"""Seconds after which a cell is given up."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def judged(made: pd.DataFrame, table: pd.DataFrame, entry: Entry) -> dict[str, Any]:
    """Errors of one model.

    Raises:
        ValueError: if a forecast of a row is missing, or there are others.
    """
    rest = table.groupby("unique_id").cumcount(ascending=False)
    held = entry.horizon * entry.origins
    known, truth = table[rest >= held], table[rest < held].set_index(["unique_id", "ds"])["y"]
    season = known.groupby("unique_id")["y"].diff(entry.season).abs()
    unit = season.groupby(known["unique_id"]).mean()
    made = made.assign(unique_id=made["unique_id"].astype(str), ds=pd.to_datetime(made["ds"]))
    made = made.set_index(["unique_id", "ds"])
    same = len(made) == len(truth) and made.index.is_unique and made.index.isin(truth.index).all()
    if not same or made.isna().any(axis=None):
        raise ValueError(f"{len(made)} forecasts of {len(truth)} rows, or others, or not numbers.")
    error = truth.reindex(made.index) - made["point"]
    losses = [
        np.maximum(
            level * (left := truth.reindex(made.index) - made[f"q{level}"]), (level - 1) * left
        )
        for level in LEVELS
    ]
    names = made.index.get_level_values(0)
    unit = unit[unit > 0]  # a series that seasonal naive forecasts without an error has no unit
    told = {
        "point": error.abs().groupby(names).mean() / unit,
        "wql": (2 * sum(losses) / len(LEVELS)).groupby(names).mean() / unit,
    }
    inside = (truth.reindex(made.index) >= made["q0.1"]) & (
        truth.reindex(made.index) <= made["q0.9"]
    )
    scores = {name: float(series.dropna().mean()) for name, series in told.items()}
    return {**scores, "coverage_80": float(inside.mean()), "series": int(told["point"].count())}


def cell(model: str, entry: Entry, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One model on one table: errors, CPU seconds, peak memory; or how it failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = table_of(entry.table, asked.downloads)
        table.to_parquet(folder / "table.parquet")
        (folder / "entry.json").write_text(json.dumps(asdict(entry)))
        if model == OURS:
            command = [sys.executable, str(HERE / "entrants" / "ours.py"), name, str(seed)]
        else:
            command = [asked.peers, str(HERE / "entrants" / "peers.py"), name, model, str(seed)]
        started = time.perf_counter()
        lines, status, usage = run(command, folder)
        told = {
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "seconds": round(time.perf_counter() - started, 1),
        }
        if status:
            said = lines[-1] if lines else f"exit {status}"
            if "ModuleNotFoundError" in said:  # the environment's fault, not the model's
                raise SystemExit(f"{model}: {said}")
            return {"failed": said, **told}
        told["peak_megabytes"] = round(int((folder / "peak").read_text().split()[1]) / 1024)
        made = pd.read_parquet(folder / "made.parquet")
    return {**judged(made, table, entry), **told}


def run(command: list[str], folder: Path) -> tuple[list[str], int, resource.struct_rusage]:
    """What a process said, how it ended, and what it used."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "NIXTLA_ID_AS_COL": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["timeout", str(LONGEST), *command], stdout=log, stderr=log, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "log").read_text(errors="replace").strip().splitlines()
    ended = os.waitstatus_to_exitcode(status)
    return (text if ended != 124 else [f"not done after {LONGEST} s"]), ended, usage


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--entries", nargs="*")
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--downloads", type=Path, default=Path("league-tables"))
    parser.add_argument("--output", type=Path, default=HERE / "league.json")
    asked = parser.parse_args()
    known = {entry.name.replace(" ", "-"): entry for entry in ENTRIES}
    cells = [
        {"table": known[name].table, "horizon": known[name].horizon, "model": model, "seed": seed}
        for model in asked.models
        for name in asked.entries or known
        for seed in (asked.seeds if model == OURS else asked.seeds[:1])
    ]
    fill(
        open_results(asked.output, "league", 1, {}),
        asked.output,
        cells,
        lambda c, _: cell(c["model"], known["{table}-{horizon}".format(**c)], c["seed"], asked),
        name=lambda c: "{table} {horizon} {model} seed {seed}".format(**c),
        say=print,
    )


if __name__ == "__main__":
    main()
