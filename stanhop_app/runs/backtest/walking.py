"""Who forecasts at cut-offs: points and quantiles of many windows, in the order of time.

Shape letters: B windows, T lookback, L horizon, C variates, Q levels.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from stanhop_app.data.outlying import without_outlying
from stanhop_app.data.panel import Panel
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.adaptive import Followed
from stanhop_app.forecasting.intervals.intervals import Intervals
from stanhop_app.forecasting.linear.fit import LinearFit
from stanhop_app.forecasting.linear.growing import Growing
from stanhop_app.forecasting.update import grown
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import STanHopNet


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """What was forecast of some windows; scaled units."""

    points: Tensor
    """(B, L, C)."""
    quantiles: Tensor
    """(B, Q, L, C), rising along Q."""


class Walker(Protocol):
    """Forecasts windows by number, those of earlier cut-offs first."""

    def __call__(self, windows: Windows, numbers: Tensor) -> Made: ...


def in_units(values: Tensor, scaler: Scaler) -> Tensor:
    """Scaled values (..., C) in the units of the table, float64."""
    mean, scale = (torch.tensor(side, dtype=torch.float64) for side in (scaler.mean, scaler.scale))
    return values.double() * scale + mean


Spread = Callable[[Tensor, Tensor | None], Tensor]
"""Windows (B, T, C) and when their first targets are, to quantiles of what will be missed (B, Q, L, C)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """A predictor that stays as it was fitted."""

    predictor: Predictor
    spread: Spread

    @torch.no_grad()
    def __call__(self, windows: Windows, numbers: Tensor) -> Made:
        """Forecast some windows, read as far back as the predictor reads."""
        own = self.predictor.suited(replace(windows, lookback=self.predictor.lookback))
        parts = []
        for batch in numbers.split(len(own.batches()[0])):
            _, points = self.predictor.pairs(own, batch)
            spread = self.spread(own.gather(batch)[0], own.when(batch))
            parts.append((points, points[:, None] + spread))
        points, quantiles = (torch.cat(side) for side in zip(*parts, strict=True))
        return Made(points=points, quantiles=quantiles)


def constant(ends: Tensor) -> Spread:
    """The same quantiles (Q, L, C) whatever the window."""
    return lambda x, when: ends.expand(len(x), *ends.shape)


def reading(known: Intervals, levels: Sequence[float], *, timed: bool) -> Spread:
    """What intervals say that read nothing behind the validation rows.

    Args:
        known: the intervals.
        levels: of the quantiles.
        timed: whether windows are of the table of the training, so that residuals of later ones are not read.
    """
    return lambda x, when: known.quantiles(x, when if timed else None, levels, frozen=True)


class Updated:
    """A fit that takes in what came since, at every cut-off, as `stanhop update` would have.

    The linear part is fitted again on all rows before the cut-off; the memory and the intervals read every
    window that had ended; levels follow the coverage (`Adaptive`). The deep part stays.
    """

    def __init__(
        self,
        fitted: Fitted,
        panel: Panel,
        network: STanHopNet,
        levels: Followed,
        intervals: Intervals,
    ):
        """Nothing is forecast yet.

        Args:
            fitted: of one table without covariates.
            panel: all rows, beginning with those that it was fitted on, scaled as they were.
            network: whose deep part forecasts; it is not changed.
            levels: of the quantiles, which go on from what an earlier fit had come to.
            intervals: with what was missed of all rows.
        """
        tame, _ = without_outlying(panel, fitted.horizon, causal=True)
        self._windows = tame.whole(fitted.lookback, fitted.horizon)
        self._values = panel.whole(fitted.lookback, fitted.horizon).values
        self._network = copy.deepcopy(network)
        self._memory: Memory | None = grown(fitted, tame)
        self._chosen = None if fitted.linear is None else LinearFit.of_summary(fitted.linear)
        self._intervals = intervals
        self.levels = levels
        self._scaler, self._actual = panel.scaler, panel.values

    @property
    def units(self) -> tuple[Tensor, Tensor]:
        """Mean and scale of what it forecasts, (1, 1, C) each: those of its own training."""
        mean, scale = (
            torch.tensor(side, dtype=torch.float64)[None, None]
            for side in (self._scaler.mean, self._scaler.scale)
        )
        return mean, scale

    @torch.no_grad()
    def __call__(self, windows: Windows, numbers: Tensor) -> Made:
        """Forecast windows, each by what was known at its first target."""
        rows = windows.rows(numbers)[:, windows.lookback]
        own = replace(windows, lookback=self._windows.lookback, values=self._values)
        pairs = zip(numbers, rows.tolist(), strict=True)
        # Anew at every call, so that a part is the same to the bit whether those before were made or read.
        linear = None if self._chosen is None else Growing(self._chosen, self._windows)
        made = [self._one(own, number, row, linear) for number, row in pairs]
        points, quantiles = (torch.cat(side) for side in zip(*made, strict=True))
        return Made(points=points, quantiles=quantiles)

    def _one(
        self, windows: Windows, number: Tensor, row: int, linear: Growing | None
    ) -> tuple[Tensor, Tensor]:
        network = self._network
        if linear is not None:
            network.linear = linear.until(row)
        x, _ = windows.gather(number[None])
        x = between(x) if windows.holes and not network.config.holes else x
        when = windows.when(number[None])
        points = network(x)
        if self._memory is not None:
            points = self._memory.correct(points, x, when)
        made = points[:, None] + self._intervals.quantiles(x, when, self.levels.at(row))
        came = torch.tensor(self._actual[row : row + points.shape[1]])
        self.levels.learn(row, came, in_units(made[0], self._scaler))
        return points, made
