"""What a search over options is worth on test: `stanhop tune`, then trainings with and without its options.

    python tests/benchmarks/tune.py [--tables exchange-rate:24 m4-weekly:13] [--trials 20] [--seeds 0,1,2]
        [--folder FOLDER] [--output tune.json]

The search reads training and validation rows alone, by seed 0; test errors are looked at once, here.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stanhop_app.files import write_json


def command(*words: object) -> list[str]:
    """A command of stanhop in this environment."""
    return [sys.executable, "-m", "stanhop_app.cli", *map(str, words)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", nargs="+", default=["exchange-rate:24", "m4-weekly:13"])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    content: dict[str, Any] = {"kind": "tune", "version": 1, "cells": {}, "made": {}}
    if options.output.exists():
        content = json.loads(options.output.read_text())
    for table in options.tables:
        name, horizon = table.split(":")
        folder = options.folder / name
        asked = ["--trials", options.trials, "--horizon", horizon, "-o", folder]
        started = time.monotonic()
        made = subprocess.run(
            command("tune", name, *asked, "--json"), check=True, stdout=subprocess.PIPE
        )
        search = {**json.loads(made.stdout), "seconds": time.monotonic() - started}
        content["cells"].setdefault(f"{table} search", {"part": "search", "table": table, **search})
        for kind in ("defaults", "tuned"):
            for seed in map(int, options.seeds.split(",")):
                key, run = f"{table} {kind} {seed}", options.folder / f"{name}-{kind}-{seed}"
                if key in content["cells"]:
                    continue
                words = ["--horizon", horizon] if kind == "defaults" else []
                words += ["--config", folder / "best.toml"] if kind == "tuned" else []
                subprocess.run(
                    command("train", name, *words, "--seed", seed, "-o", run, "-q", "--force"),
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                metrics = json.loads((run / "config.json").read_text())["metrics"]
                content["cells"][key] = {
                    "part": "test",
                    "table": table,
                    "kind": kind,
                    "seed": seed,
                    "metrics": metrics,
                }
                write_json(options.output, content)


if __name__ == "__main__":
    main()
