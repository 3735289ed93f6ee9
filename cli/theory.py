"""stanhop theory: what the papers say of associative memories, computed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import check_outputs, config_option, echo

SIZES = {"quick": (10, 30, 100, 300), "full": (10, 20, 50, 100, 200, 500, 1000, 1500)}
LEVELS = {"quick": (0, 2, 4, 8), "full": (0, 1, 2, 3, 4, 6, 8, 12, 16)}
WIDTHS = {
    "quick": ((4, 6, 8, 12), (0, 1), 400),
    "full": ((4, 6, 8, 12, 16, 24, 32), (0, 1, 2), 4000),
}
"""Widths, seeds and steps of the sweep of random labels."""
REPEATS = {"quick": 5, "full": 20}


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every experiment is told alike."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the tables."),
        click.option("--force", is_flag=True, help="Overwrite the page."),
        click.option("--report", type=click.Path(path_type=Path), help="HTML page."),
        click.option(
            "--output",
            "-o",
            type=click.Path(path_type=Path),
            help="JSON file; cells that it has are not computed again. Default: nothing is kept.",
        ),
        click.option("--full", is_flag=True, help="All values and 20 repeats, not a quick look."),
        click.option("--steps", default=1, show_default=True, help="Of retrieval, at most."),
        click.option("--beta", default=50.0, show_default=True, help="Inverse temperature."),
        click.option(
            "--data",
            default="digits",
            show_default=True,
            help="digits, mnist-5k, fashion-mnist or photo-patches.",
        ),
    ):
        command = option(command)
    return command


@click.group("theory")
def command() -> None:
    """Compute what the papers say of associative memories, and set it beside what is measured."""


@command.command("energy")
@config_option
@click.option(
    "--patterns",
    help='In the plane or wider, as "-2,-0.5 0.2,-0.3 1.5,1.5". Default: those of the paper.',
)
@click.option("--beta", default=1.0, show_default=True, help="Inverse temperature.")
@click.option("--report", type=click.Path(path_type=Path), help="HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def energy(
    patterns: str | None, beta: float, report: Path | None, force: bool, as_json: bool
) -> None:
    """Draw the energies of patterns over a plane and count their minima.

    \b
    stanhop theory energy --report energy.html
    """
    import torch

    from stanhop_app.files import write_text
    from stanhop_app.plots import html_page
    from stanhop_app.plots_memory import landscape_figure
    from stanhop_app.theory.energy import ENERGIES
    from stanhop_app.theory.landscape import landscape

    check_outputs(report, force=force)
    points = torch.tensor(_points(patterns or "-2,-0.5 0.2,-0.3 1.5,1.5"), dtype=torch.float64)
    found = [landscape(points, name, beta=beta) for name in ENERGIES]
    if report is not None:
        figure = landscape_figure(found, title=f"Energies of {len(points)} patterns")
        write_text(report, html_page([figure], title="Energies"))
        echo(f"report in {report}")
    if as_json:
        minima = {one.energy: one.minima.tolist() for one in found}
        click.echo(
            json.dumps({"beta": beta, "patterns": points.tolist(), "minima": minima}, indent=2)
        )
        return
    for one in found:
        click.echo(one.title)
        for x, y in one.minima.tolist():
            click.echo(f"  ({x:.4f}, {y:.4f})")


@command.command("capacity")
@config_option
@shared_options
def capacity(**options: Any) -> None:
    """Share of half-masked patterns retrieved against the number stored, for five memories.

    \b
    stanhop theory capacity --full --output capacity.json --report capacity.html
    """
    _experiment("capacity", **options)


@command.command("noise")
@config_option
@shared_options
@click.option("--stored", default=100, show_default=True, help="Patterns stored.")
def noise(**options: Any) -> None:
    """Share of noisy patterns retrieved against the norm of the noise, for five memories.

    \b
    stanhop theory noise --data photo-patches --report noise.html
    """
    _experiment("noise", **options)


@command.command("memorization")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@click.option("--most", default=500, show_default=True, help="Samples of a part.")
@click.option("--seed", default=0, show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
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
    from stanhop_app.files import to_json, write_text
    from stanhop_app.plots import html_page
    from stanhop_app.plots_memory import distance_figure

    check_outputs(report, force=force)
    found = _memorization(run, data, most, seed)
    if report is not None:
        tables = {found.verdict: found.table()}
        write_text(report, html_page([distance_figure(found)], tables, f"Memorisation: {run}"))
        echo(f"report in {report}")
    if as_json:
        click.echo(to_json(found.as_json(), indent=2))
        return
    click.echo(found.table().to_string(float_format="%.4f"))
    click.echo(f"\n{found.verdict}")


@command.command("trace")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@click.option("--most", default=500, show_default=True, help="Windows of a part.")
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
@click.option("--report", type=click.Path(path_type=Path), help="HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
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
    from stanhop_app.files import write_text
    from stanhop_app.forecasting.membership import run_trace
    from stanhop_app.plots import component_figure, html_page

    check_outputs(report, force=force)
    forecaster, frame = _opened(run, data, "theory trace")
    table = run_trace(forecaster, frame, most=most, seed=seed).table()
    if report is not None:
        title = f"Median energies by layer, times beta: {run}"
        figure = component_figure(table, title=title, label="energy x beta")
        write_text(report, html_page([figure], {title: table}, f"Energies of {run}"))
        echo(f"report in {report}")
    if as_json:
        click.echo(json.dumps({"run": str(run), "medians": table.to_dict()}, indent=2))
        return
    click.echo(table.to_string(float_format="%.3f"))


@command.command("bound")
@config_option
@click.option("--data", default="python-docs", show_default=True, help="A text by name or path.")
@click.option("--full", is_flag=True, help="Three times the text and four times the steps.")
@click.option("--report", type=click.Path(path_type=Path), help="HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def bound(data: str, full: bool, report: Path | None, force: bool, as_json: bool) -> None:
    """Overfit a small OPT and set its loss beside "the cross-entropy is at least 1".

    \b
    stanhop theory bound --report bound.html
    """
    from stanhop_app.files import to_json, write_text
    from stanhop_app.plots import curves_figure, html_page
    from stanhop_app.suite.bound import CLAIM, overfit, partition_curve

    check_outputs(report, force=force)
    found = overfit(data, **({"characters": 18_000, "max_steps": 2400} if full else {}))
    if report is not None:
        ends = [found.steps[0], found.steps[-1]]
        curves = {
            "training": (found.steps, found.train),
            "validation": (found.steps, found.validation),
            "claim: at least 1": (ends, [CLAIM, CLAIM]),
            "entropy of tokens": (ends, [found.unigram] * 2),
            "entropy of pairs": (ends, [found.bigram] * 2),
        }
        values = [2 ** (i / 4) for i in range(-8, 14)]
        figures = [
            curves_figure(curves, x="optimiser step", y="nats a token", title=f"OPT on {data}"),
            curves_figure(
                {"log Z + 1/Z": (values, partition_curve(values))},
                x="Z",
                y="nats",
                title="The paper's bound: least, 1, at Z = 1",
            ),
        ]
        write_text(report, html_page(figures, title=found.verdict))
        echo(f"report in {report}")
    click.echo(to_json(found.as_json(), indent=2) if as_json else found.verdict)


@command.command("scaling")
@config_option
@click.option("--full", is_flag=True, help="More widths, seeds and steps; about an hour.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="JSON file; cells that it has are not trained again. Default: nothing is kept.",
)
@click.option("--report", type=click.Path(path_type=Path), help="HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the table.")
def scaling(
    full: bool, output: Path | None, report: Path | None, force: bool, as_json: bool
) -> None:
    """How many random labels networks of several widths learn by heart, and the exponent of N against D.

    \b
    stanhop theory scaling --output scaling.json --report scaling.html
    """
    from stanhop_app.files import write_text
    from stanhop_app.plots import html_page
    from stanhop_app.plots_memory import scaling_figure
    from stanhop_app.theory.scaling import ScalingExperiment, fit_exponent, scaling_table, sweep

    check_outputs(report, force=force)
    check_outputs(output, force=True)
    dims, seeds, steps = WIDTHS["full" if full else "quick"]
    experiment = ScalingExperiment(max_steps=steps)
    content = sweep(dims, seeds, experiment, results=output, say=echo)
    table, found = scaling_table(content), fit_exponent(content)
    if report is not None:
        page = html_page([scaling_figure(table, found)], {found.verdict: table}, "N against D")
        write_text(report, page)
        echo(f"report in {report}")
    if as_json:
        click.echo(json.dumps({**content, "verdict": found.verdict}, indent=2))
        return
    click.echo(table.to_string(index=False))
    click.echo(f"\n{found.verdict}")


def _memorization(run: Path, data: str | None, most: int, seed: int) -> Any:
    """The report of a run of either kind."""
    from stanhop_app.suite.run import is_suite_run

    if is_suite_run(run):
        from stanhop_app.suite.membership import suite_memorization
        from stanhop_app.suite.run import load_run, run_corpus

        opened = load_run(run)
        return suite_memorization(opened, run_corpus(opened, data), most=most, seed=seed)
    from stanhop_app.forecasting.membership import run_memorization

    forecaster, frame = _opened(run, data, "theory memorization")
    return run_memorization(forecaster, frame, most=most, seed=seed)


def _opened(run: Path, data: str | None, command: str) -> tuple[Any, Any]:
    """A forecaster and the table that it was trained on."""
    from stanhop_app.cli.options import READING, run_table

    from stanhop_app.forecasting.forecaster import STanHopForecaster

    forecaster = STanHopForecaster.load(run)
    reading = {**dict.fromkeys(READING), "missing": "error"}
    return forecaster, run_table(run, data, reading, command)


def _experiment(
    kind: str,
    *,
    data: str,
    beta: float,
    steps: int,
    full: bool,
    output: Path | None,
    report: Path | None,
    force: bool,
    as_json: bool,
    stored: int = 100,
) -> None:
    from stanhop_app.files import write_text
    from stanhop_app.plots import html_page
    from stanhop_app.plots_memory import memory_curves
    from stanhop_app.theory.capacity import MemoryExperiment, claim, memory_table, run_experiment

    check_outputs(report, force=force)
    check_outputs(output, force=True)
    size = "full" if full else "quick"
    experiment = MemoryExperiment(data=data, beta=beta, steps=steps, repeats=REPEATS[size])
    values = (SIZES if kind == "capacity" else LEVELS)[size]
    content = run_experiment(kind, experiment, values, results=output, stored=stored, say=echo)
    table, said = memory_table(content), claim(content)
    if report is not None:
        where = f"{data}, beta {beta:g}, {steps} steps, {experiment.repeats} repeats"
        x = "stored patterns" if kind == "capacity" else "norm of the noise / norm of a pattern"
        page = html_page(
            memory_curves(table, x=x, title=where), {said: table}, f"{kind.title()}: {where}"
        )
        write_text(report, page)
        echo(f"report in {report}")
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    shown = table[["retrieved", "nearest", "error", "median_distance", "median_bound"]]
    click.echo(shown.to_string(float_format="%.4f", na_rep=""))
    click.echo(f"\n{said}")


def _points(text: str) -> list[list[float]]:
    """Patterns as they are typed.

    Raises:
        click.BadParameter: saying which is no pattern.
    """
    try:
        points = [[float(value) for value in point.split(",")] for point in text.split()]
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of patterns such as 0,1 2,3.") from None
    if len({len(point) for point in points}) != 1:
        raise click.BadParameter(f"{text!r}: patterns have different widths.")
    return points
