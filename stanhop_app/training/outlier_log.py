"""Outliers while a model trains: the papers' figure of maximum infinity norms over steps."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import write_csv
from stanhop_app.outliers import Modules, record
from stanhop_app.training.folder import CHECKPOINT, OUTLIERS, belonging

COLUMNS = ["step", "module", "kurtosis", "max_inf_norm"]


class OutlierLog:
    """Kurtosis and maximum infinity norm of every module on one batch, at regular steps of a training.

    What `stanhop_app.training.loop.train` takes as ``watch``. Rows that lie ahead of the training are dropped
    when it gets there again, so that a training that was killed and resumed leaves the file of one that
    was not.

    Args:
        batch: what is measured on, always the same, the leading dimension samples.
        every: steps between measurements; there is one before the first step.
        modules: a preset or patterns (`stanhop_app.outliers.find_modules`).
        file: CSV that is kept up to date; None: nothing is written.
    """

    def __init__(
        self, batch: Tensor, every: int, *, modules: Modules = "all", file: Path | None = None
    ):
        if every < 1:
            raise OptionError(f"every must be at least 1, got {every}.")
        self.batch, self.every, self.modules, self.file = batch, every, modules, file
        self.rows: list[dict[str, float | str]] = []

    def load(self) -> None:
        """Take up the rows of the file, for a training that is resumed.

        Raises:
            ArtefactError: if it is damaged or was made with another ``every``.
        """
        if self.file is not None and self.file.exists():
            self.rows = read_outliers(self.file).to_dict("records")  # type: ignore[assignment]
            if any(int(row["step"]) % self.every for row in self.rows):
                raise ArtefactError(
                    f"{self.file}: measured at other steps than every {self.every}; resume with the same."
                )

    def __call__(self, model: nn.Module, step: int) -> None:
        """Measure the model after this step."""
        device = next(model.parameters()).device
        report = record(model, [self.batch.to(device)], modules=self.modules)
        self.rows = [row for row in self.rows if int(row["step"]) < step]
        self.rows += [
            {
                "step": step,
                "module": row.module,
                "kurtosis": row.kurtosis,
                "max_inf_norm": row.max_inf_norm,
            }
            for row in report.rows
        ]
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_csv(self.file, self.rows)

    def table(self) -> pd.DataFrame:
        """One row a step and module: kurtosis and max_inf_norm."""
        return pd.DataFrame(self.rows, columns=COLUMNS)

    def norms(self) -> dict[str, list[float]]:
        """Norms by step, as JSON: maximum over modules of the infinity norm, and mean of their kurtosis."""
        table = self.table()
        by_step = table.groupby("step")
        return {
            "step": sorted(set(table["step"].tolist())),
            "max_inf_norm": by_step["max_inf_norm"].max().round(4).tolist(),
            "kurtosis": by_step["kurtosis"].mean().round(4).tolist(),
        }


def find_outliers(folder: Path, source: Mapping[str, Any]) -> Path | None:
    """The log that belongs to a run, or None.

    Args:
        folder: of the run.
        source: what it keeps of its making; of an older version nothing of the log.

    Raises:
        ArtefactError: if it was changed since.
    """
    if "outliers_sha256" in source:
        return belonging(folder, OUTLIERS, source["outliers_sha256"])
    path = folder / OUTLIERS
    return path if path.exists() and not (folder / CHECKPOINT).exists() else None


def read_outliers(file: Path) -> pd.DataFrame:
    """What a log wrote: one row a step and module.

    Raises:
        ArtefactError: if it is damaged.
    """
    try:
        return pd.DataFrame(_read(file), columns=COLUMNS)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{file}: damaged ({error!r}).") from None


def _read(file: Path) -> list[dict[str, float | str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            {
                "step": int(row["step"]),
                "module": row["module"],
                "kurtosis": float(row["kurtosis"]),
                "max_inf_norm": float(row["max_inf_norm"]),
            }
            for row in csv.DictReader(stream)
        ]
