"""What a forecast reads beside the values: covariates of the last rows and of the steps to come.

Shape letters: S series, T lookback, L horizon of one pass, H steps forecast, K features, C columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from stanhop_app.data.covariates import Covariates
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.frequency import future_index
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.effect import Effect


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """What lies beside some windows and the steps after them; S of them."""

    covariates: np.ndarray
    """(S, T + H, K) float32."""
    static: np.ndarray
    """(S, k) float32."""
    effect: np.ndarray
    """(S, T + H, C) float32, scaled."""
    step: int
    """Steps L of one pass."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ahead:
    """Covariates of many series and their future, from which those of a few are made at a time."""

    encoder: Encoder
    effect: Effect | None
    history: SeriesTable
    covariates: Covariates
    numbers: Sequence[int]
    """Numbers of the series at the fit; -1: a new one."""
    lookback: int
    horizon: int
    """Steps H that are forecast; more are made where the last pass goes beyond."""
    step: int

    def check(self) -> None:
        """Refuse a future that is not known as far as it is forecast.

        Raises:
            DataError: naming series, column and first stamp.
        """
        future = self.encoder.roles.future
        if not future or (self.effect is None and not self.encoder.reads_ahead):
            return
        for number, ((first, last), (a, b)) in enumerate(self._spans):
            there = last - first - (b - a)
            if there < self.horizon:
                stamps = self._stamps(number, self.horizon)
                name = self.history.ids[number]
                others = ", or leave the series out (ids, --ids)" if name else ""
                raise DataError(
                    f"{f'series {name!r}: ' if name else ''}covariate {future[0]!r} is known for "
                    f"{there} of {self.horizon} steps, not from {stamps[there]} on; bring rows after the "
                    f"last value (or future=, --future){others}, or forecast fewer steps."
                )

    @cached_property
    def _spans(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Rows of the covariates and of the values of each series."""
        return list(zip(self.covariates.spans(), self.history.spans(), strict=True))

    @cached_property
    def _values(self) -> np.ndarray:
        return self.covariates.frame.to_numpy(dtype=np.float64)

    @cached_property
    def _future(self) -> Callable[[pd.Timestamp, int], pd.DatetimeIndex]:
        """The stamps after one, made once where many series end together."""
        frequency = self.history.frequency

        def after(last: pd.Timestamp, steps: int) -> pd.DatetimeIndex:
            return future_index(pd.DatetimeIndex([last], freq=frequency), steps, frequency)

        return lru_cache(maxsize=4096)(after)

    def _stamps(self, number: int, steps: int) -> pd.DatetimeIndex:
        """The time stamps after the last row of a series."""
        last = self._spans[number][1][1]
        return self._future(self.history.frame.index[last - 1], steps)

    def of(self, some: Sequence[int]) -> Beside:
        """What lies beside the windows of some series.

        A short history goes on to the left by its first row, a future that is not asked for by its last.
        """
        steps = -(-self.horizon // self.step) * self.step
        index, places, stamps = self.history.frame.index, [], []
        for number in some:
            (first, last), (a, b) = self._spans[number]
            window = np.maximum(np.arange(b - self.lookback, b), a)
            beside = first + np.concatenate([window - a, np.arange(b - a, b - a + steps)])
            places.append(np.minimum(beside, last - 1))
            stamps += [index[window], self._stamps(number, steps)]
        when = pd.DatetimeIndex(stamps[0].append(stamps[1:]))
        columns = self.covariates.frame.columns
        told = self._values[np.concatenate(places)] if len(columns) else np.zeros((len(when), 0))
        rows = self.encoder.encode(pd.DataFrame(told, index=when, columns=columns))
        shape, count = (len(places), self.lookback + steps), self.history.frame.shape[1]
        past_only = rows.reshape(*shape, -1)[:, self.lookback :, self.encoder.num_future :]
        past_only[:] = 0.0
        added = np.zeros((len(rows), count), dtype=np.float32)
        skipped = self.encoder.num_future - self.encoder.num_ahead
        if self.effect is not None:
            number_of = np.repeat([self.numbers[i] for i in some], shape[1])
            added = self.effect.at(self.encoder, rows, when, number_of)
        return Beside(
            covariates=rows.reshape(*shape, -1)[..., skipped:],
            static=self.encoder.encode_static(self.covariates.static.iloc[list(some)]),
            effect=added.reshape(*shape, count),
            step=self.step,
        )
