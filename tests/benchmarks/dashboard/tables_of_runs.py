"""Runs that the dashboard is measured with: of ETTh1, and of tables wide, long, and of many series."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SMALL = ["--max-steps", "30", "--dim", "16", "--num-heads", "2", "--hidden-dim", "32", "--quiet"]


def waves(rows: int, columns: int) -> np.ndarray:
    """Daily waves on a slow walk, with noise."""
    draws = np.random.default_rng(0)
    phases, walk = draws.uniform(0, 6, columns), draws.normal(0, 0.02, (rows, columns)).cumsum(0)
    waves = 3 * np.sin(2 * np.pi * np.arange(rows)[:, None] / 96 + phases)
    return np.asarray((waves + walk + draws.normal(0, 0.5, (rows, columns))).round(3))


def wide(columns: int = 200) -> pd.DataFrame:
    """3,000 hours of 200 sensors."""
    names = [f"sensor {number:03}" for number in range(columns)]
    times = pd.date_range("2020-01-01", periods=3000, freq="h", name="time")
    return pd.DataFrame(waves(3000, columns), times, names).reset_index()


def long(rows: int = 300_000) -> pd.DataFrame:
    """300,000 quarters of an hour."""
    times = pd.date_range("2015-01-01", periods=rows, freq="15min", name="time")
    return pd.DataFrame(waves(rows, 3), times, list("abc")).reset_index()


def many(series: int = 5_000) -> pd.DataFrame:
    """120 days of 5,000 shops, one after the other."""
    days = pd.date_range("2024-01-01", periods=120).strftime("%Y-%m-%d")
    shops = np.repeat([f"shop {number:04}" for number in range(series)], len(days))
    sales = 10 + waves(len(days), series).T.ravel()
    return pd.DataFrame({"shop": shops, "day": np.tile(days, series), "sales": sales})


LARGE: dict[str, tuple[Callable[[], pd.DataFrame], list[str]]] = {
    "wide": (wide, ["--horizon", "24", "--lookback", "96"]),
    "long": (long, ["--horizon", "24", "--lookback", "96"]),
    "many": (many, ["--horizon", "7", "--lookback", "28", "--id-column", "shop"]),
}


def ready(folder: Path) -> Path:
    """The folder of runs, trained where they are not there yet; beside them results of studies."""
    root = folder / "runs"
    root.mkdir(parents=True, exist_ok=True)
    stanhop = [sys.executable, "-m", "stanhop_app.cli"]
    for name, (made, words) in LARGE.items():
        if not (root / name / "config.json").exists():
            file = folder / f"{name}.csv"
            made().to_csv(file, index=False)
            train = ["train", str(file), "--output", str(root / name), *words, *SMALL]
            subprocess.run([*stanhop, *train], check=True)
    if not (root / "etth1" / "config.json").exists():  # the newest, which pages show first
        words = ["--output", str(root / "etth1"), "--max-steps", "100", "--quiet"]
        subprocess.run([*stanhop, "train", "etth1", *words], check=True)
    for name in ("variants", "suite", "memory"):
        shutil.copy(Path(__file__).parents[1] / f"{name}.json", root)
    return root
