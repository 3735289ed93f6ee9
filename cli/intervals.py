"""Options of stanhop forecast for what lies beside points: intervals, quantiles and sample paths."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import fractions, names
from stanhop_app.cli.options import Decorator, echo, listed

if TYPE_CHECKING:
    import pandas as pd

    from stanhop_app.forecasting.intervals.spread import Spread


def taken(options: dict[str, Any]) -> "Spread":
    """Take the options of `spread_options` out of others."""
    from stanhop_app.forecasting.intervals.spread import Spread

    return Spread(**{name: options.pop(name) for name in Spread.__dataclass_fields__})


def check(spread: "Spread", run: Path, forecaster: Any, horizon: int | None) -> None:
    """Raise for a model that tells no intervals, or not so far ahead.

    Raises:
        click.UsageError: if so.
    """
    if not spread.asked:
        return
    if spread.paths and not hasattr(forecaster, "sample"):
        raise click.UsageError(
            f"{run}: is an exported model, which draws no sample paths; name the run."
        )
    if horizon is not None and horizon != forecaster.horizon:
        raise click.UsageError(
            f"intervals are of the trained horizon, {forecaster.horizon} steps; leave --horizon out."
        )


def bands(spread: "Spread", forecaster: Any, table: Any, **which: Any) -> "dict[str, Any] | None":
    """What a plot draws around the forecast."""
    if spread.levels is None:
        return None
    bounds = {"lower": spread.lower, "upper": spread.upper}
    drawn: dict[str, Any] = forecaster.bands(table, spread.levels, **bounds, **which)
    return drawn


def predicted(spread: "Spread", forecaster: Any, table: Any, **which: Any) -> "pd.DataFrame":
    """What `Spread.predict` makes; how it was made is said."""
    echo(f"intervals by {forecaster.way}")
    return _say_empty(spread.predict(forecaster, table, **which))


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
