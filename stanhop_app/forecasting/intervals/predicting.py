"""What an estimator forecasts beside points: intervals, quantiles and sample paths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.given import tell
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.aggregate import check_over, summed, with_ends
from stanhop_app.forecasting.intervals.asked import Asked, Asking
from stanhop_app.forecasting.intervals.intervals import Intervals, intervals_of
from stanhop_app.forecasting.intervals.levels import (
    Bands,
    bands_of,
    bounded,
    check_quantiles,
    check_samples,
    end_name,
    levels_of,
)


class Probabilistic(Asking):
    """Methods of an estimator with ``fitted_``, whose ``predict`` forecasts points.

    Intervals are made of residuals out of sample, which are read from the rows that the fit keeps when the
    first quantile is asked for (seconds), and kept with the estimator.
    """

    _kept_intervals: tuple[Fitted, Intervals] | None = None

    def intervals(self) -> Intervals:
        """The distribution of what the forecaster will miss (`stanhop_app.forecasting.intervals`).

        Raises:
            DataError: if not all rows are kept, or validation has too few windows.
            OptionError: if the rows have no time stamps.
        """
        kept = self._kept_intervals
        if kept is None or not self.has_intervals:
            kept = self._kept_intervals = (self.fitted_, intervals_of(self.fitted_))
        return kept[1]

    @property
    def has_intervals(self) -> bool:
        """Whether `intervals` are there already; else they take seconds of a long table."""
        kept, fitted = self._kept_intervals, self.fitted_
        # Whatever forecasts the real future, residuals are the same.
        same = ("network", "rows", "memory", "known")
        return kept is not None and all(getattr(kept[0], n) is getattr(fitted, n) for n in same)

    @property
    def way(self) -> str:
        """How residuals are read, in words."""
        return self.intervals().best.pool.way.name

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

    def sample(
        self,
        X: Any = None,
        count: int = 100,
        *,
        seed: int = 0,
        lower: float | None = None,
        upper: float | None = None,
        **which: Any,
    ) -> pd.DataFrame:
        """Draw trajectories of the next ``horizon`` steps: steps and variates belong together.

        What is drawn is what was missed of a past window, whole; sums over steps or variates of paths are
        therefore distributed as sums are (`aggregate`). Paths of several series are drawn apart. A seed gives
        the same paths.

        Args:
            X: history, as of ``predict``.
            count: paths.
            seed: of the draws.
            lower: what no value is below.
            upper: what no value is above.
            **which: ``ids`` and ``future``, as of ``predict``.

        Returns:
            A frame of rows (path, time), or (path, id, time), a column a variate.

        Raises:
            OptionError: for a count below 1 or above a million, and where `intervals` refuses.
        """
        check_samples(count)
        known, asked = self.intervals(), self._asked(X, **which)
        if "path" in asked.index.names:
            raise OptionError(
                "a column of ids or time stamps is named 'path', as paths are; rename it."
            )
        told = known.tells(asked.when, len(asked.windows))
        if told.any() and not told.all():
            raise DataError(
                f"{asked.untold(told)}: they have no paths; leave them out (ids, --ids)."
            )
        drawn = known.paths(asked.windows, asked.when, count, seed=seed).double().numpy()
        values = asked.values[:, None] + drawn * asked.scale[:, None]
        flat = bounded(values, lower, upper).transpose(1, 0, 2, 3).reshape(-1, len(asked.variates))
        paths = np.repeat(np.arange(count), len(asked.points))
        rows = pd.DataFrame({"path": paths})
        labels = asked.index.to_frame(index=False)
        if not asked.is_long:
            labels.columns = pd.Index([asked.index.name])
        labels = pd.concat([labels] * count, ignore_index=True)
        index = pd.MultiIndex.from_frame(pd.concat([rows, labels], axis=1))
        return pd.DataFrame(flat, index=index, columns=pd.Index(asked.variates))

    def predict_total(
        self,
        X: Any = None,
        over: Sequence[str] = ("steps",),
        levels: Sequence[float] = (80, 95),
        *,
        paths: int = 1000,
        seed: int = 0,
        lower: float | None = None,
        upper: float | None = None,
        **which: Any,
    ) -> pd.DataFrame:
        """Forecast sums of the next ``horizon`` steps with central intervals, from sample paths.

        Args:
            X: history, as of ``predict``.
            over: what is summed over: "steps", or a span of time such as "D" or "W"; "variates"; "series".
            levels: coverages in percent.
            paths: how many are drawn.
            seed: of the draws.
            lower: what no single value is below.
            upper: what no single value is above.
            **which: ``ids`` and ``future``, as of ``predict``.

        Returns:
            A row a sum: its id and the label that pandas gives its span, where there are several; "steps",
            how many time steps it is of; the sum of the forecast with its ends, a variate or "total" each.

        Raises:
            OptionError: for sums that cannot be, and where `intervals` refuses.
        """
        check_over(over, many=self.fitted_.series is not None)
        ends = levels_of(levels)
        point = self._asked(X, **which)
        values = bounded(point.points[point.variates].to_numpy(), lower, upper)
        table = pd.DataFrame(values, index=point.index, columns=pd.Index(point.variates))
        time = str(point.index.names[-1] or "time")
        drawn = self.sample(X, paths, seed=seed, lower=lower, upper=upper, **which)
        table.index.names = [*table.index.names[:-1], time]
        drawn.index.names = [*drawn.index.names[:-1], time]
        (sums, counts), (paths_, _) = (summed(each, over, time) for each in (table, drawn))
        return with_ends(sums, counts, paths_, ends)

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
        known, asked = self.intervals(), self._asked(X, **which)
        told = known.tells(asked.when, len(asked.windows))
        if told.all() or not told.any():  # quantiles refuses what none of them can have
            made = known.quantiles(asked.windows, asked.when, levels).double().numpy()
            return asked, made * asked.scale[:, None]
        tell([f"{asked.untold(told)}: they have forecasts and no intervals"])
        some = known.quantiles(asked.windows[told], asked.when[told], levels).double().numpy()
        made = np.full((len(told), *some.shape[1:]), np.nan)
        made[told] = some
        return asked, made * asked.scale[:, None]
