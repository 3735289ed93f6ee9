"""Forecasts of many series by every engine: the same bits, time, memory, and what kills do to them.

    python tests/benchmarks/engines.py [--series 10000] [--rows 500] [--growth 2000,6000,20000,60000]
        [--kills 10] [--folder FOLDER] [--output engines.json]

Tables are made (a weekly wave of every series, with noise) and the network is trained on the first 500
series. "engines" are jobs of the whole table; "growth" is the largest worker's memory by how many series
the table has; "kills" are jobs of two workers of which one is killed at a random moment, again and again.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from stanhop_app.files import write_json

PIECE = 2000
"""Series that are made at once."""


def make(path: Path, series: int, rows: int) -> Path:
    """A table of daily series, the rows of a series together, in row groups of 100,000 rows."""
    if path.exists():
        return path
    days, writer = np.arange(rows), None
    times = pd.date_range("2023-01-01", periods=rows)
    for first in range(0, series, PIECE):
        numbers, draws = np.arange(first, min(first + PIECE, series)), np.random.default_rng(first)
        waves = 2 + np.sin(2 * np.pi * (days[None] + numbers[:, None]) / 7)
        sold = (10 + numbers[:, None] % 50) * waves + draws.normal(size=waves.shape)
        frame = pd.DataFrame(
            {
                "shop": np.repeat([f"s{number:07d}" for number in numbers], rows),
                "day": np.tile(times, len(numbers)),
                "sold": sold.ravel(),
            }
        )
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(path.with_suffix(".tmp"), table.schema)
        writer.write_table(table, row_group_size=100_000)
    assert writer is not None
    writer.close()
    path.with_suffix(".tmp").rename(path)
    return path


def command(*words: object) -> list[str]:
    """A command of stanhop in this environment."""
    return [sys.executable, "-m", "stanhop_app.cli", *map(str, words)]


def job(run: Path, table: Path, output: Path, *words: object, kills: float = 0) -> dict[str, Any]:
    """One forecast: seconds, and the largest memory of a worker and of all of them.

    With ``kills`` one of the workers is killed every so many seconds, in the mean.
    """
    started, largest, total, killed = time.monotonic(), 0.0, 0.0, 0
    process = subprocess.Popen(
        command("forecast", run, table, "-o", output, *words), stderr=subprocess.PIPE, text=True
    )
    parent, next_kill = psutil.Process(process.pid), started + kills * random.random() + 3
    while process.poll() is None:
        time.sleep(0.05)
        try:
            workers = [p for p in parent.children(recursive=True) if is_worker(p)]
            sizes = [p.memory_info().rss / 2**20 for p in workers]
            largest, total = max([largest, *sizes]), max(total, sum(sizes))
            if kills and time.monotonic() > next_kill and workers:
                os.kill(random.choice(workers).pid, 9)
                killed, next_kill = killed + 1, time.monotonic() + kills * 2 * random.random()
        except (psutil.Error, ProcessLookupError):
            continue
    assert process.stderr is not None
    if process.returncode:
        sys.exit(process.stderr.read())
    seconds = time.monotonic() - started
    told = {"seconds": seconds, "worker_mb": largest, "workers_mb": total}
    return {**told, "killed": killed} if kills else told


def is_worker(process: psutil.Process) -> bool:
    """Whether a process opens the model: one of ours, or an actor of Ray."""
    words = " ".join(process.cmdline())
    return "multiprocessing.spawn" in words or "ray::MapWorker" in words


def forecasts(output: Path) -> pd.DataFrame:
    """All that a job made."""
    return pd.read_parquet(output)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--growth", default="2000,6000,20000,60000")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    small = make(folder / "small.parquet", 500, options.rows)
    run = folder / "run"
    if not run.exists():
        words = [
            "train",
            small,
            "--id-column",
            "shop",
            "--each",
            "--horizon",
            14,
            "--max-steps",
            100,
        ]
        subprocess.run(command(*words, "-o", run, "-q"), check=True, stdout=subprocess.DEVNULL)
    content: dict[str, Any] = {"kind": "engines", "version": 1, "cells": {}, "made": {}}
    cells = content["cells"]
    table = make(folder / f"{options.series}.parquet", options.series, options.rows)
    wanted = None
    for name, words in {
        "local, 1 worker": ["--engine", "local", "--workers", 1],
        "local, 2 workers": ["--engine", "local", "--workers", 2],
        "ray, 2 workers": ["--engine", "ray", "--workers", 2],
        "local, 2 workers, blocks of 256": [
            "--engine",
            "local",
            "--workers",
            2,
            "--block-series",
            256,
        ],
    }.items():
        output = folder / name.replace(", ", "-").replace(" ", "-")
        cells[name] = {"part": "engines", **job(run, table, output, *words, "--force")}
        made = forecasts(output)
        wanted = made if wanted is None else wanted
        cells[name]["equal"] = bool(made.equals(wanted))
        cells[name]["rows"] = len(made)
        write_json(options.output, content)
    for series in map(int, options.growth.split(",")):
        grown = make(folder / f"{series}.parquet", series, options.rows)
        output = folder / f"growth-{series}"
        for workers in (1, 2):
            told = job(run, grown, output, "--engine", "local", "--workers", workers, "--force")
            key = f"growth {series} {workers}"
            cells[key] = {"part": "growth", "series": series, "workers": workers, **told}
            write_json(options.output, content)
    for round_ in range(options.kills):
        random.seed(round_)
        output = folder / f"kills-{round_}"
        engine = "local" if round_ % 2 == 0 else "ray"
        words = ["--engine", engine, "--workers", 2, "--block-series", 256, "--force"]
        told = job(run, table, output, *words, kills=4.0)
        made = forecasts(output)
        assert wanted is not None
        cells[f"kills {round_}"] = {
            "part": "kills",
            "engine": engine,
            **told,
            "equal": bool(made.equals(wanted)),
            "twice": int(made.duplicated(["shop", "day"]).sum()),
        }
        write_json(options.output, content)


if __name__ == "__main__":
    main()
