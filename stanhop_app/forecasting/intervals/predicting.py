"""What an estimator forecasts beside points: intervals, quantiles and sample paths."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.intervals import (
    Intervals,
    bounded,
    check_quantiles,
    intervals_of,
    levels_of,
)


class Probabilistic:
    """Methods of an estimator with ``fitted_`` and ``history_of``, whose ``predict`` forecasts points.

    Intervals are made of residuals out of sample, which are read from the rows that the fit keeps when the
    first quantile is asked for (seconds), and kept with the estimator.
    """

    fitted_: Fitted
    predict: Callable[..., Any]
    _frame: Callable[[Any], pd.DataFrame | None]
    _kept_intervals: tuple[Fitted, Intervals] | None = None

    def intervals(self) -> Intervals:
        """The distribution of what the forecaster will miss (`stanhop_app.forecasting.intervals`).

        Raises:
            DataError: if not all rows are kept, or validation has too few windows.
            OptionError: if there are many series or covariates, or the rows have no time stamps.
        """
        kept, fitted = self._kept_intervals, self.fitted_
        same = (
            "network",
            "rows",
            "memory",
        )  # whatever forecasts the real future, residuals are the same
        if kept is None or any(getattr(kept[0], n) is not getattr(fitted, n) for n in same):
            kept = self._kept_intervals = (fitted, intervals_of(fitted))
        return kept[1]

    def predict_interval(
        self,
        X: Any = None,
        levels: Sequence[float] = (80, 95),
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> pd.DataFrame:
        """Forecast the next ``horizon`` steps with central intervals.

        Args:
            X: history, as of ``predict``.
            levels: coverages in percent.
            lower: what no value is below, such as 0 of sales.
            upper: what no value is above.

        Returns:
            A frame with a column a variate, and OT-lo-95, OT-lo-80, OT-hi-80, OT-hi-95 for a variate OT.

        Raises:
            OptionError: for levels that cannot be, and where `intervals` refuses.
        """
        made = self.predict_quantiles(X, levels_of(levels), lower=lower, upper=upper)
        point = self._points(X)
        columns = {}
        for name in point.columns:
            columns[str(name)] = bounded(point[name].to_numpy(), lower, upper)
            for level in made[name].columns:
                side, coverage = ("lo", 1 - 2 * level) if level < 0.5 else ("hi", 2 * level - 1)
                columns[f"{name}-{side}-{100 * coverage:.10g}"] = made[name][level].to_numpy()
        if len(columns) < len(point.columns) * (1 + len(levels_of(levels))):
            raise OptionError(
                "a column is named as the end of an interval of another, such as OT-lo-80; rename it."
            )
        return pd.DataFrame(columns, index=point.index)

    def predict_quantiles(
        self,
        X: Any = None,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> pd.DataFrame:
        """Forecast quantiles of the next ``horizon`` steps.

        Args:
            X: history, as of ``predict``.
            quantiles: above 0 and below 1.
            lower: what no value is below.
            upper: what no value is above.

        Returns:
            A frame with columns (variate, quantile), as of sktime; quantiles rise.

        Raises:
            OptionError: for quantiles that cannot be, and where `intervals` refuses.
        """
        check_quantiles(quantiles)
        known, point = self.intervals(), self._points(X)
        made = known.quantiles(*self._window(X, point), sorted(set(quantiles)))[0].double().numpy()
        values = self._units(made) + point.to_numpy()
        columns = pd.MultiIndex.from_product([point.columns, sorted(set(quantiles))])
        flat = bounded(values, lower, upper).transpose(1, 2, 0).reshape(len(point), -1)
        return pd.DataFrame(flat, index=point.index, columns=columns)

    def sample(
        self,
        X: Any = None,
        count: int = 100,
        *,
        seed: int = 0,
        lower: float | None = None,
        upper: float | None = None,
    ) -> pd.DataFrame:
        """Draw trajectories of the next ``horizon`` steps: steps and variates belong together.

        What is drawn is what was missed of a past window, whole; sums over steps or variates of paths are
        therefore distributed as sums are. A seed gives the same paths.

        Args:
            X: history, as of ``predict``.
            count: paths.
            seed: of the draws.
            lower: what no value is below.
            upper: what no value is above.

        Returns:
            A frame of rows (path, time), a column a variate.

        Raises:
            OptionError: for a count below 1, and where `intervals` refuses.
        """
        if count < 1:
            raise OptionError(f"samples must be at least 1, got {count}.")
        known, point = self.intervals(), self._points(X)
        drawn = known.paths(*self._window(X, point), count, seed=seed)[0].double().numpy()
        values = bounded(self._units(drawn) + point.to_numpy(), lower, upper)
        rows = pd.MultiIndex.from_product(
            [range(count), point.index], names=["path", point.index.name]
        )
        return pd.DataFrame(values.reshape(-1, values.shape[2]), index=rows, columns=point.columns)

    def bands(
        self,
        X: Any = None,
        levels: Sequence[float] = (80, 95),
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """Lower and upper ends of central intervals by name, the widest first, as figures draw them."""
        made = self.predict_quantiles(X, levels_of(levels), lower=lower, upper=upper)
        told = {}
        for coverage in sorted(set(levels), reverse=True):
            ends = levels_of([coverage])
            low, high = (pd.DataFrame(made.xs(end, axis=1, level=1)) for end in ends)
            told[f"{coverage:.10g}%"] = (low, high)
        return told

    def _points(self, X: Any) -> pd.DataFrame:
        point = self.predict(X)
        if not isinstance(point, pd.DataFrame):
            raise OptionError(
                "intervals need rows with time stamps; the fit or the table has none."
            )
        return point

    def _window(self, X: Any, point: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """The window that is forecast from, scaled (1, T, C), and when its first target is (1, 2)."""
        fitted, frame = self.fitted_, self._frame(X)
        rows = fitted.context if frame is None else frame.iloc[-fitted.lookback :]
        scaled = fitted.scaler.transform(rows.to_numpy(dtype=np.float64))
        index = time_index(point)
        assert index is not None
        when = torch.from_numpy(clock(index, fitted.frequency)[:1])
        return torch.from_numpy(scaled)[None], when

    def _units(self, residuals: np.ndarray) -> np.ndarray:
        """Scaled residuals (..., C) in the units of the table."""
        scaled: np.ndarray = residuals * np.array(self.fitted_.scaler.scale)
        return scaled
