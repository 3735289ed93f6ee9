"""A run of many series with covariates, and its export: folders with all the files that there are."""

from pathlib import Path

import pandas as pd
from kills import TRAIN, timed


def shops(csv: Path, scratch: Path) -> tuple[Path, Path, Path]:
    """Table, run folder and exported folder; the last rows of every series hold what is known ahead."""
    wide = pd.read_csv(csv, index_col=0)
    value, ahead, past = wide.columns
    parts = []
    for number in range(3):
        rows = wide.iloc[100 * number :].copy()
        rows.loc[rows.index[-12:], [value, past]] = float("nan")
        rows[value] *= 1 + number
        parts.append(
            rows.rename_axis("time").reset_index().assign(id=f"s{number}", kind="ab"[number % 2])
        )
    table, run, export = scratch / "shops.csv", scratch / "shops", scratch / "shops-onnx"
    pd.concat(parts).to_csv(table, index=False)
    told = ["--id-column", "id", "--future-covariates", ahead, "--past-covariates", past]
    told += ["--static-covariates", "kind", "--calendar-features", "--max-steps", "2"]
    timed(["train", table, *TRAIN, *told, "--output", run], scratch)
    timed(["export", run, "--output", export], scratch)
    return table, run, export
