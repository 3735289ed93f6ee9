"""Options of stanhop forecast for what lies beside points: intervals, quantiles and sample paths."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import fractions, names
from stanhop_app.cli.options import Decorator, echo, listed

if TYPE_CHECKING:
    import pandas as pd


DEFAULT_LEVELS = (80.0, 95.0)
"""Coverages of the intervals of sums, where none are named."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What was asked for beside points; at most one of the first three, sums with the first or alone."""

    levels: list[float] | None
    quantiles: list[float] | None
    samples: int | None
    aggregate: list[str] | None
    seed: int
    lower: float | None
    upper: float | None

    @property
    def asked(self) -> bool:
        """Whether anything was."""
        kinds = (self.levels, self.quantiles, self.samples, self.aggregate)
        return any(kind is not None for kind in kinds)

    @classmethod
    def taken(cls, options: dict[str, Any]) -> "Spread":
        """Take the options of `spread_options` out of others.

        Raises:
            click.UsageError: if they do not go together.
        """
        spread = cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})
        kinds = [spread.levels, spread.quantiles, spread.samples]
        if sum(kind is not None for kind in kinds) > 1:
            raise click.UsageError("give one of --levels, --quantiles and --samples.")
        if spread.aggregate is not None and (spread.quantiles or spread.samples is not None):
            raise click.UsageError("--aggregate goes with --levels; leave the others out.")
        if not spread.asked and (spread.lower is not None or spread.upper is not None):
            raise click.UsageError("--lower and --upper bound intervals; give --levels, too.")
        return spread

    def check(self, run: Path, forecaster: Any, horizon: int | None) -> None:
        """Raise for a model that tells no intervals, or not so far ahead.

        Raises:
            click.UsageError: if so.
        """
        if not self.asked:
            return
        paths = self.samples is not None or self.aggregate is not None
        if paths and not hasattr(forecaster, "sample"):
            raise click.UsageError(
                f"{run}: is an exported model, which draws no sample paths; name the run."
            )
        if horizon is not None and horizon != forecaster.horizon:
            raise click.UsageError(
                f"intervals are of the trained horizon, {forecaster.horizon} steps; leave --horizon out."
            )

    def bands(self, forecaster: Any, table: Any, **which: Any) -> "dict[str, Any] | None":
        """What a plot draws around the forecast."""
        if self.levels is None:
            return None
        return forecaster.bands(table, self.levels, lower=self.lower, upper=self.upper, **which)

    def predict(self, forecaster: Any, table: Any, **which: Any) -> "pd.DataFrame":
        """The forecast with intervals, as quantiles, or as paths, its columns flat."""
        echo(f"intervals by {forecaster.way}")
        bounds = {"lower": self.lower, "upper": self.upper, **which}
        if self.aggregate is not None:
            levels = self.levels or DEFAULT_LEVELS
            return forecaster.predict_total(table, self.aggregate, levels, seed=self.seed, **bounds)
        if self.samples is not None:
            paths = forecaster.sample(table, self.samples, seed=self.seed, **bounds)
            return paths.reset_index()
        if self.levels is not None:
            made = forecaster.predict_interval(table, self.levels, **bounds)
            return _say_empty(made)
        made = _say_empty(forecaster.predict_quantiles(table, self.quantiles, **bounds))
        made = made.set_axis([f"{name}-ql{level:.10g}" for name, level in made.columns], axis=1)
        return made.reset_index() if made.index.nlevels > 1 else made


def _say_empty(made: "pd.DataFrame") -> "pd.DataFrame":
    """Say how many rows have no intervals (`stanhop_app.forecasting.intervals.predicting`)."""
    empty = int(made.isna().any(axis=1).sum())
    if empty:
        echo(
            f"{empty:,} rows have no intervals: their series end before any past forecast is known to have "
            "missed something"
        )
    return made


def spread_options(command: Any) -> Any:
    """--levels, --quantiles, --samples, --aggregate, --seed, --lower, --upper."""
    decorators: list[Decorator[Any]] = [
        listed(
            "levels",
            "Also central intervals of these coverages in percent: 80,95. Columns such as OT-lo-80.",
            kind=fractions,
        ),
        listed("quantiles", "Quantiles instead of points: 0.1,0.5,0.9.", kind=fractions),
        click.option("--samples", type=int, help="Sample paths instead of points: so many."),
        listed(
            "aggregate",
            "Sums with intervals instead: over steps, or a span such as D or W; variates; series.",
            kind=names,
        ),
        click.option("--seed", default=0, show_default=True, help="Seed of the sample paths."),
        click.option("--lower", type=float, help="What no value is below, such as 0 of sales."),
        click.option("--upper", type=float, help="What no value is above."),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
