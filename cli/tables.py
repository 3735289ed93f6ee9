"""How results are shown: as tables on a terminal, as one JSON object, as a page of HTML."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.options import echo

from stanhop_app.errors import shown

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from stanhop_app.runs.scoring import Report


def write_page(
    page: Path | None,
    figures: "Callable[[], Sequence[go.Figure]]",
    tables: "Mapping[str, pd.DataFrame] | None" = None,
    title: str = "",
) -> None:
    """Write tables and figures into a page, and say so.

    Args:
        page: the file; None: no page was asked for, and nothing is drawn.
        figures: draws them.
        tables: by heading.
        title: of the page.
    """
    from stanhop_app.figures.page import html_page
    from stanhop_app.files import write_text

    if page is not None:
        write_text(page, html_page(figures(), tables, title))
        echo(f"report in {page}")


def print_results(
    content: Any, tables: "Mapping[str, pd.DataFrame]", *, as_json: bool, after: str = ""
) -> None:
    """Print all results as one JSON object, or tables below their headings; a heading may be empty.

    Args:
        content: JSON values.
        tables: by heading; those without a row are left out.
        as_json: whether JSON was asked for.
        after: what is said below the tables.
    """
    from stanhop_app.files import to_json

    if as_json:
        click.echo(to_json(content, indent=2))
        return
    for heading, table in tables.items():
        if len(table):
            if heading:
                click.echo(f"\n{heading}")
            text = table.to_string(float_format="%.4f", na_rep="")
            click.echo(shown(text, longest=None))
    if after:
        click.echo(f"\n{after}")


def print_report(report: "Report", *, variates: bool = False) -> None:
    """Print the scores of every model, and of every variate if asked, to standard output."""
    rows = "" if report.borders is None else f" ({report.borders})"
    if report.overlaps:
        click.echo("This table begins before the rows of the training end.", err=True)
    if report.model == "final":
        click.echo(
            "Scored: the final model; all rows come after those that it was fitted on.", err=True
        )
    elif report.borders is None:
        click.echo("Scored: the model of the split, as another may have seen these rows.", err=True)
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
    for name, gain in report.gains.items():
        if not name.endswith(" part"):
            click.echo(
                f"STanHop-Net against {name}, squared error, {list(report.scores)[-1]}: {gain}"
            )
    if variates:
        part = list(report.scores)[-1]
        what = "variate" if report.variates.index.name == "variate" else "series"
        click.echo(f"\nSTanHop-Net per {what}, original units, {part}")
        click.echo(
            shown(report.variates.to_string(float_format="%.4g", index_names=False), longest=None)
        )
