"""What a fit keeps of covariates, and what a forecast reads of them.

Shape letters: S series, T lookback, L horizon of one pass, H steps forecast, K features, C columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import cycles
from stanhop_app.data.covariates import Covariates, firsts
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.frequency import future_index
from stanhop_app.data.holidays import check_place
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.effects.regression import Effects


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Covariates of a fit."""

    encoder: Encoder
    effects: Effects | None
    """What covariates add to the values of the scored model; None: validation chose nothing."""
    kept: Covariates
    """Covariates of the last rows, and of the future as far as the table told it."""

    def beside(self, panel: Panel, effects: Effects | None, numbers: Sequence[int]) -> Panel:
        """A panel with its covariates encoded, its windows less the effects.

        Args:
            panel: with covariates, or without where time stamps are enough.
            effects: those of the scored or of the final model.
            numbers: of its series at the fit; -1: a new one.

        Raises:
            DataError: for other covariates than the trained ones.
        """
        known = self.encoder.matched(panel.known)
        if panel.covariates is not None:
            panel = replace(panel, covariates=known)
        panel = panel.beside(self.encoder)
        return panel if effects is None else panel.less(effects.of(self.encoder, panel, numbers))


def encoder_of(panel: Panel, *, calendar: bool, holidays: str | None = None) -> Encoder | None:
    """The encoder of a panel's training rows; None where there is nothing to encode.

    Raises:
        OptionError: for holidays of no place, or of a table whose rows are no days or parts of one.
    """
    check_place(holidays)
    if panel.frequency is None and (calendar or holidays is not None):
        raise OptionError("cycles and holidays need rows with time stamps, and these have none.")
    if holidays is not None and "week" not in cycles(panel.frequency, 7.0):
        raise OptionError(
            f"holidays are of days, and the rows have frequency {panel.frequency}; leave them out."
        )
    known = panel.known
    rows = known.frame.to_numpy(dtype=np.float64)
    pairs = list(zip(known.spans(), panel.splits, strict=True))
    training = np.concatenate([rows[a : a + max(split.train, 1)] for (a, _), split in pairs])
    found_cycles: tuple[str, ...] = ()
    if calendar:
        days = max(
            (panel.index[a + max(split.train, 1) - 1] - panel.index[a]) / pd.Timedelta(days=1)
            for (a, _), split in zip(panel.spans, panel.splits, strict=True)
        )
        found_cycles = cycles(panel.frequency, days)
    encoder = Encoder.fit(known, training, found_cycles, holidays)
    return encoder if encoder.num_future + encoder.num_past + encoder.num_static else None


def kept_of(panel: Panel, rows: int) -> Covariates:
    """Covariates of the last rows of every series, as many as that, and those beyond."""
    known = panel.known
    pairs = list(zip(known.spans(), panel.lengths, strict=True))
    spans = [(a + max(length - rows, 0), b) for (a, b), length in pairs]
    numbers = np.concatenate([np.arange(a, b) for a, b in spans])
    return replace(known, frame=known.frame.iloc[numbers], starts=firsts([b - a for a, b in spans]))


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
    effects: Effects | None
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
        if not future:
            return
        for number, ((first, last), (a, b)) in enumerate(
            zip(self.covariates.spans(), self.history.spans(), strict=True)
        ):
            there = last - first - (b - a)
            if there < self.horizon:
                stamps = self._stamps(number, self.horizon)
                name = self.history.ids[number]
                raise DataError(
                    f"{f'series {name!r}: ' if name else ''}covariate {future[0]!r} is known for "
                    f"{there} of {self.horizon} steps, not from {stamps[there]} on; bring rows after the "
                    "last value (or future=, --future), or forecast fewer steps."
                )

    def _stamps(self, number: int, steps: int) -> pd.DatetimeIndex:
        """The time stamps after the last row of a series."""
        _, last = self.history.spans()[number]
        end = pd.DatetimeIndex([self.history.frame.index[last - 1]], freq=self.history.frequency)
        return future_index(end, steps, self.history.frequency)

    def of(self, some: Sequence[int]) -> Beside:
        """What lies beside the windows of some series."""
        steps = -(-self.horizon // self.step) * self.step
        frames = [self._rows(number, steps) for number in some]
        rows = self.encoder.encode(pd.concat(frames) if len(frames) > 1 else frames[0])
        shape = (len(frames), self.lookback + steps)
        columns = self.history.frame.shape[1]
        effect = np.zeros((len(rows), columns), dtype=np.float32)
        past_only = rows.reshape(*shape, -1)[:, self.lookback :, self.encoder.num_future :]
        past_only[:] = 0.0
        if self.effects is not None:
            index = frames[0].index.append([frame.index for frame in frames[1:]])
            number = np.repeat([self.numbers[i] for i in some], shape[1])
            stamps = pd.DatetimeIndex(index)
            effect = self.effects.at(self.encoder, rows, stamps, number).numpy()
        static = self.covariates.static.iloc[list(some)]
        return Beside(
            covariates=rows.reshape(*shape, -1),
            static=self.encoder.encode_static(static),
            effect=effect.reshape(*shape, columns),
            step=self.step,
        )

    def _rows(self, number: int, steps: int) -> pd.DataFrame:
        """Covariates of the window of a series and of the steps after it, with their time stamps.

        A short history goes on to the left by its first row, a future that is not asked for by its last.
        """
        (first, last), (a, b) = self.covariates.spans()[number], self.history.spans()[number]
        window = np.maximum(np.arange(b - self.lookback, b), a)
        beside = first + np.concatenate([window - a, np.arange(b - a, b - a + steps)])
        stamps = self.history.frame.index[window].append(self._stamps(number, steps))
        values = self.covariates.frame.to_numpy(dtype=np.float64)
        if values.shape[1] == 0:
            return pd.DataFrame(index=stamps)
        columns = self.covariates.frame.columns
        return pd.DataFrame(values[np.minimum(beside, last - 1)], index=stamps, columns=columns)
