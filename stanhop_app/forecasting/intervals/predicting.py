"""Intervals and quantiles beside points, whatever the residuals are read by. Nothing here needs torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.given import tell
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.intervals.asked import Asked, Asking
from stanhop_app.forecasting.intervals.levels import (
    Bands,
    bands_of,
    bounded,
    check_quantiles,
    end_name,
    levels_of,
)


class Probabilistic(Asking):
    """Methods of what forecasts points, and knows what past forecasts missed."""

    def _tells(self, asked: Asked) -> np.ndarray:
        """Which series have something known that was missed before they ended, (S,)."""
        raise NotImplementedError

    def _missed(self, windows: np.ndarray, when: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Quantiles of what will be missed after windows (S, T, C), (S, Q, L, C); scaled units."""
        raise NotImplementedError

    def predict_interval(
        self,
        X: Any = None,
        levels: Sequence[float] = (80, 95),
        *,
        lower: float | None = None,
        upper: float | None = None,
        **which: Any,
    ) -> pd.DataFrame:
        """Forecast the next ``horizon`` steps with central intervals.

        Args:
            X: history, as of ``predict``.
            levels: coverages in percent.
            lower: what no value is below, such as 0 of sales.
            upper: what no value is above.
            **which: ``ids`` and ``future``, as of ``predict``.

        Returns:
            What ``predict`` returns, with columns OT-lo-95, OT-lo-80, OT-hi-80, OT-hi-95 after a variate OT.

        Raises:
            OptionError: for levels that cannot be, and where `intervals` refuses.
        """
        ends = levels_of(levels)
        asked, made = self._quantiles(X, ends, which)
        values = bounded(asked.values[:, None] + made, lower, upper)
        columns: dict[Any, Any] = {}
        if asked.is_long:
            columns = dict(asked.points.iloc[:, :2].items())
        for number, name in enumerate(asked.variates):
            columns[name] = bounded(asked.points[name].to_numpy(), lower, upper)
            for place, level in enumerate(ends):
                columns[end_name(name, level)] = values[:, place, :, number].ravel()
        if len(columns) < 2 * asked.is_long + len(asked.variates) * (1 + len(ends)):
            raise OptionError(
                "a column is named as the end of an interval of another, such as OT-lo-80; rename it."
            )
        return pd.DataFrame(columns, index=asked.points.index)

    def predict_quantiles(
        self,
        X: Any = None,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        lower: float | None = None,
        upper: float | None = None,
        **which: Any,
    ) -> pd.DataFrame:
        """Forecast quantiles of the next ``horizon`` steps.

        Args:
            X: history, as of ``predict``.
            quantiles: above 0 and below 1.
            lower: what no value is below.
            upper: what no value is above.
            **which: ``ids`` and ``future``, as of ``predict``.

        Returns:
            A frame with columns (variate, quantile), as of sktime; quantiles rise. Of many series its rows
            are (id, time). A series that ended before anything was missed has NaN, and a warning says so.

        Raises:
            OptionError: for quantiles that cannot be, and where `intervals` refuses.
        """
        check_quantiles(quantiles)
        ends = sorted(set(quantiles))
        asked, made = self._quantiles(X, ends, which)
        values = bounded(asked.values[:, None] + made, lower, upper)
        flat = values.transpose(0, 2, 3, 1).reshape(len(asked.points), -1)
        columns = pd.MultiIndex.from_product([asked.variates, ends])
        return pd.DataFrame(flat, index=asked.index, columns=columns)

    def bands(
        self,
        X: Any = None,
        levels: Sequence[float] = (80, 95),
        *,
        lower: float | None = None,
        upper: float | None = None,
        **which: Any,
    ) -> Bands:
        """Lower and upper ends of central intervals by name, the widest first, as figures draw them."""
        return bands_of(self.predict_quantiles, levels, X=X, lower=lower, upper=upper, **which)

    def _quantiles(
        self, X: Any, levels: Sequence[float], which: dict[str, Any]
    ) -> tuple[Asked, np.ndarray]:
        """Quantiles of what will be missed, (S, Q, L, C), in the units of the table."""
        asked = self._asked(X, **which)
        told = self._tells(asked)
        if told.all() or not told.any():  # where none can have any it is refused
            made = self._missed(asked.windows, asked.when, levels)
            return asked, made * asked.scale[:, None]
        tell([f"{asked.untold(told)}: they have forecasts and no intervals"])
        some = self._missed(asked.windows[told], asked.when[told], levels)
        made = np.full((len(told), *some.shape[1:]), np.nan)
        made[told] = some
        return asked, made * asked.scale[:, None]
