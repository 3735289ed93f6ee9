"""stanhop benchmark DATA."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    numbers,
    read_data,
    results_option,
)


def _names(ctx: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    return str(value).split(",")


@click.command("benchmark")
@click.argument("data")
@config_option
@click.option(
    "--horizons",
    default="24,48,96,168,192,336,720",
    show_default=True,
    callback=numbers,
    help="Comma separated.",
)
@click.option(
    "--splits", default="14/5/5,etth", show_default=True, callback=_names, help="Comma separated."
)
@click.option("--lookback", default=512, show_default=True)
@click.option("--association", default="softmax1", show_default=True)
@click.option("--linear-skip/--no-linear-skip", default=True, show_default=True)
@click.option("--max-epochs", default=6, show_default=True)
@click.option("--seed", default=0, show_default=True)
@data_options
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the table.")
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
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    for metric in ("test_mse", "test_mae"):
        click.echo(f"\n{metric.replace('_', ' ')}, scaled units")
        click.echo(benchmark_table(content, metric).to_string(float_format="%.4f"))
