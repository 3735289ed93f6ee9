"""What forecasts of the real future are made from, beside the model that makes them.

A run and what was exported of it forecast alike: both have an `Outlook`, and a model that maps windows to
the steps after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stanhop_app.data.book import Book
from stanhop_app.data.covariates import Covariates, rows_of
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.effect import Effect
from stanhop_app.forecasting.outlook.ahead import Ahead
from stanhop_app.forecasting.outlook.rolling import Predict, forecast_after, forecast_series


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """Covariates as a forecaster reads them."""

    encoder: Encoder
    kept: Covariates
    """What they were in the last rows, and in the future as far as the table told it."""
    effect: Effect | None
    """What they add to the values by the model that forecasts; None: nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """Series that a forecaster knows: their last rows, their scales, and what lies beside their values."""

    columns: tuple[str, ...]
    """Names of the variates, in the model's order."""
    frequency: str | None
    """Pandas alias; None where rows were only numbered."""
    scaler: Scaler
    """Scales of a wide table."""
    rows: pd.DataFrame
    """The rows that are kept, flat."""
    lookback: int
    """Rows that the model reads."""
    horizon: int
    """Steps of one pass."""
    holes: bool = False
    """Whether the model takes windows with holes."""
    timed: bool = False
    """Whether it takes when the first step is, by the keyword ``when``."""
    series: Book | None = None
    """What is kept of many series; None: a wide table."""
    beside: Beside | None = None
    """Covariates; None: there are none."""

    @property
    def context(self) -> pd.DataFrame:
        """The last rows of one table, from which the future is forecast; all that are kept of many series."""
        return self.rows.iloc[-self.lookback :] if self.series is None else self.rows

    @property
    def is_wide(self) -> bool:
        """Whether it is of one table with nothing beside its values."""
        return self.series is None and self.beside is None

    def kept(self) -> SeriesTable:
        """The rows that are kept, whatever they are of.

        Raises:
            DataError: if they have no time stamps.
        """
        if self.frequency is None:
            raise DataError(
                "the forecaster was fitted on an array, whose rows have no time stamps."
            )
        book = self.series
        return SeriesTable(
            frame=self.rows,
            starts=(0,) if book is None else book.starts,
            ids=("",) if book is None else book.ids,
            frequency=self.frequency,
            id_name="" if book is None else book.id_name,
            numbered=book is not None and book.numbered,
            notes=(),
            proved={},
            filled=0,
            covariates=None if self.beside is None else self.beside.kept,
        )

    def shortened(self) -> "Outlook":
        """The same with no more rows of a series than the model reads."""
        if self.is_wide:
            return replace(self, rows=self.context)
        table, beside = self.kept(), self.beside
        spans = [(max(first, last - self.lookback), last) for first, last in table.spans()]
        rows = self.rows.iloc[rows_of(spans)]
        lengths = tuple(last - first for first, last in spans)
        if beside is not None:
            whole = [last - first for first, last in table.spans()]
            beside = replace(beside, kept=beside.kept.behind(whole, lengths))
        book = None if self.series is None else replace(self.series, context=rows, lengths=lengths)
        return replace(self, rows=rows, series=book, beside=beside)

    def scalers(self, history: SeriesTable) -> list[Scaler]:
        """Scaler of each of some series: that of its training rows, or of its own if it is a new one."""
        if self.series is None:
            return [self.scaler]
        return self.series.scalers(history.ids, history.frame, history.starts)

    def numbers(self, ids: Sequence[str]) -> list[int]:
        """Numbers of series at the fit, by name; -1: a new one."""
        if self.series is None:
            return [0]
        places = {name: number for number, name in enumerate(self.series.ids)}
        return [places.get(name, -1) for name in ids]

    def coded(self, table: SeriesTable) -> SeriesTable:
        """A table with its covariates as the training's table had them: names in order, words by code.

        Raises:
            DataError: for other covariates, and for words that the training's table does not have.
        """
        if self.beside is None:
            return table
        known = table.covariates or Covariates.bare(table.frame.index, table.starts)
        return replace(table, covariates=self.beside.encoder.matched(known))

    def ahead(self, history: SeriesTable, horizon: int) -> Ahead | None:
        """What a forecast of the real future reads beside the values of some series."""
        if self.beside is None:
            return None
        history = self.coded(history)
        assert history.covariates is not None
        return Ahead(
            encoder=self.beside.encoder,
            effect=self.beside.effect,
            history=history,
            covariates=history.covariates,
            numbers=self.numbers(history.ids),
            lookback=self.lookback,
            horizon=horizon,
            step=self.horizon,
        )

    def forecast(
        self, predict: Predict, frame: pd.DataFrame | None, horizon: int
    ) -> pd.DataFrame | np.ndarray:
        """Forecast the steps after the last row of one table; None: of the rows that are kept."""
        return forecast_after(
            self.context if frame is None else frame,
            predict,
            self.scaler,
            lookback=self.lookback,
            horizon=horizon,
            frequency=self.frequency,
            holes=self.holes,
            timed=self.timed,
        )

    def forecast_series(self, predict: Predict, history: SeriesTable, horizon: int) -> pd.DataFrame:
        """Forecast the steps after the last row of each of many series, or of a table with covariates."""
        return forecast_series(
            history,
            self.scalers(history),
            predict,
            lookback=self.lookback,
            horizon=horizon,
            holes=self.holes,
            timed=self.timed,
            ahead=self.ahead(history, horizon),
        )
