"""What is asked of an estimator: which series, from which windows, in which units.

Shape letters: S series, T lookback, L horizon, C variates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.data.given import with_future
from stanhop_app.data.reading import reading_of
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.rolling import last_windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What is forecast, S series of C variates, and what from."""

    points: pd.DataFrame
    """As ``predict`` returns it: wide, or a long one of ids, time stamps and variates."""
    variates: list[str]
    windows: Tensor
    """(S, T, C), scaled, less the effects of covariates."""
    when: Tensor
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
    """Methods of an estimator that tell what a forecast is asked for."""

    fitted_: Fitted
    source_: Any
    predict: Callable[..., Any]
    _frame: Callable[[Any], pd.DataFrame | None]
    _trained: Callable[[], Any]
    _reading: Callable[[], dict[str, Any]]
    _hints: Callable[[], dict[str, Any]]

    def _asked(self, X: Any, ids: Sequence[str] | None = None, future: Any = None) -> Asked:
        """What is forecast of a history, and the windows that it is forecast from."""
        fitted = self.fitted_
        given = {n: v for n, v in (("ids", ids), ("future", future)) if v is not None}
        points = self.predict(X, **given)
        if not isinstance(points, pd.DataFrame):
            raise OptionError(
                "intervals need rows with time stamps; the fit or the table has none."
            )
        if fitted.series is None and fitted.known is None:
            frame = self._frame(X)
            rows = fitted.context if frame is None else frame.iloc[-fitted.lookback :]
            windows = fitted.scaler.transform(rows.to_numpy(dtype=np.float64))[None]
            scalers = [fitted.scaler]
        else:
            history = self._history(X, ids, future)
            scalers = fitted.scalers(history)
            ahead = fitted.ahead(history, fitted.horizon)
            windows = last_windows(history, scalers, fitted.lookback, ahead)
        return Asked(
            points=points,
            variates=[str(name) for name in fitted.columns],
            windows=torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32)),
            when=self._when(points),
            scale=np.array([scaler.scale for scaler in scalers])[:, None],
        )

    def _when(self, points: pd.DataFrame) -> Tensor:
        """When the first target of every series is, (S, 2)."""
        index = time_index(points)
        every = points.iloc[:: self.fitted_.horizon]
        index = pd.DatetimeIndex(every.iloc[:, 1]) if index is None else index[:1]
        return torch.from_numpy(clock(index, self.fitted_.frequency))

    def _history(self, X: Any, ids: Sequence[str] | None, future: Any) -> SeriesTable:
        """The series that are forecast, or one table with covariates, with what is known of the future."""
        fitted, reading = self.fitted_, self._reading()
        history: SeriesTable = (
            fitted.kept_series() if X is None else self._trained().series(X, reading)
        )
        if future is not None:
            named = {k: v for k, v in reading.items() if v is not None}
            told = {**reading_of(self.source_)[0], **named}
            history = with_future(fitted.coded(history), future, told, self._hints())
        return history if ids is None else history.chosen(ids)
