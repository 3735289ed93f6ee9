"""What `stanhop train` says and chooses of a long table as many series."""

from typing import TYPE_CHECKING, Any

from stanhop_app.cli.options import echo, is_default

if TYPE_CHECKING:
    from stanhop_app.data.panel import Panel
    from stanhop_app.data.series import SeriesTable
    from stanhop_app.forecasting.forecaster import STanHopForecaster


def suit_series(forecaster: "STanHopForecaster", table: "SeriesTable") -> None:
    """Let split, lookback, patches, loss and batches follow the series, where nobody chose them."""
    from stanhop_app.forecasting.suited import suited_to_series
    from stanhop_app.training.folder import is_main_process

    chosen = {
        name: value
        for name, value in suited_to_series(table, forecaster.horizon).items()
        if is_default(name)
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
    flat = {n: saved[n] for n in ("split", "lookback", "loss", "batch_size") if is_default(n)}
    nested = {
        group: {**asked[group], name: saved[group][name]}
        for group, name in (("network", "patch_length"), ("training", "epoch_windows"))
        if is_default(name)
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
    describe_covariates(panel)
    left = panel.used(horizon).count(False)
    if left:
        echo(
            f"{left:,} of them are too short or too unlike their training rows to be fitted or scored: they "
            "are forecast all the same"
        )


def describe_covariates(panel: "Panel") -> None:
    """Say which covariates were read, and how far ahead they are known."""
    known = panel.covariates
    if known is None:
        return
    roles = known.roles
    parts = {"known ahead": roles.future, "past": roles.past, "static": roles.static}
    words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in parts.items() if names)
    ahead = [last - first for first, last in known.spans()]
    steps = [rows - length for rows, length in zip(ahead, panel.lengths, strict=True)]
    told = f"; known for {min(steps)} steps after the last value" if roles.future else ""
    more = f" ({max(steps)} at most)" if roles.future and max(steps) > min(steps) else ""
    echo(f"covariates, {words}{told}{more}")


def describe_effects(forecaster: "STanHopForecaster") -> None:
    """Say what the regression on covariates is worth, by validation."""
    known = forecaster.fitted_.known
    if known is None:
        return
    effects = known.effects
    if effects is None:
        if known.encoder.num_future:
            echo("covariates known ahead: no effect that validation confirms; they are left out")
        return
    named = zip(forecaster.columns_, effects.gains, strict=True)
    best = sorted(named, key=lambda pair: -pair[1])[:5]
    words = ", ".join(f"{name} {gain:.0%}" for name, gain in best)
    echo(f"covariates take away of a linear forecast's squared error on validation: {words}")


def describe_memory(forecaster: "STanHopForecaster") -> None:
    """Say what the external memory is worth, by validation."""
    memory = forecaster.fitted_.memory
    if forecaster.memory == "none":
        return
    if memory is None:
        echo("external memory: no gain that validation confirms; there is none")
        return
    echo(
        f"external memory: {len(memory.store):,} windows, known by their last {memory.kind.steps} steps"
        f"{' and the calendar' if memory.kind.calendar else ''}; takes away {memory.gain:.1%} of the squared "
        "error on validation"
    )
