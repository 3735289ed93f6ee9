"""Experiments of stanhop theory that need no run: memories, convergence, scaling and bound."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags, names
from stanhop_app.cli.options import (
    config_option,
    echo,
    force_option,
    json_option,
    listed,
    output_option,
    page_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import print_results, write_page

from stanhop_app.studies.config import (
    ConvergenceExperiment,
    MemoryExperiment,
    ScalingExperiment,
    StorageExperiment,
)
from stanhop_app.studies.sizes import BETAS, DIMS, IMAGES, LEVELS, PATTERNS, REPEATS, TEXT, WIDTHS

Command = Callable[..., Any]


def outputs(command: Command) -> Command:
    """Options that every experiment has: how much of it, and where the results go."""
    for option in (
        json_option,
        force_option,
        page_option(),
        output_option("JSON file; cells that it has are not made again. Default: nothing is kept."),
        click.option(
            "--full", is_flag=True, help="Run at full size, which takes far more than two minutes."
        ),
    ):
        command = option(command)
    return command


memory_options = flags(MemoryExperiment, but=("repeats",))
"""Options of the experiments on memories that nothing is learned in."""


stored_option = click.option(
    "--stored", default=100, show_default=True, help="Number of patterns that are stored."
)


@click.command("capacity")
@config_option
@memory_options
@outputs
def capacity(**options: Any) -> None:
    """Share of half-masked patterns retrieved against the number stored, for five memories.

    \b
    stanhop theory capacity --full --output capacity.json --report capacity.html
    """
    _memories("capacity", PATTERNS, **options)


@click.command("noise")
@config_option
@stored_option
@memory_options
@outputs
def noise(**options: Any) -> None:
    """Share of noisy patterns retrieved against the norm of the noise, for five memories.

    \b
    stanhop theory noise --data photo-patches --report noise.html
    """
    _memories("noise", LEVELS, **options)


@click.command("temperature")
@config_option
@stored_option
@flags(MemoryExperiment, but=("repeats", "beta"))
@outputs
def temperature(**options: Any) -> None:
    """Share of half-masked patterns retrieved against the inverse temperature beta, for five memories.

    \b
    stanhop theory temperature --data mnist-5k --stored 1500 --full --report temperature.html
    """
    _memories("temperature", BETAS, **options)


@click.command("storage")
@config_option
@flags(StorageExperiment, but=("repeats", "largest"))
@outputs
def storage(scale: float, beta: float, share: float, full: bool, **where: Any) -> None:
    """How many random patterns are stored against their dimension: sure, published, and measured.

    With --full about four minutes on one core.

    \b
    stanhop theory storage --report storage.html
    """
    from stanhop_app.studies.storage import run_storage

    experiment = StorageExperiment(scale=scale, beta=beta, share=share)
    dims = DIMS["full" if full else "quick"]
    _study(lambda results: run_storage(dims, experiment, results=results, say=echo), **where)


@click.command("convergence")
@config_option
@flags(ConvergenceExperiment, only=("data", "max_steps"))
@listed("associations", "Associations, comma separated.", "softmax,softmax1,sparsemax", kind=names)
@listed("sizes", "Numbers of images to learn from, as 100,1000. Default: by size.")
@listed("seeds", "Seeds of the networks, as 0,1,2. Default: by size.")
@click.option(
    "--dim",
    type=int,
    help="Width; hidden layers are twice as wide. Default: by size.",
)
@outputs
def convergence(
    data: str,
    associations: list[str],
    sizes: list[int] | None,
    seeds: list[int] | None,
    dim: int | None,
    max_steps: int,
    full: bool,
    **where: Any,
) -> None:
    """How fast a small ViT learns under each association, and its error against the images it learns from.

    With --full about 50 minutes on one core.

    \b
    stanhop theory convergence --output convergence.json --report convergence.html
    """
    from stanhop_app.studies.convergence import compare_convergence

    usual = IMAGES["full" if full else "quick"]
    width = usual[2] if dim is None else dim
    experiment = ConvergenceExperiment(
        data=data, dim=width, hidden_dim=2 * width, max_steps=max_steps
    )
    _study(
        lambda results: compare_convergence(
            associations,
            sizes or usual[0],
            seeds or usual[1],
            experiment,
            results=results,
            say=echo,
        ),
        **where,
    )


@click.command("scaling")
@config_option
@outputs
def scaling(full: bool, **where: Any) -> None:
    """How many random labels networks of several widths learn by heart, and the exponent of N against D.

    With --full about an hour on one core.

    \b
    stanhop theory scaling --output scaling.json --report scaling.html
    """
    from stanhop_app.studies.scaling import sweep

    dims, seeds, steps = WIDTHS["full" if full else "quick"]
    experiment = ScalingExperiment(max_steps=steps)
    _study(lambda results: sweep(dims, seeds, experiment, results=results, say=echo), **where)


@click.command("bound")
@config_option
@click.option("--data", default="python-docs", show_default=True, help="A text by name or path.")
@outputs
def bound(data: str, full: bool, **where: Any) -> None:
    """Overfit a small OPT and set its loss beside "the cross-entropy is at least 1".

    \b
    stanhop theory bound --report bound.html
    """
    from stanhop_app.studies.bound import run_bound

    characters, steps = TEXT["full" if full else "quick"]
    _study(
        lambda results: run_bound(data, characters, steps, results=results, say=echo),
        **where,
    )


COMMANDS = (capacity, noise, temperature, storage, convergence, scaling, bound)


def _memories(
    kind: str,
    values: dict[str, tuple[int, ...]],
    *,
    data: str,
    steps: int,
    full: bool,
    stored: int = 100,
    beta: float = MemoryExperiment.beta,
    **where: Any,
) -> None:
    from stanhop_app.studies.capacity import run_experiment

    size = "full" if full else "quick"
    experiment = MemoryExperiment(data=data, beta=beta, steps=steps, repeats=REPEATS[size])
    _study(
        lambda results: run_experiment(
            kind, experiment, values[size], results=results, stored=stored, say=echo
        ),
        **where,
    )


def _study(
    make: Callable[[Path | None], dict[str, Any]],
    *,
    output: Path | None,
    report: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make or complete the results of an experiment, and show them as asked."""
    from stanhop_app.studies.present import present

    check_outputs(report, force=force, results=output)
    content = make(output)
    shown = present(content)
    write_page(report, lambda: shown.figures, {shown.verdict: shown.table}, shown.title)
    print_results(
        {**content, "verdict": shown.verdict},
        {"": shown.table},
        as_json=as_json,
        after=shown.verdict,
    )
