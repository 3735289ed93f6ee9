"""A run: a fitted forecaster, the folder that it lies in, and the table that it is looked at on.

A folder is opened once, and everything that measures, explains, exports or draws it takes the `Run`::

    run = Run.open("runs/etth1-h24").on(datasets.load("etth1"))
    print(run.source["data"], len(run.parts["test"]))

The folder holds ``config.json`` and ``model.safetensors`` (the artefact), ``baselines.safetensors``,
``history.csv`` and ``steps.csv``, and ``outliers.csv`` and ``novelty.safetensors`` if asked for; while
training also ``checkpoint.safetensors``, from which it can be resumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from stanhop_app.data.match import match_columns, match_frequency, match_zone
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.forecaster import STanHopForecaster


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A fitted forecaster where it lies, and a table for it."""

    forecaster: STanHopForecaster
    folder: Path | None = None
    """None for a forecaster that was not saved."""
    panel: Panel | None = None
    """The table that it is looked at on, with the borders and scaler of the training; None: none yet."""

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Read a run folder, without its table.

        Raises:
            ArtefactError: if it is missing, damaged, foreign or newer than this package.
        """
        return cls(forecaster=STanHopForecaster.load(folder), folder=Path(folder))

    def on(self, frame: pd.DataFrame | SeriesTable) -> "Run":
        """The run with a table, of the training or another one.

        Args:
            frame: regular frame (`stanhop_app.data.frame.to_frame`), its columns in any order; many series
                for a run that was trained on such.

        Raises:
            DataError: if columns or frequency are not the trained ones.
        """
        if isinstance(frame, SeriesTable) or self.fitted.series is not None:
            return replace(self, panel=self.fitted.panel(self.forecaster.matched(frame)))
        frame = match_columns(frame, self.forecaster.columns_)
        match_frequency(frame, self.fitted.frequency)
        match_zone(frame, self.fitted.context)
        return replace(self, panel=self.fitted.panel(frame))

    @property
    def keeps_all(self) -> bool:
        """Whether the run keeps every row of its table."""
        return len(self.fitted.rows) == self.fitted.num_rows

    def on_kept(self) -> "Run":
        """The run with the rows that it keeps: those of its training, and of updates since.

        Raises:
            DataError: if there were more than it keeps.
        """
        fitted = self.fitted
        if not self.keeps_all:
            raise DataError(
                f"only the last {len(fitted.rows):,} of {fitted.num_rows:,} rows are kept; name the table."
            )
        wide = fitted.series is None and fitted.known is None
        return self.on(fitted.rows if wide else fitted.outlook.kept())

    @property
    def fitted(self) -> Fitted:
        """What the fit found."""
        return self.forecaster.fitted_

    @property
    def source(self) -> Mapping[str, Any]:
        """What the table of the training was read from and how; empty if that is not known."""
        return self.fitted.source

    @property
    def table_name(self) -> str:
        """What titles call the table of the training."""
        data = self.source.get("name") or self.source.get("data")
        return {None: "a frame", "-": "standard input"}.get(data, str(data))

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        """Scores that the folder keeps, or None."""
        return self.fitted.metrics

    @property
    def table(self) -> Panel:
        """The table.

        Raises:
            DataError: if it was not given.
        """
        if self.panel is None:
            raise DataError("this needs the table of the training; give it with run.on(frame).")
        return self.panel

    @property
    def is_trained_table(self) -> bool:
        """Whether the table is known to be that of the training."""
        return self.table.fingerprint == self.fitted.fingerprint

    @cached_property
    def parts(self) -> dict[str, Windows]:
        """Windows of the table of the training by part: "train", "validation", "test".

        Raises:
            DataError: if the table is another one, or the run does not say which it was: the training rows
                cannot be told then.
        """
        if self.fitted.fingerprint is None:
            raise DataError(
                "the run does not say which table it was trained on, so that its training rows cannot be "
                "told: it was saved by an older version; fit and save it again."
            )
        if not self.is_trained_table:
            raise DataError(
                "the table is not the one that the run was trained on, so that its training rows cannot be "
                f"told; give {self.source.get('data', 'that table')}."
            )
        return self.table.windows(self.fitted.lookback, self.fitted.horizon)
