"""What `stanhop train` says and chooses of a long table as many series."""

from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.options import echo

if TYPE_CHECKING:
    from stanhop_app.data.panel import Panel
    from stanhop_app.data.series import SeriesTable
    from stanhop_app.forecasting.forecaster import STanHopForecaster


def suit_series(forecaster: "STanHopForecaster", table: "SeriesTable") -> None:
    """Let split, lookback, patches, loss and batches follow the series, where nobody chose them."""
    from stanhop_app.forecasting.suited import suited_to_series
    from stanhop_app.training.folder import is_main_process

    source = click.get_current_context().get_parameter_source
    chosen = {
        name: value
        for name, value in suited_to_series(table, forecaster.horizon).items()
        if source(name) == click.core.ParameterSource.DEFAULT
    }
    for name, value in chosen.items():
        if name in forecaster.get_params(deep=False):
            forecaster.set_params(**{name: value})
        else:
            group = "network" if name == "patch_length" else "training"
            forecaster.set_params(**{f"{group}__{name}": value})
    if is_main_process() and chosen:
        words = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in chosen.items())
        echo(f"many series: {words}")


def as_suited(asked: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they were asked for, with what `suit_series` made of those that nobody chose."""
    source = click.get_current_context().get_parameter_source

    def default(name: str) -> bool:
        return source(name) == click.core.ParameterSource.DEFAULT

    flat = {n: saved[n] for n in ("split", "lookback", "loss", "batch_size") if default(n)}
    nested = {
        group: {**asked[group], name: saved[group][name]}
        for group, name in (("network", "patch_length"), ("training", "epoch_windows"))
        if default(name)
    }
    return {**asked, **flat, **nested}


def describe_series(data: str, panel: "Panel", horizon: int) -> None:
    """Say what was read, and which series are forecast only."""
    lengths = [last - first for first, last in panel.spans]
    echo(
        f"{data}: {len(panel.ids):,} series of {min(lengths):,} to {max(lengths):,} rows x "
        f"{len(panel.columns)} columns, {panel.index.min()} to {panel.index.max()}, frequency "
        f"{panel.frequency}"
    )
    left = panel.used(horizon).count(False)
    if left:
        echo(
            f"{left:,} of them are too short or too unlike their training rows to be fitted or scored: they "
            "are forecast all the same"
        )
