"""Reports of stanhop theory on a trained run: memorization and trace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    config_option,
    force_option,
    json_option,
    page_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import write_page


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """RUN, DATA, and what both reports are told alike."""
    for decorate in (
        json_option,
        force_option,
        page_option(),
        click.option("--seed", default=0, show_default=True, help="Seed of noise and bootstrap."),
        click.option(
            "--most", default=500, show_default=True, help="Largest number of samples of each part."
        ),
        config_option,
        click.argument("data", required=False),
        click.argument("run", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@click.command("memorization")
@run_options
def memorization(
    run: Path,
    data: str | None,
    most: int,
    seed: int,
    report: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Say whether the network of RUN, a forecaster or one of the suite, has memorised its training part.

    Training samples against test samples by loss, and by distance and energy of activations; beside them the
    same numbers for the inputs, an untrained network and Gaussian numbers. DATA is the table or text
    of the training; it may be left out if that has a name.

    \b
    stanhop theory memorization runs/etth1-h24 --report memorization.html
    """
    from stanhop_app.figures.theory import distance_figure, loss_figure
    from stanhop_app.files import to_json

    check_outputs(report, force=force)
    result = _memorization(run, data, most, seed)
    write_page(
        report,
        lambda: [distance_figure(result), loss_figure(result)],
        {result.verdict: result.table()},
        f"Memorisation: {run}",
    )
    if as_json:
        click.echo(to_json(result.as_json(), indent=2))
        return
    click.echo(result.table().to_string(float_format="%.4f"))
    click.echo(f"\n{result.verdict}")


@click.command("trace")
@run_options
def trace(
    run: Path,
    data: str | None,
    most: int,
    seed: int,
    report: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Follow the energy of windows through the layers of RUN, a forecaster.

    Training windows, test windows, and training windows with noise as large as they are, against training
    windows' activations at every layer. DATA is the table of the training; it may be left out if that has a
    name.

    \b
    stanhop theory trace runs/etth1-h24 --report trace.html
    """
    from stanhop_app.figures.theory import trace_figures
    from stanhop_app.files import to_json
    from stanhop_app.runs.memorization import run_trace

    check_outputs(report, force=force)
    result = run_trace(_opened(run, data, "theory trace"), most=most, seed=seed)
    tables = {result.TITLE: result.table(), result.MOVES: result.moves()}
    write_page(report, lambda: trace_figures(result, title=str(run)), tables, f"Energies of {run}")
    if as_json:
        medians, moves = (
            table.astype(object).where(table.notna(), None).to_dict() for table in tables.values()
        )
        click.echo(to_json({"run": str(run), "medians": medians, "moves": moves}, indent=2))
        return
    for title, table in tables.items():
        click.echo(f"{title}\n{table.to_string(float_format='%.3f')}\n")


def _memorization(run: Path, data: str | None, most: int, seed: int) -> Any:
    """The report of a run of either kind."""
    from stanhop_app.suite.folder import is_suite_run

    if is_suite_run(run):
        from stanhop_app.suite.memorization import suite_memorization
        from stanhop_app.suite.run import load_run, run_corpus

        opened = load_run(run)
        return suite_memorization(opened, run_corpus(opened, data), most=most, seed=seed)
    from stanhop_app.runs.memorization import run_memorization

    return run_memorization(_opened(run, data, "theory memorization"), most=most, seed=seed)


def _opened(run: Path, data: str | None, command: str) -> Any:
    """A run and the table that it was trained on, which is read as it was then, or as without options."""
    from dataclasses import asdict

    from stanhop_app.cli.options import open_run

    from stanhop_app.data.reading import ReadingConfig

    return open_run(run, data, asdict(ReadingConfig()), command)


@click.command("memory")
@click.argument("run", type=click.Path(path_type=Path))
@config_option
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
@page_option()
@force_option
@json_option
def memory(run: Path, seed: int, report: Path | None, force: bool, as_json: bool) -> None:
    """Say how many windows the external memory of RUN holds before its retrieval blurs.

    On a growing part of the store: the share of the weights that a stored window has of itself, beside the
    bound of the theory, and whether it is recalled through noise. Below that, energy and errors of later
    windows by how new they were.

    \b
    stanhop theory memory runs/etth1-h24 --report blur.html
    """
    from stanhop_app.figures.theory import blur_figures
    from stanhop_app.files import to_json
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.blur import blur
    from stanhop_app.runs.remembering import memory_of

    check_outputs(report, force=force)
    told = blur(memory_of(STanHopForecaster.load(run).fitted_, run), seed=seed)
    tables = {
        f"By windows stored; beta times the typical squared distance is {told.beta:g}": told.sizes,
        "Windows behind the training rows, by how new they were": told.novelty,
    }
    write_page(
        report,
        lambda: blur_figures(told.sizes, told.novelty, title=str(run)),
        tables,
        f"Memory of {run}",
    )
    if as_json:
        sizes, novelty = (
            table.astype(object).where(table.notna(), None).to_dict("index")
            for table in (told.sizes, told.novelty)
        )
        content = {"run": str(run), "beta": told.beta, "sizes": sizes, "novelty": novelty}
        click.echo(to_json({**content, "verdict": told.verdict}, indent=2))
        return
    for title, table in tables.items():
        none = "no training window is stored, by which it could be told"
        click.echo(f"{title}\n{table.to_string(float_format='%.3f') if len(table) else none}\n")
    click.echo(told.verdict)


@click.command("sparsity")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@click.option("--most", default=256, show_default=True, help="Largest number of test windows.")
@page_option()
@force_option
@json_option
def sparsity(
    run: Path, data: str | None, most: int, report: Path | None, force: bool, as_json: bool
) -> None:
    """Say how much every retrieval of RUN reads, level by level, and the alphas that it has learned.

    A run of `stanhop train --association entmax` has learned them, by every head. DATA is the table of the
    training; it may be left out if that has a name.

    \b
    stanhop theory sparsity runs/etth1-h24 --report sparsity.html
    """
    from stanhop_app.figures.sparsity import sparsity_figure
    from stanhop_app.files import to_json
    from stanhop_app.runs.sparsity import run_sparsity

    check_outputs(report, force=force)
    if most < 1:
        raise click.UsageError(f"--most must be at least 1, got {most}.")
    opened = _opened(run, data, "theory sparsity")
    result = run_sparsity(opened, most=most)
    write_page(
        report,
        lambda: [sparsity_figure(result.table, title=str(run))],
        {result.verdict: result.table},
        f"Sparsity of {run}",
    )
    if as_json:
        layers = result.table.to_dict("index")
        click.echo(
            to_json({"run": str(run), "layers": layers, "verdict": result.verdict}, indent=2)
        )
        return
    click.echo(result.table.to_string(float_format="%.3f"))
    click.echo(f"\n{result.verdict}")


COMMANDS = (memorization, trace, memory, sparsity)
