"""What an estimator forecasts beside points and intervals: sample paths, and sums with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.aggregate import check_over, summed, with_ends
from stanhop_app.forecasting.intervals.asked import Asked
from stanhop_app.forecasting.intervals.intervals import Intervals, intervals_of
from stanhop_app.forecasting.intervals.levels import bounded, check_samples, levels_of
from stanhop_app.forecasting.intervals.predicting import Probabilistic


class Sampling(Probabilistic):
    """Methods of an estimator with ``fitted_``, whose ``predict`` forecasts points.

    Intervals are made of residuals out of sample, which are read from the rows that the fit keeps when the
    first quantile is asked for (seconds), and kept with the estimator.
    """

    fitted_: Fitted
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
        told = self._tells(asked)
        if told.any() and not told.all():
            raise DataError(
                f"{asked.untold(told)}: they have no paths; leave them out (ids, --ids)."
            )
        windows, when = torch.from_numpy(asked.windows), torch.from_numpy(asked.when)
        drawn = known.paths(windows, when, count, seed=seed).double().numpy()
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
        check_over(over, many=self.outlook_.series is not None)
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

    def _tells(self, asked: Asked) -> np.ndarray:
        return self.intervals().tells(torch.from_numpy(asked.when), len(asked.windows))

    def _missed(self, windows: np.ndarray, when: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        made: np.ndarray = (
            self.intervals()
            .quantiles(torch.from_numpy(windows), torch.from_numpy(when), levels)
            .double()
            .numpy()
        )
        return made
