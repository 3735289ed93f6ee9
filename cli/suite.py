"""stanhop suite: train, evaluate and compare BERT, OPT and ViT."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.compare import SIX
from stanhop_app.cli.options import (
    check_outputs,
    config_option,
    echo,
    numbers,
    results_option,
)

NETWORK = ("dim", "num_heads", "num_layers", "hidden_dim", "dropout")
VARIANT = ("association", "clip", "gate", "gate_init", "feed_forward", "projection", "bits")
MODELS = click.Choice(["bert", "opt", "vit"])


def size_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What all three commands would say alike: data, sizes, training."""
    for option in (
        click.option("--weight-decay", default=0.1, show_default=True),
        click.option(
            "--decay-gains/--no-decay-gains",
            default=True,
            show_default=True,
            help="Whether weight decay draws gains of norms towards 0.",
        ),
        click.option("--learning-rate", default=1e-3, show_default=True),
        click.option("--batch-size", default=32, show_default=True),
        click.option("--max-steps", default=1000, show_default=True, help="Optimiser steps."),
        click.option("--dropout", default=0.1, show_default=True),
        click.option("--patch-norm/--no-patch-norm", default=None, help="Of vit. Default: none."),
        click.option("--patch-size", type=int, help="Of vit, in pixels. Default: 2."),
        click.option("--hidden-dim", default=512, show_default=True, help="Width of dense FFNs."),
        click.option("--num-layers", default=4, show_default=True, help="Blocks."),
        click.option("--num-heads", default=4, show_default=True),
        click.option("--dim", default=128, show_default=True, help="Width."),
        click.option("--vocab-size", default=2048, show_default=True, help="Of texts, at most."),
        click.option("--length", default=128, show_default=True, help="Tokens in a block."),
        click.option(
            "--data",
            help="python-docs, shakespeare, backcopy[:SHARE] or a text file; of vit digits, mnist-5k, "
            "fashion-mnist or a folder of images. Default: python-docs, digits.",
        ),
    ):
        command = option(command)
    return command


@click.group("suite")
def command() -> None:
    """Train, evaluate and compare BERT, OPT and ViT on Hopfield layers.

    Activation outliers are large in these models, so that attention variants differ more than in forecasting.
    """


@command.command("train")
@click.argument("model", type=MODELS)
@config_option
@size_options
@click.option("--association", default="softmax1", show_default=True)
@click.option("--clip", type=(float, float), metavar="GAMMA ZETA", help="Clipped retrieval.")
@click.option("--gate", help="linear, mlp or all_heads. Default: none.")
@click.option("--gate-init", default=0.5, show_default=True)
@click.option("--feed-forward", default="dense", show_default=True, help="dense or memory.")
@click.option("--projection", default="dense", show_default=True, help="dense or memory.")
@click.option("--bits", default=4, show_default=True, help="Of memory layers.")
@click.option("--seed", default=0, show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Default: runs/MODEL-DATA.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's checkpoint.")
@click.option("--force", is_flag=True, help="Overwrite the run folder.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def train(
    model: str,
    output: Path | None,
    resume: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train MODEL and score it on its test part.

    \b
    stanhop suite train opt --data shakespeare --max-steps 2000 --output runs/opt
    """
    from stanhop_app.suite.run import load_data, read_config, save_run, train_run
    from stanhop_app.training.folder import CHECKPOINT, check_folder

    variant = {name: options.pop(name) for name in VARIANT}
    config = _config(model, options, variant)
    output = output or Path("runs") / f"{model}-{Path(config.data).stem}"
    check_folder(output, read_config, resume=resume, force=force)
    corpus = load_data(config)
    counts = {part: len(x) for part, x in corpus.inputs.items()}
    echo(f"{corpus.name}: samples {counts}, {corpus.vocab_size:,} tokens or classes")
    try:
        run = train_run(
            config, corpus, folder=output, resume=resume, progress=False if quiet else None
        )
    except KeyboardInterrupt:
        if (output / CHECKPOINT).exists():
            echo(
                f"\ninterrupted; go on with the same command and --resume (checkpoint in {output})"
            )
        raise
    save_run(run, output)
    if as_json:
        click.echo(json.dumps({"run": str(output), **run.metrics}, indent=2))
        return
    for name, value in run.metrics.items():
        click.echo(f"{name:12}{value:.4f}")
    echo(f"\nRun folder: {output}\nNext: stanhop suite evaluate {output}")


@command.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", help="Where the data lie, if they have no name.")
@click.option("--bits", default="W8A8,W6A6,W4A8,W4A4", show_default=True, help="Comma separated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def evaluate(run: Path, data: str | None, bits: str, as_json: bool) -> None:
    """Score RUN on its test part, in float and at fewer bits, and measure its outliers.

    \b
    stanhop suite evaluate runs/opt --bits W8A8,W6A6
    """
    from stanhop_app.suite.run import load_run, measure, run_task, score_bits, score_model

    opened = load_run(run)
    task = run_task(opened, data)
    scores = {"float": score_model(opened.network, task)}
    scores |= {
        name.strip(): score_bits(opened.network, task, name.strip()) for name in bits.split(",")
    }
    found = measure(opened.network, task)
    if as_json:
        click.echo(json.dumps({"run": str(run), "scores": scores, **found}, indent=2))
        return
    for name, of_bits in scores.items():
        click.echo(f"{name:8}" + "".join(f"{k} {v:.4f}  " for k, v in of_bits.items()))
    for name, outliers in found["outliers"].items():
        click.echo(
            f"average kurtosis {outliers['kurtosis']:.3f}, max norm {outliers['max_inf_norm']:.3f} over the "
            f"modules {name}"
        )
    click.echo(f"left to the no-op: {100 * found['no_op']:.1f}%")


@command.command("compare")
@click.argument("model", type=MODELS)
@config_option
@size_options
@click.option(
    "--variants",
    default=SIX,
    show_default=True,
    help="Associations, each with +clip, +gate, +memory if wanted.",
)
@click.option("--seeds", default="0,1", show_default=True, callback=numbers)
@click.option(
    "--clip",
    type=(float, float),
    metavar="GAMMA ZETA",
    help="Of clipped variants. Default: -0.5 / tokens, 1.",
)
@click.option("--gate", default="linear", show_default=True, help="Of gated variants.")
@click.option(
    "--modules",
    type=click.Choice(["all", "ffn+norm", "layer-outputs"]),
    default="all",
    show_default=True,
    help="Set that kurtosis and max norm are shown over; the file has all three.",
)
@results_option
@click.option("--report", type=click.Path(path_type=Path), help="HTML page: tables and figures.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bars.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the tables.")
def compare(
    model: str,
    variants: str,
    seeds: list[int],
    clip: tuple[float, float] | None,
    gate: str,
    modules: str,
    output: Path,
    report: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare attention variants of MODEL; interrupt and run again to go on.

    Models that are given the same --output stand in one table.

    \b
    stanhop suite compare opt --data backcopy --output suite.json --report suite.html
    """
    from stanhop_app.figures.page import html_page
    from stanhop_app.files import write_text
    from stanhop_app.studies.suite import compare_suite
    from stanhop_app.studies.suite_report import suite_figures, suite_tables

    check_outputs(report, force=force)
    check_outputs(output, force=True)
    content = compare_suite(
        _config(model, options, {}),
        variants=[name.strip() for name in variants.split(",")],
        seeds=seeds,
        results=output,
        clip=clip,
        gate=gate,
        say=echo,
        progress=False if quiet else None,
    )
    tables = suite_tables(content, modules)
    if report is not None:
        write_text(report, html_page(suite_figures(content, modules), tables, "The suite"))
        echo(f"\nreport in {report}")
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    for heading, table in tables.items():
        click.echo(f"\n{heading}\n{table.to_string(float_format='%.4f', na_rep='')}")


def _config(model: str, options: dict[str, Any], variant: dict[str, Any]) -> Any:
    """The configuration that the options say."""
    from stanhop_app.suite.config import SuiteConfig

    network = {name: options.pop(name) for name in NETWORK}
    network |= {
        name: value
        for name in ("patch_size", "patch_norm")
        if (value := options.pop(name)) is not None
    }
    return SuiteConfig(
        model=model, **{**options, "data": options["data"] or ""}, network={**network, **variant}
    )
