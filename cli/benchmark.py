"""stanhop benchmark DATA."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import flags, names
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    is_default,
    json_option,
    listed,
    read_data,
    results_option,
)
from stanhop_app.cli.tables import print_results

from stanhop_app.models.config import STanHopConfig
from stanhop_app.training.config import TrainingConfig

if TYPE_CHECKING:
    from stanhop_app.data.series import SeriesTable


@click.command("benchmark")
@click.argument("data")
@config_option
@listed(
    "horizons",
    "Time steps forecast, comma separated; of M4 by default those of the competition.",
    "24,48,96,168,192,336,720",
)
@listed(
    "splits",
    "Splits A/B/C or etth, comma separated; of many series the last horizon is the test.",
    "14/5/5,etth",
    kind=names,
)
@listed("seeds", "Seeds, comma separated, of a table of many series. Default: that of --seed.")
@flags(STanHopConfig, only=("lookback", "association", "linear_skip"))
@flags(TrainingConfig, only=("max_epochs", "seed"))
@data_options
@results_option
@json_option
def command(
    data: str,
    horizons: list[int],
    splits: list[str],
    seeds: list[int] | None,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train and score every horizon and split on DATA; interrupt and run again to go on.

    \b
    stanhop benchmark etth1 --output benchmark.json
    stanhop benchmark m4-hourly --output hourly.json
    """
    from stanhop_app.data.series import SeriesTable, read_any
    from stanhop_app.studies.benchmark import benchmark_table, run_benchmark

    frame = read_data(data, {name: options.pop(name) for name in READING}, reader=read_any)
    if isinstance(frame, SeriesTable):
        if not frame.id_name:
            raise click.UsageError(
                "a benchmark is of a wide table without covariates, or of many series; leave the covariates "
                "out."
            )
        _competition(data, frame, horizons, seeds, options, output, as_json)
        return
    if seeds is not None:
        raise click.UsageError("--seeds is for a table of many series; say --seed.")
    content = run_benchmark(
        frame, horizons=horizons, splits=splits, options=options, results=output, say=echo
    )
    tables = {
        f"{metric.replace('_', ' ')}, scaled units": benchmark_table(content, metric)
        for metric in ("test_mse", "test_mae")
    }
    print_results(content, tables, as_json=as_json)


def _competition(
    data: str,
    table: "SeriesTable",
    horizons: list[int],
    seeds: list[int] | None,
    options: dict[str, Any],
    output: Path,
    as_json: bool,
) -> None:
    """Many series: what a competition asks for, or these horizons."""
    from stanhop_app.datasets import DATASETS

    from stanhop_app.data.frequency import season_length
    from stanhop_app.studies.competition import competition_table, run_competition

    entry = None if Path(data).exists() else DATASETS.get(data)
    if not is_default("splits"):
        raise click.UsageError("of many series the last horizon is the test; leave --splits out.")
    if is_default("horizons"):
        if entry is None or entry.horizon is None:
            raise click.UsageError("say how many steps of each series are held out: --horizons 14")
        horizons = [entry.horizon]
    seed = options.pop("seed")
    own = {name: value for name, value in options.items() if not is_default(name)}
    content = run_competition(
        table,
        horizons=horizons,
        seeds=[seed] if seeds is None else seeds,
        season=(entry and entry.season) or season_length(table.frequency),
        # Published at the competition's horizon: it says nothing of another.
        naive2=None if entry is None or horizons != [entry.horizon] else entry.naive2,
        options=own,
        results=output,
        say=echo,
    )
    heading = "means over the series"
    print_results(content, {heading: competition_table(content)}, as_json=as_json)
