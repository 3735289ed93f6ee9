"""Where stanhop forecast writes: standard output, a file, or a table of a database."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.options import echo

from stanhop_app.data.addresses import check_scheme, is_database, split_table

if TYPE_CHECKING:
    import pandas as pd

    from stanhop_app.forecasting.intervals.spread import Spread

FORMATS, DATABASE = ("csv", "parquet", "json"), "database"
"""Formats of files, and what stands for none."""


def check_outputs(*files: Path | None, force: bool, results: Path | None = None) -> None:
    """Refuse files that exist, unless forced, folders that do not, one name twice, and files of a run.

    Args:
        *files: that a command writes; None: not asked for.
        force: whether they may be there.
        results: of a study, which goes on in them.
    """
    from stanhop_app.training.folder import is_of_a_run

    named = [file for file in (results, *files) if file is not None]
    for number, file in enumerate(named):
        if file.exists() and not force and file is not results:
            raise click.UsageError(f"{file}: exists; choose another name, or --force.")
        if not file.parent.is_dir():
            raise click.UsageError(f"{file}: the folder {file.parent} does not exist.")
        if file.resolve() in (other.resolve() for other in named[:number]):
            raise click.UsageError(f"{file}: is named for two outputs; choose another name.")
        if file.is_file() and (file.parent / "config.json").is_file() and is_of_a_run(file):
            raise click.UsageError(f"{file}: is part of a run; choose another name.")


def written_to(
    output: str | None, format_: str | None, spread: "Spread"
) -> tuple[Path | None, str]:
    """The file that a forecast is written to, and its format; no file if it is a database."""
    if output is not None and is_database(output):
        place, named = split_table(output)
        if not named:
            raise click.UsageError(f"{place}: say the table after #, as {place}#forecasts.")
        if format_ is not None:
            raise click.UsageError("--format is of a file; leave it out.")
        if spread.quantiles is not None or spread.paths:
            raise click.UsageError(
                "a database takes points and --levels; write all else to a file."
            )
        return None, DATABASE
    check_scheme(output or "")
    file = None if output is None else Path(output)
    ending = file.suffix.lstrip(".") if file is not None else "csv"
    if format_ is None and ending not in FORMATS:
        raise click.UsageError(f"{output}: ends in none of {', '.join(FORMATS)}; give --format.")
    return file, format_ or ending


def write(prediction: "pd.DataFrame", kind: str, output: Path | None) -> None:
    """Write a forecast to a file or to standard output."""
    from stanhop_app.files import write_atomic
    from stanhop_app.runs.encoding import encode

    content = encode(prediction, kind)
    if output is None:
        click.echo(content, nl=False)
        return
    write_atomic(output, lambda file: file.write_bytes(content))
    echo(f"{len(prediction):,} rows written to {output}")


def record(
    run: Path, forecaster: Any, table: Any, prediction: "pd.DataFrame", address: str
) -> None:
    """Write a forecast into a table of a database, where the same one again changes nothing."""
    from stanhop_app.runs.forecast_rows import forecast_rows, write_rows

    outlook = forecaster.outlook_
    if outlook.series is not None:
        history = outlook.kept() if table is None else table
        ends = [last - 1 for _, last in history.spans()]
        cutoffs = dict(zip(history.ids, history.frame.index[ends], strict=True))
    else:
        rows = forecaster.context_ if table is None else getattr(table, "frame", table)
        cutoffs = {"": rows.index[-1]}
    made = forecast_rows(prediction, list(forecaster.columns_), cutoffs, run.resolve().name)
    there = write_rows(made, address)
    echo(f"{len(made):,} rows written to {address}" + (f", {there:,} replaced" if there else ""))
