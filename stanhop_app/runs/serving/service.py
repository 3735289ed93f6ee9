"""The model behind a server: windows that wait together are forecast together."""

import asyncio
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frame import to_frame
from stanhop_app.data.series import SeriesTable, take_any, to_series
from stanhop_app.data.table import read_table
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.intervals.spread import Spread
from stanhop_app.runs.exported import ExportedForecaster, load_forecaster
from stanhop_app.runs.serving.asked import Asked
from stanhop_app.version import __version__

TABLE = "table"
"""What messages call the table of a request, as its key in JSON is."""
TOGETHER, PATIENCE = 64, 0.002
"""Windows that are forecast in one pass at most, and seconds that the first of them waits for others."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    forecast: pd.DataFrame | np.ndarray
    """Steps that come, as a table; after a window as numbers (horizon, columns)."""
    notes: Sequence[str] = ()
    """What was done with the table that a user should know, such as values that were filled."""


class Service:
    """A model that answers requests, windows together, everything else one after the other."""

    def __init__(self, run: Path, *, trust: bool = False):
        self.run = run
        self.forecaster = load_forecaster(run, trust=trust)
        self.outlook = self.forecaster.outlook_
        self._queue: asyncio.Queue[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(
            1
        )  # one forecast at a time: threads would share its cores

    @property
    def about(self) -> dict[str, Any]:
        """What a client has to know."""
        model = self.forecaster
        return {
            "run": self.run.name,
            "columns": list(model.columns_),
            "frequency": model.frequency_,
            "horizon": model.horizon,
            "lookback": model.lookback,
            "model": model.seen_,
            "many_series": self.outlook.series is not None,
            "version": __version__,
        }

    async def forecast(self, asked: Asked) -> Answer:
        """The forecast of a request; one without a table and a window is of the rows that the run keeps.

        Raises:
            StanhopError: for what cannot be forecast.
        """
        if asked.table is not None and asked.window is not None:
            raise OptionError("a request has a table or a window, not both.")
        if asked.window is not None:
            return Answer(await self._of_window(asked))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._of_table, asked)

    def _of_table(self, asked: Asked) -> Answer:
        spread = Spread(levels=asked.levels, quantiles=asked.quantiles)
        which: dict[str, Any] = {"ids": asked.ids, "future": asked.future}
        which = {name: value for name, value in which.items() if value is not None}
        table = None if asked.table is None else self._read(asked.table)
        notes = table.notes if isinstance(table, SeriesTable) else _notes(table)
        if spread.asked:
            if asked.horizon not in (None, self.forecaster.horizon):
                raise OptionError(
                    f"intervals are of the trained horizon, {self.forecaster.horizon} steps."
                )
            return Answer(spread.predict(self.forecaster, table, **which), notes)
        model: Any = self.forecaster
        made = model.predict(table, asked.horizon, **which)
        assert isinstance(made, pd.DataFrame)
        return Answer(made, notes)

    def _read(self, given: pd.DataFrame | bytes) -> pd.DataFrame | SeriesTable:
        """A table, read as that of the training was: what was said for it, and what it proved."""
        kept, hints = self.forecaster.read_as()
        outlook = self.outlook
        if isinstance(given, bytes):
            file = io.BytesIO(given)
            file.name = TABLE
            given = read_table(file, hints=hints, **kept)
        if outlook.is_wide:
            return to_frame(given, name=TABLE, hints=hints, **kept)
        if outlook.series is None:
            return take_any(given, name=TABLE, hints=hints, **kept)
        told = {name: value for name, value in kept.items() if value is not None}
        known = {"id_column": outlook.series.id_name, "frequency": outlook.frequency}
        return to_series(given, name=TABLE, hints=hints, **{**known, **told})

    async def _of_window(self, asked: Asked) -> np.ndarray:
        """A window of numbers, the last ``lookback`` rows of all columns: the steps after it."""
        model, window = self.forecaster, asked.window
        assert window is not None
        if not self.outlook.is_wide:
            raise OptionError("a window is of one table without covariates; send a table.")
        if asked.levels or asked.quantiles or asked.horizon not in (None, model.horizon):
            raise OptionError("a window has points of the trained horizon; send a table for more.")
        shape = (model.lookback, len(model.columns_))
        if window.shape != shape:
            raise DataError(
                f"window: must be {shape[0]} rows of {shape[1]} numbers ({', '.join(model.columns_)}), got "
                f"{' x '.join(map(str, window.shape))}."
            )
        if not np.isfinite(window).all():
            raise DataError("window: a value is missing or not finite.")
        scaled = model.scaler_.transform(window)
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        await self._queue.put((scaled, future))
        return model.scaler_.inverse(await future)

    async def serve_windows(self) -> None:
        """Forecast windows as they come, those that wait in one pass, until the server ends."""
        loop = asyncio.get_running_loop()
        while True:
            some = [await self._queue.get()]
            await asyncio.sleep(PATIENCE)
            while len(some) < TOGETHER and not self._queue.empty():
                some.append(self._queue.get_nowait())
            try:
                windows = np.stack([window for window, _ in some])
                made = await loop.run_in_executor(self._thread, self._pass, windows)
            except Exception as error:
                for _, future in some:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), values in zip(some, made, strict=True):
                if not future.done():
                    future.set_result(values)

    def _pass(self, windows: np.ndarray) -> np.ndarray:
        if isinstance(self.forecaster, ExportedForecaster):
            return self.forecaster.predict_windows(windows)
        return self.forecaster.fitted_.forecast_windows(windows)


def _notes(table: pd.DataFrame | None) -> Sequence[str]:
    """What a reader says of a table of one frame."""
    return () if table is None else tuple(table.attrs.get("notes", ()))
