"""stanhop memory: the external memory of a run."""

from pathlib import Path

import click
from stanhop_app.cli.options import echo, json_option


@click.group("memory")
def command() -> None:
    """Add, tell and bound the external memory of a run."""


@command.command("add")
@click.argument("run", type=click.Path(path_type=Path))
def add(run: Path) -> None:
    """Give RUN an external memory of the rows that it keeps, if validation finds one that helps.

    Nothing is trained. What was missed of past windows corrects forecasts of windows like them.

    \b
    stanhop memory add runs/etth1-h24
    """
    from stanhop_app.runs.remembering import add_memory

    memory = add_memory(run)
    if memory is None:
        echo(f"{run}: no gain that validation confirms; the run is as it was")
        return
    echo(
        f"{run}: {len(memory.store):,} windows; {memory.gain:.1%} of the squared error out of fold\n"
        f"Next: stanhop evaluate {run}, which scores it with and without"
    )


@command.command("info")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def info(run: Path, as_json: bool) -> None:
    """Say what the external memory of RUN holds, and how it is read.

    \b
    stanhop memory info runs/etth1-h24
    """
    from stanhop_app.files import to_json
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.remembering import facts, memory_of

    fitted = STanHopForecaster.load(run).fitted_
    told = facts(fitted, memory_of(fitted, run))
    if as_json:
        click.echo(to_json({"run": str(run), **told}, indent=2))
        return
    for name, value in told.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{name.replace('_', ' '):32}{shown}")


@command.command("prune")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--windows", type=click.IntRange(1, 10**9), required=True, help="Newest windows that stay."
)
def prune(run: Path, windows: int) -> None:
    """Keep the newest windows of the external memory of RUN.

    \b
    stanhop memory prune runs/etth1-h24 --windows 5000
    """
    from stanhop_app.runs.remembering import prune_memory

    memory = prune_memory(run, windows)
    echo(f"{run}: {len(memory.store):,} windows")
