"""stanhop data: list, fetch, describe."""

import json
from typing import Any

import click
from stanhop_app.cli.options import data_options, echo, json_option, read_data


@click.group("data")
def command() -> None:
    """List, fetch and describe data."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the data sets that have a name."""
    from stanhop_app.datasets import DATASETS

    if as_json:
        named = {
            d.name: {
                "description": d.description,
                "rows": d.rows,
                "variates": d.variates,
                "licence": d.licence,
            }
            for d in DATASETS.values()
        }
        click.echo(json.dumps(named, indent=2))
        return
    for d in DATASETS.values():
        click.echo(f"{d.name:8} {d.rows:6,} x {d.variates}  {d.licence:13} {d.description}")


@command.command("fetch")
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch data set NAME, verify it, and print its path."""
    from stanhop_app.datasets import DATASETS

    if name not in DATASETS:
        raise click.UsageError(f"unknown data set {name!r}; choose one of: {', '.join(DATASETS)}.")
    click.echo(DATASETS[name].locate())


@command.command("describe")
@click.argument("data")
@data_options
@json_option
def describe(data: str, as_json: bool, **options: Any) -> None:
    """Describe DATA: rows, span, frequency, and every column. DATA is a name, a file or - ."""
    from stanhop_app.data.frame import frame_frequency
    from stanhop_app.data.frequency import season_length

    frame = read_data(data, options)
    index = frame.index
    facts = {
        "rows": len(frame),
        "variates": len(frame.columns),
        "start": str(index[0]),
        "end": str(index[-1]),
        "frequency": frame_frequency(frame),
        "season": season_length(str(frame_frequency(frame))),
    }
    if as_json:
        columns = {name: frame[name].describe().to_dict() for name in frame.columns}
        click.echo(json.dumps({**facts, "columns": columns}, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name:10} {value}")
    click.echo()
    click.echo(frame.describe().T[["min", "mean", "max", "std"]].to_string(float_format="%.4g"))
    if data != "-" and all(value in (None, "error") for value in options.values()):
        echo(f"\nNext: stanhop train {data}")
