"""stanhop theory: what the papers say of associative memories, computed."""

import json
from pathlib import Path

import click
from stanhop_app.cli import theory_runs, theory_sweeps
from stanhop_app.cli.options import (
    config_option,
    force_option,
    json_option,
    page_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import write_page


@click.group("theory")
def command() -> None:
    """Compute what the papers say of associative memories, and set it beside what is measured."""


for sub in (*theory_sweeps.COMMANDS, *theory_runs.COMMANDS):
    command.add_command(sub)


@command.command("energy")
@config_option
@click.option(
    "--patterns",
    help='Patterns that are stored, as "-2,-0.5 0.2,-0.3 1.5,1.5". Default: those of the paper.',
)
@click.option("--beta", default=1.0, show_default=True, help="Inverse temperature of retrieval.")
@page_option()
@force_option
@json_option
def energy(
    patterns: str | None, beta: float, report: Path | None, force: bool, as_json: bool
) -> None:
    """Draw the energies of patterns over a plane and count their minima.

    \b
    stanhop theory energy --report energy.html
    """
    from stanhop_app.figures.landscape import landscape_figure
    from stanhop_app.theory.energy import ENERGIES
    from stanhop_app.theory.landscape import landscape, parse_patterns

    check_outputs(report, force=force)
    points = parse_patterns(patterns or "-2,-0.5 0.2,-0.3 1.5,1.5")
    landscapes = [landscape(points, name, beta=beta) for name in ENERGIES]
    title = f"Energies of {len(points)} patterns; edges of basins in white"
    write_page(report, lambda: [landscape_figure(landscapes, title=title)], title="Energies")
    if as_json:
        minima = {one.energy: one.minima.tolist() for one in landscapes}
        basins = {one.energy: one.shares for one in landscapes}
        click.echo(
            json.dumps(
                {
                    "beta": beta,
                    "patterns": points.tolist(),
                    "minima": minima,
                    "basins": basins,
                },
                indent=2,
            )
        )
        return
    for one in landscapes:
        click.echo(one.title)
        for (x, y), share in zip(one.minima.tolist(), one.shares, strict=True):
            click.echo(f"  ({x:.4f}, {y:.4f}) attracts {100 * share:.1f}% of the plane drawn")
