"""stanhop train DATA."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import Grouped, flag_names, flags
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    force_option,
    is_default,
    json_option,
    output_option,
    quiet_option,
    read_data,
    resume_option,
)

from stanhop_app.models.config import STanHopConfig
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig

if TYPE_CHECKING:
    import pandas as pd

    from stanhop_app.data.panel import Panel
    from stanhop_app.forecasting.forecaster import STanHopForecaster

FORECAST = ("horizon", "lookback", "deep_lookback", "patch_length", "linear_skip", "instance_norm")
"""Options of the network that say what is forecast from what."""
OWN = ("horizon", "lookback", "association", "clip", "gate", "linear_skip")
OWN_TRAINING = ("loss", "max_epochs", "learning_rate", "batch_size", "seed", "device")
"""Fields of the configs that are parameters of the forecaster."""
NETWORK = flag_names(STanHopConfig, but=("num_variates", *OWN))
TRAINING = flag_names(TrainingConfig, but=OWN_TRAINING)
READ = ("missing", "future_covariates", "past_covariates", "static_covariates")
"""Fields of the reading that are parameters of the forecaster."""
RUN = ("season", "outlier_steps", "novelty")
"""Fields of the config of runs that `make_run` takes."""
FIRST = (
    "horizon",
    "lookback",
    "split",
    "time_column",
    "missing",
    "max_epochs",
    "seed",
    "output",
    "resume",
    "force",
)
"""Options that help shows before all others."""


@click.command("train", cls=Grouped, first=FIRST)
@click.argument("data")
@data_options
@flags(
    RunConfig,
    only=("split", "season", "final", "memory", "calendar_features", "holidays"),
    group="Forecast",
)
@flags(STanHopConfig, only=FORECAST, group="Forecast")
@flags(STanHopConfig, but=("num_variates", *FORECAST), group="Network")
@flags(TrainingConfig, group="Training")
@output_option("Run folder. Default: runs/DATA-hHORIZON.")
@flags(RunConfig, only=("outlier_steps", "novelty", "name"), group="Output")
@config_option
@resume_option
@force_option
@quiet_option
@json_option
def command(
    data: str,
    output: Path | None,
    resume: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a forecaster on DATA and score it beside the baselines.

    DATA is a name (stanhop data list), a CSV, Parquet or Excel file, or - for standard input.

    \b
    stanhop train etth1
    stanhop train sales.csv --horizon 7 --lookback 56 --patch-length 7 --output runs/sales
    """
    from stanhop_app.runs.making import make_run
    from stanhop_app.training.folder import CHECKPOINT, check_folder, is_main_process, read_config

    by_protocol(data, options)
    output = output or Path("runs") / f"{_stem(data)}-h{options['horizon']}"
    finished = resume and (output / "config.json").exists() and not (output / CHECKPOINT).exists()
    if not finished:
        check_folder(output, read_config, resume=resume, force=force)
    _check_input(data, options["devices"] * options["num_nodes"])
    read = {name: options.pop(name) for name in READING}
    kept, called = {name: options.pop(name) for name in RUN}, options.pop("name")
    if called is not None and data != "-":
        raise click.UsageError(f"{data}: has a name; --name is for standard input.")
    forecaster = make_forecaster(options, {name: read[name] for name in READ}, quiet)
    forecaster.training_config()
    if finished:
        _check_same(output, forecaster, data)
        echo(f"{output} is finished already. Next: stanhop forecast {output}")
        return
    panel, proved = make_panel(data, read, forecaster, called)
    try:
        report = make_run(
            forecaster,
            panel,
            output,
            source={"data": data, "name": called, "options": read, "proved": proved},
            **kept,
            resume=resume,
            force=force,
        )
    except KeyboardInterrupt:
        if (output / CHECKPOINT).exists():
            echo(
                f"\ninterrupted; go on with the same command and --resume (checkpoint in {output})"
            )
        raise
    if not is_main_process():
        return
    if as_json:
        click.echo(json.dumps({"run": str(output), **report.as_json()}, indent=2))
        return
    from stanhop_app.cli.many import describe_effects, describe_memory
    from stanhop_app.cli.tables import print_report

    describe_effects(forecaster)
    describe_memory(forecaster)
    for note in forecaster.fitted_.notes:
        echo(note)
    print_report(report)
    echo(f"\nRun folder: {output}\nNext: stanhop forecast {output}")


def by_protocol(data: str, options: dict[str, Any]) -> None:
    """Horizon and split of the published protocol of a data set that has one, where nobody chose them."""
    from stanhop_app.datasets import DATASETS

    entry = None if Path(data).exists() else DATASETS.get(data)
    for name in ("horizon", "split"):
        value = getattr(entry, name, None)
        if value is not None and is_default(name):
            options[name] = value
            echo(f"{data}: --{name} {value}, as published")


def make_panel(
    data: str,
    read: dict[str, Any],
    forecaster: "STanHopForecaster",
    called: str | None = None,
) -> tuple["Panel", dict[str, Any]]:
    """The table, split, with options that suit its rows; and what it proved of how it is written."""
    from stanhop_app.cli.many import describe_series, suit_series

    from stanhop_app.data.panel import Panel
    from stanhop_app.data.series import SeriesTable, read_any
    from stanhop_app.training.folder import is_main_process

    table, data = read_data(data, read, reader=read_any, called=called), called or data
    if isinstance(table, SeriesTable) and table.id_name:
        suit_series(forecaster, table)
        panel, proved = Panel.of_series(table, forecaster.split), dict(table.proved)
    else:
        frame = table.frame if isinstance(table, SeriesTable) else table
        _split_short(forecaster, frame)
        panel, proved = Panel.of_any(table, forecaster.split), frame.attrs["reading"]
        _shorten(forecaster, panel)
    if is_main_process():
        describe_series(data, panel, forecaster.horizon) if panel.is_many else _describe(
            data, panel
        )
    return panel, proved


def _check_input(data: str, devices: int) -> None:
    if data == "-" and devices > 1:
        raise click.UsageError("several processes cannot read standard input; use a file.")


def make_forecaster(
    options: dict[str, Any], read: dict[str, Any], quiet: bool
) -> "STanHopForecaster":
    """The forecaster that the flags say, not fitted."""
    from stanhop_app.forecasting.forecaster import STanHopForecaster

    network = {name: options.pop(name) for name in NETWORK}
    training = {name: options.pop(name) for name in TRAINING}
    return STanHopForecaster(
        **options,
        **read,
        network=network,
        training=training,
        progress=False if quiet else None,
    )


def _split_short(forecaster: "STanHopForecaster", frame: "pd.DataFrame") -> None:
    """Let all rows train and validate, where a default split leaves no part a horizon long."""
    from stanhop_app.data.frame import frame_frequency
    from stanhop_app.data.frequency import season_length
    from stanhop_app.errors import DataError
    from stanhop_app.forecasting.suited import short_split
    from stanhop_app.training.folder import is_main_process

    if not is_default("split"):
        return
    rows, season = len(frame), season_length(str(frame_frequency(frame)))
    try:
        split = short_split(rows, forecaster.horizon, season, forecaster.split)
    except DataError:
        return  # so few that the error says what is needed
    if split is None:
        return
    horizon = forecaster.horizon
    forecaster.set_params(split=split)
    if is_main_process():
        echo(
            f"{rows} rows are too few to keep {horizon} of them for a test: scores are those of validation, "
            f"split {split} (--split)"
        )


def _shorten(forecaster: "STanHopForecaster", panel: "Panel") -> None:
    """Let lookback and patches follow the rows, where they are too few for a default that nobody chose."""
    from stanhop_app.data.frequency import season_length
    from stanhop_app.forecasting.suited import short_lookback, short_patches
    from stanhop_app.training.folder import is_main_process

    if not is_default("lookback"):
        return
    rows, horizon = panel.borders.train, forecaster.horizon
    season = season_length(str(panel.frequency))
    lookback = short_lookback(rows, horizon, season, forecaster.lookback)
    if lookback is None:
        return  # enough, or so few that the error says what is needed
    forecaster.set_params(lookback=lookback)
    patches = short_patches(lookback) if is_default("patch_length") else {}
    network = {**(forecaster.network or {}), **patches}
    forecaster.set_params(network=network)
    if is_main_process():
        echo(
            f"lookback {lookback}, patches of {network['patch_length']}: all that {rows} training "
            "rows allow (--lookback, --patch-length)"
        )


def _describe(data: str, panel: "Panel") -> None:
    """Say what was read."""
    from stanhop_app.cli.many import describe_covariates

    filled = "; scores include what was filled" if panel.frame.attrs["filled"] else ""
    echo(
        f"{data}: {len(panel):,} rows x {len(panel.columns)} variates, {panel.index[0]} to "
        f"{panel.index[-1]}, frequency {panel.frequency}{filled}"
    )
    describe_covariates(panel)


def _check_same(output: Path, forecaster: "STanHopForecaster", data: str) -> None:
    """Refuse to take a finished run of other options or other data for this one."""
    from stanhop_app.cli.many import as_suited

    from stanhop_app.files import to_json
    from stanhop_app.training.folder import read_config
    from stanhop_app.training.same import difference

    config = read_config(output)
    saved = {**config["parameters"], "data": (config["source"] or {}).get("data")}
    asked = json.loads(to_json({**forecaster.get_params(), "data": data}))
    if is_default("lookback") and saved["lookback"] < asked["lookback"]:
        asked |= {
            name: saved[name] for name in ("lookback", "network")
        }  # what `_shorten` made of them
    if is_default("split") and saved["split"].endswith("/0"):
        asked["split"] = saved["split"]  # what `_split_short` made of it
    if config.get("series") is not None:
        asked = as_suited(asked, saved)
    other = difference(saved, {name: asked[name] for name in saved})
    if other is not None:
        raise click.UsageError(
            f"{output}: holds a finished run of other options ({other[0]} was {other[1]}, is {other[2]}); "
            "choose another --output, or --force."
        )


def _stem(data: str) -> str:
    return "stdin" if data == "-" else Path(data).name.split(".")[0]
