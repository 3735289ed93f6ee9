"""stanhop data: list, fetch, describe."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    data_options,
    echo,
    force_option,
    json_option,
    output_option,
    page_option,
    read_data,
    read_source,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import write_page

from stanhop_app.errors import shown
from stanhop_app.files import to_json


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
        click.echo(f"{d.name:13} {d.rows:8,} x {d.variates}  {d.licence:13} {d.description}")


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
@page_option("plot")
@force_option
@data_options
@json_option
def describe(data: str, plot: Path | None, force: bool, as_json: bool, **options: Any) -> None:
    """Describe DATA before anything is trained: rows, frequency, every column, and what stands out.

    DATA is a name, a file or - . Duplicates, gaps and holes are listed, not refused. Standing out: values
    beyond 10 deviations, jumps of the level, stretches that do not change, numbers that mean "missing".
    """
    from stanhop_app.data.findings import find
    from stanhop_app.data.frame import read_arranged

    check_outputs(plot, force=force)
    arranged = read_source(data, options, None, read_arranged)
    for note in arranged.notes:
        echo(f"{data}: {note}")
    findings = find(arranged)
    frame, index = findings.frame, findings.frame.index
    facts = {
        "rows": len(arranged.frame),
        "variates": len(frame.columns),
        "start": str(index[0]),
        "end": str(index[-1]),
        "frequency": findings.frequency,
        "season": findings.season,
        "proved": dict(arranged.proved),
        "missing": int(frame.isna().to_numpy().sum()),
    }
    if plot is not None:
        from stanhop_app.figures.table import table_figure

        write_page(plot, lambda: [table_figure(findings, title=data)])
    if as_json:
        columns = {name: frame[name].describe().to_dict() for name in frame.columns}
        listed = [{**vars(f), "first": str(f.first)} for f in findings.listed]
        click.echo(to_json({**facts, "columns": columns, "findings": listed}, indent=2))
        return
    for name, value in facts.items():
        if name != "proved":
            click.echo(f"{name:10} {value}")
    for name, value in arranged.proved.items():
        click.echo(f"{name:10} {value} (proved by the table)")
    if findings.refused is not None:
        click.echo(f"\n{findings.refused}")
    click.echo()
    click.echo(frame.describe().T[["min", "mean", "max", "std"]].to_string(float_format="%.4g"))
    click.echo()
    for finding in findings.listed:
        click.echo(shown(f"{finding.column or 'all columns'}, {finding.first}: {finding.sentence}"))
    if not findings.listed:
        click.echo("nothing stands out")
    if data != "-" and facts["missing"] == 0 and findings.refused is None:
        echo(f"\nNext: stanhop train {data}")


@command.command("clean")
@click.argument("data")
@output_option("File that the table is written to: .csv or .parquet.", required=True)
@force_option
@data_options
def clean(data: str, output: Path, force: bool, **options: Any) -> None:
    """Write DATA as it was understood: one time column, equal steps, numbers, holes filled as you say.

    \b
    stanhop data clean sales.csv -o clean.csv --missing sales=zero,price=ffill
    """
    from stanhop_app.data.series import SeriesTable, read_any
    from stanhop_app.files import write_atomic
    from stanhop_app.runs.encoding import encode

    check_outputs(output, force=force)
    kind = output.suffix.lstrip(".")
    if kind not in ("csv", "parquet"):
        raise click.UsageError(f"{output}: ends in none of csv, parquet.")
    table = read_data(data, options, reader=read_any)
    frame = table.long() if isinstance(table, SeriesTable) else table
    content = encode(frame, kind)
    write_atomic(output, lambda file: file.write_bytes(content))
    echo(f"{len(frame):,} rows x {len(frame.columns)} columns written to {output}")
