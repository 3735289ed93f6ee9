"""stanhop benchmark DATA."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags, names
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    json_option,
    listed,
    read_data,
    results_option,
)
from stanhop_app.cli.tables import print_results

from stanhop_app.models.config import STanHopConfig
from stanhop_app.training.config import TrainingConfig


@click.command("benchmark")
@click.argument("data")
@config_option
@listed("horizons", "Time steps forecast, comma separated.", "24,48,96,168,192,336,720")
@listed("splits", "Splits A/B/C or etth, comma separated.", "14/5/5,etth", kind=names)
@flags(STanHopConfig, only=("lookback", "association", "linear_skip"))
@flags(TrainingConfig, only=("max_epochs", "seed"))
@data_options
@results_option
@json_option
def command(
    data: str,
    horizons: list[int],
    splits: list[str],
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train and score every horizon and split on DATA; interrupt and run again to go on.

    \b
    stanhop benchmark etth1 --output benchmark.json
    """
    from stanhop_app.studies.benchmark import benchmark_table, run_benchmark

    frame = read_data(data, {name: options.pop(name) for name in READING})
    content = run_benchmark(
        frame, horizons=horizons, splits=splits, options=options, results=output, say=echo
    )
    tables = {
        f"{metric.replace('_', ' ')}, scaled units": benchmark_table(content, metric)
        for metric in ("test_mse", "test_mae")
    }
    print_results(content, tables, as_json=as_json)
