"""What a worker does: it opens the model once, and forecasts block after block into the folder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from stanhop_app.data.series import SeriesTable, to_series
from stanhop_app.engines.plan import Block
from stanhop_app.engines.results import Results
from stanhop_app.engines.source import ParquetSource
from stanhop_app.errors import DataError, StanhopError
from stanhop_app.forecasting.intervals.spread import Spread
from stanhop_app.forecasting.outlook.rolling import AT_ONCE


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that a worker has to know; it can be sent to another process or machine."""

    run: str
    """Folder of the model, which every worker must be able to read."""
    source: str
    """The table, as of `ParquetSource`."""
    output: str
    """The folder of the results, as of `Results`."""
    id_column: str
    reading: Mapping[str, Any]
    """Fields of `ReadingConfig` that differ from what the run says."""
    hints: Mapping[str, Any]
    """What the table of the training proved."""
    horizon: int | None = None
    spread: Spread = field(default_factory=Spread)
    mark: str = ""
    """SHA-256 of the plan."""
    files: tuple[tuple[str, int, str], ...] = ()
    """The files that the plan is of (`ParquetSource.files`)."""


Cause = Literal["table", "chance", "death"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a block."""

    number: int
    rows: int = 0
    error: str | None = None
    """Why there is none; None: it was made."""
    cause: Cause = "table"
    """What the error is about: the table or the options; "chance", where to try again may help; or "death",
    where block or model took too many processes with it."""


Engine = Callable[[Task, Sequence[tuple[int, Block]], int], Iterator[Made]]
"""What makes blocks, by so many workers, and tells of each as it is done."""


class Worker:
    """A model that forecasts blocks, on one thread: threads would change the last bit."""

    def __init__(self, task: Task):
        import torch

        from stanhop_app.forecasting.forecaster import STanHopForecaster

        torch.set_num_threads(1)
        self.task = task
        self.source, self.results = ParquetSource(task.source), Results(task.output)
        self.forecaster = STanHopForecaster.load(Path(task.run), device="cpu")

    def __call__(self, number: int, block: Block) -> Made:
        """Forecast a block and write it; what cannot be is told, not raised."""
        try:
            if tuple(ParquetSource(self.task.source).files) != self.task.files:
                raise DataError(f"{self.task.source}: its files changed; begin anew (--force).")
            frame = self.forecast(block)
            self.results.write_part(number, self.task.mark, frame)
        except StanhopError as error:
            return Made(number=number, error=str(error))
        except Exception as error:  # of a library, of memory, of a disk: named, and tried again
            what = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            return Made(number=number, error=what, cause="chance")
        return Made(number=number, rows=len(frame))

    def forecast(self, block: Block) -> pd.DataFrame:
        """Forecasts of the series of a block, pass by pass."""
        task = self.task
        rows = self.source.rows(task.id_column, block.ids, block.groups)
        table = to_series(rows, name=task.source, hints=task.hints, **task.reading)
        parts = []
        for first in range(0, len(block.ids), AT_ONCE):
            parts.append(self._pass(table.chosen(block.ids[first : first + AT_ONCE])))
        return pd.concat(parts, ignore_index=True)

    def _pass(self, history: SeriesTable) -> pd.DataFrame:
        if self.task.spread.asked:
            return self.task.spread.predict(self.forecaster, history)
        made = self.forecaster.predict(history, self.task.horizon)
        assert isinstance(made, pd.DataFrame)
        return made
