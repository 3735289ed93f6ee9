"""What is asked of what forecasts: which series, from which windows, in which units. Nothing needs torch.

Shape letters: S series, T lookback, L horizon, C variates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.data.given import Trained, with_future
from stanhop_app.data.reading import ReadingConfig, reading_of
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.outlook.outlook import Outlook
from stanhop_app.forecasting.outlook.rolling import last_windows
from stanhop_app.options import defaults_of

READ = defaults_of(ReadingConfig)


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What is forecast, S series of C variates, and what from."""

    points: pd.DataFrame
    """As ``predict`` returns it: wide, or a long one of ids, time stamps and variates."""
    variates: list[str]
    windows: np.ndarray
    """(S, T, C), scaled, less the effects of covariates."""
    when: np.ndarray
    """(S, 2), when the first targets are."""
    scale: np.ndarray
    """(S, 1, C), units of the table a scaled one."""

    @property
    def is_long(self) -> bool:
        """Whether there are many series."""
        return len(self.points.columns) > len(self.variates)

    @property
    def values(self) -> np.ndarray:
        """The points, (S, L, C)."""
        wide = self.points[self.variates].to_numpy(dtype=np.float64)
        return wide.reshape(len(self.windows), -1, len(self.variates))

    def untold(self, told: np.ndarray) -> str:
        """Which series of a long table are not told, in words."""
        ids = self.points.iloc[:: len(self.points) // len(told), 0]
        return (
            f"{int((~told).sum()):,} of {len(told):,} series, such as {ids[~told].iloc[0]!r}, end before any "
            "past forecast is known to have missed something"
        )

    @property
    def index(self) -> pd.Index:
        """Labels of the rows: time stamps, or ids and time stamps."""
        return (
            pd.MultiIndex.from_frame(self.points.iloc[:, :2]) if self.is_long else self.points.index
        )


class Asking:
    """Methods of what forecasts, an estimator or an export, that tell what a forecast is asked for."""

    source_: Any
    _reading: Callable[[], dict[str, Any]]
    """How tables are read: fields of `ReadingConfig`."""
    _model: Callable[..., np.ndarray]
    """(B, T, C), and what lies beside by keyword, -> (B, L, C), scaled."""

    @property
    def outlook_(self) -> Outlook:
        """What is known of the series."""
        raise NotImplementedError

    def read_as(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """How a file is read as the table of the training was: fields of `ReadingConfig`; and hints.

        What a run keeps of how its table was read, and for one that was made in Python what the estimator
        was told; hints are what the table proved.
        """
        options, hints = reading_of(self.source_)
        own = {name: value for name, value in self._reading().items() if value != READ.get(name)}
        return {**own, **options}, hints

    def matched(self, table: Any) -> SeriesTable:
        """Many series with their columns in the model's order (`stanhop_app.data.match.match_series`)."""
        return self._trained().matched(table)

    def _hints(self) -> dict[str, Any]:
        """What the table of the training proved, and which covariates held words there."""
        beside = self.outlook_.beside
        words = {} if beside is None else {"words": list(beside.encoder.roles.categories)}
        return {**reading_of(self.source_)[1], **words}

    def _trained(self) -> Trained:
        """What the fit says of the tables that go with it."""
        outlook = self.outlook_
        beside = None if outlook.beside is None else ""
        return Trained(
            columns=list(outlook.columns),
            frequency=outlook.frequency,
            context=outlook.context,
            id_name=beside if outlook.series is None else outlook.series.id_name,
            ids=() if outlook.series is None else outlook.series.ids,
            hints=self._hints(),
        )

    def _frame(self, X: Any) -> pd.DataFrame | None:
        """A table as it is read, its columns in order; None: the rows that are kept."""
        return None if X is None else self._trained().frame(X, self._reading(), self)

    def _forecast(
        self, X: Any, steps: int, ids: Sequence[str] | None = None, future: Any = None
    ) -> pd.DataFrame | np.ndarray:
        """The points of `predict`; errors as of it."""
        outlook = self.outlook_
        if ids is not None and outlook.series is None:
            raise OptionError("ids choose among many series; this was fitted on one table.")
        if future is not None and outlook.beside is None:
            raise OptionError("future holds covariates; the forecaster was fitted without any.")
        if outlook.is_wide:
            return outlook.forecast(self._model, self._frame(X), steps)
        return outlook.forecast_series(self._model, self._history(X, ids, future), steps)

    def _asked(self, X: Any, ids: Sequence[str] | None = None, future: Any = None) -> Asked:
        """What is forecast of a history, and the windows that it is forecast from."""
        outlook = self.outlook_
        points = self._forecast(X, outlook.horizon, ids, future)
        if not isinstance(points, pd.DataFrame):
            raise OptionError(
                "intervals need rows with time stamps; the fit or the table has none."
            )
        if outlook.is_wide:
            frame = self._frame(X)
            rows = outlook.context if frame is None else frame.iloc[-outlook.lookback :]
            windows = outlook.scaler.transform(rows.to_numpy(dtype=np.float64))[None]
            scalers = [outlook.scaler]
        else:
            history = self._history(X, ids, future)
            scalers = outlook.scalers(history)
            ahead = outlook.ahead(history, outlook.horizon)
            windows = last_windows(history, scalers, outlook.lookback, ahead)
        return Asked(
            points=points,
            variates=[str(name) for name in outlook.columns],
            windows=np.ascontiguousarray(windows, dtype=np.float32),
            when=self._when(points),
            scale=np.array([scaler.scale for scaler in scalers])[:, None],
        )

    def _when(self, points: pd.DataFrame) -> np.ndarray:
        """When the first target of every series is, (S, 2)."""
        index = time_index(points)
        every = points.iloc[:: self.outlook_.horizon]
        index = pd.DatetimeIndex(every.iloc[:, 1]) if index is None else index[:1]
        return clock(index, self.outlook_.frequency)

    def _history(self, X: Any, ids: Sequence[str] | None, future: Any) -> SeriesTable:
        """The series that are forecast, or one table with covariates, with what is known of the future."""
        outlook, reading = self.outlook_, self._reading()
        history = outlook.kept() if X is None else self._trained().series(X, reading)
        if future is not None:
            named = {k: v for k, v in reading.items() if v is not None}
            told = {**self.read_as()[0], **named}
            history = with_future(outlook.coded(history), future, told, self._hints())
        return history if ids is None else history.chosen(ids)
