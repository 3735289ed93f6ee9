"""What a forecast is asked for beside points: intervals, quantiles, sample paths or sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stanhop_app.errors import OptionError
from stanhop_app.forecasting.intervals.aggregate import check_spans
from stanhop_app.forecasting.intervals.levels import (
    check_bounds,
    check_quantiles,
    check_samples,
    levels_of,
)

DEFAULT_LEVELS = (80.0, 95.0)
"""Coverages of the intervals of sums, where none are named."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What was asked for beside points; at most one of the first three, sums with the first or alone."""

    levels: Sequence[float] | None = None
    quantiles: Sequence[float] | None = None
    samples: int | None = None
    aggregate: Sequence[str] | None = None
    seed: int = 0
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if sum(kind is not None for kind in (self.levels, self.quantiles, self.samples)) > 1:
            raise OptionError(
                "give one of levels, quantiles and samples (--levels, --quantiles, --samples)."
            )
        if self.aggregate is not None and (self.quantiles or self.samples is not None):
            raise OptionError("aggregate (--aggregate) goes with levels; leave the others out.")
        if not self.asked and (self.lower is not None or self.upper is not None):
            raise OptionError(
                "lower and upper (--lower, --upper) bound intervals; give levels (--levels), too."
            )
        check_bounds(self.lower, self.upper)
        if self.levels is not None:
            levels_of(self.levels)
        if self.quantiles is not None:
            check_quantiles(self.quantiles)
        if self.samples is not None:
            check_samples(self.samples)
        if self.aggregate is not None:
            check_spans(self.aggregate)

    @property
    def asked(self) -> bool:
        """Whether anything was."""
        kinds = (self.levels, self.quantiles, self.samples, self.aggregate)
        return any(kind is not None for kind in kinds)

    @property
    def paths(self) -> bool:
        """Whether sample paths are drawn for it."""
        return self.samples is not None or self.aggregate is not None

    def predict(self, forecaster: Any, table: Any, **which: Any) -> pd.DataFrame:
        """The forecast with intervals, as quantiles, or as paths, its columns flat.

        Args:
            forecaster: anything with `stanhop_app.forecasting.intervals.predicting.Probabilistic`'s methods.
            table: history, as of its ``predict``.
            **which: ``ids`` and ``future``, as of its ``predict``.
        """
        bounds = {"lower": self.lower, "upper": self.upper, **which}
        if self.aggregate is not None:
            levels = self.levels or DEFAULT_LEVELS
            total: pd.DataFrame = forecaster.predict_total(
                table, self.aggregate, levels, seed=self.seed, **bounds
            )
            return total
        if self.samples is not None:
            paths: pd.DataFrame = forecaster.sample(table, self.samples, seed=self.seed, **bounds)
            return paths.reset_index()
        if self.levels is not None:
            interval: pd.DataFrame = forecaster.predict_interval(table, self.levels, **bounds)
            return interval
        made: pd.DataFrame = forecaster.predict_quantiles(table, self.quantiles, **bounds)
        pairs: list[Any] = list(made.columns)
        made = made.set_axis([f"{name}-ql{level:.10g}" for name, level in pairs], axis=1)
        return made.reset_index() if made.index.nlevels > 1 else made
