"""How reports look on a terminal."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stanhop_app.runs.scoring import Report


def print_report(report: "Report", *, variates: bool = False) -> None:
    """Print the scores of every model, and of every variate if asked, to standard output."""
    rows = "" if report.borders is None else f" ({report.borders})"
    if report.overlaps:
        click.echo("This table begins before the rows of the training end.", err=True)
    if report.warning is not None:
        click.echo(f"Warning: {report.warning}", err=True)
    windows = ", ".join(
        f"{next(iter(of_part.values())).windows:,} {part} windows"
        for part, of_part in report.scores.items()
    )
    click.echo(f"\nSplit {report.split}{rows}; {windows}; scaled units")
    table = report.table
    header = [part.replace("_", " ") for part in table.columns]
    click.echo(
        f"{'':16}"
        + "".join(f"{name.replace('mse', 'MSE').replace('mae', 'MAE'):>16}" for name in header)
    )
    for name, row in table.iterrows():
        label = f"  {name}" if str(name).endswith(" part") else str(name)
        click.echo(f"{label:16}" + "".join(f"{value:16.4f}" for value in row))
    if variates:
        part = list(report.scores)[-1]
        click.echo(f"\nSTanHop-Net per variate, original units, {part}")
        click.echo(report.variates.to_string(float_format="%.4g", index_names=False))
