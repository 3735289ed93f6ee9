"""stanhop suite: train, evaluate and compare BERT, OPT and ViT."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.compare import variants_option
from stanhop_app.cli.flags import Grouped, GroupOption, flag_names, flags, names
from stanhop_app.cli.options import (
    config_option,
    echo,
    force_option,
    is_default,
    json_option,
    listed,
    modules_option,
    output_option,
    page_option,
    quiet_option,
    results_option,
    resume_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import print_results, write_page

from stanhop_app.models.config import HopfieldOptions, TransformerConfig, ViTConfig
from stanhop_app.studies.config import ComparisonConfig
from stanhop_app.suite.config import MODELS, SuiteConfig

VARIANT = flag_names(HopfieldOptions, but=("num_heads", "expand_bits"))
NETWORK = flag_names(TransformerConfig, but=(*VARIANT, "expand_bits"))
OF_VIT = ("patch_size", "patch_norm")
"""Options of one model alone; where nothing is said of them they are left to its configuration."""
model_argument = click.argument("model", type=click.Choice(list(MODELS)))


from_option = click.option(
    "--from",
    "start",
    cls=GroupOption,
    group="Network",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Run of the suite whose weights are trained on; what is not said is as there. Attention may be "
    "another: a vanilla run goes on with softmax1, or with gates.",
)


def size_options(command: Any) -> Any:
    """Data, sizes and training, as both commands that train are told them."""
    for decorate in (
        flags(SuiteConfig, but=("model", "seed"), group="Training"),
        flags(ViTConfig, only=OF_VIT, group="Network", defaults=dict.fromkeys(OF_VIT)),
        flags(TransformerConfig, only=NETWORK, group="Network"),
    ):
        command = decorate(command)
    return command


@click.group("suite")
def command() -> None:
    """Train, evaluate and compare BERT, OPT and ViT on Hopfield layers.

    Activation outliers are large in these models, so that attention variants differ more than in forecasting.
    """


@command.command("train", cls=Grouped, first=("data", "max_steps", "output", "resume", "force"))
@model_argument
@config_option
@size_options
@flags(HopfieldOptions, only=VARIANT, group="Network")
@flags(SuiteConfig, only=("seed",), group="Training")
@output_option("Run folder. Default: runs/MODEL-DATA.")
@from_option
@resume_option
@force_option
@quiet_option
@json_option
def train(
    model: str,
    start: Path | None,
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
    stanhop suite train opt --from runs/vanilla --association softmax1 --output runs/opt-softmax1
    """
    from stanhop_app.suite.folder import read_config
    from stanhop_app.suite.run import load_data, load_run, train_run, write_run
    from stanhop_app.training.folder import (
        CHECKPOINT,
        CONFIG,
        check_folder,
        writing,
    )

    before = None if start is None else load_run(start)
    config = _config(model, start, options)
    output = output or Path("runs") / f"{model}-{Path(config.data).stem}"
    if resume and (output / CONFIG).exists() and not (output / CHECKPOINT).exists():
        _check_same(output, config)
        echo(f"{output} is finished already. Next: stanhop suite evaluate {output}")
        return
    check_folder(output, read_config, resume=resume, force=force)
    corpus = load_data(config, None if before is None else before.tokenizer)
    counts = {part: len(x) for part, x in corpus.inputs.items()}
    echo(f"{corpus.name}: samples {counts}, {corpus.vocab_size:,} tokens or classes")
    with writing(output):
        check_folder(output, read_config, resume=resume, force=force)
        if not resume:
            (output / CHECKPOINT).unlink(missing_ok=True)
        try:
            run = train_run(
                config,
                corpus,
                start=before,
                folder=output,
                resume=resume,
                progress=False if quiet else None,
            )
        except KeyboardInterrupt:
            if (output / CHECKPOINT).exists():
                echo(
                    f"\ninterrupted; go on with the same command and --resume (checkpoint in {output})"
                )
            raise
        write_run(run, output)
    if as_json:
        click.echo(json.dumps({"run": str(output), **run.metrics}, indent=2))
        return
    for name, value in run.metrics.items():
        click.echo(f"{name:14}{value:.4f}")
    echo(f"\nRun folder: {output}\nNext: stanhop suite evaluate {output}")


@command.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data", help="Text file or folder of images that it was trained on, if those have no name."
)
@listed(
    "bits", "Bits of weights and activations, comma separated.", "W8A8,W6A6,W4A8,W4A4", kind=names
)
@json_option
def evaluate(run: Path, data: str | None, bits: list[str], as_json: bool) -> None:
    """Score RUN on its test part, in float and at fewer bits, and measure its outliers.

    \b
    stanhop suite evaluate runs/opt --bits W8A8,W6A6
    """
    from stanhop_app.suite.run import load_run, run_task
    from stanhop_app.suite.scores import measure, score_bits, score_model

    opened = load_run(run)
    task = run_task(opened, data)
    scores = {"float": score_model(opened.network, task)}
    scores |= {name: score_bits(opened.network, task, name) for name in bits}
    measures = measure(opened.network, task)
    if as_json:
        click.echo(json.dumps({"run": str(run), "scores": scores, **measures}, indent=2))
        return
    for name, of_bits in scores.items():
        click.echo(f"{name:8}" + "".join(f"{k} {v:.4f}  " for k, v in of_bits.items()))
    for name, outliers in measures["outliers"].items():
        click.echo(
            f"average kurtosis {outliers['kurtosis']:.3f}, max norm {outliers['max_inf_norm']:.3f} over the "
            f"modules {name}"
        )
    sinks = measures["sinks"]
    for block, norm in enumerate(sinks["norm"]):
        click.echo(
            f"block {block}: norm {norm:.1f} at the first token, {sinks['norm_rest'][block]:.1f} at others; "
            f"weight {sinks['attention'][block]:.3f} on it (even: {sinks['even'][block]:.3f}), values there "
            f"{sinks['value'][block]:.2f}, elsewhere {sinks['value_rest'][block]:.2f}"
        )
    click.echo(f"left to the no-op: {100 * measures['no_op']:.1f}%")


@command.command("compare", cls=Grouped, first=("data", "variants", "seeds", "max_steps", "output"))
@model_argument
@config_option
@size_options
@from_option
@variants_option
@listed("seeds", "Seeds of the networks, comma separated.", "0,1")
@flags(ComparisonConfig, only=("clip", "gate"), group="Network")
@modules_option
@results_option
@page_option()
@force_option
@quiet_option
@json_option
def compare(
    model: str,
    start: Path | None,
    variants: list[str],
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
    stanhop suite compare opt --from runs/vanilla --max-steps 500 --output finetuned.json
    """
    from stanhop_app.studies.suite import compare_suite
    from stanhop_app.studies.suite_report import suite_figures, suite_tables
    from stanhop_app.suite.run import load_run

    check_outputs(report, force=force, results=output)
    before = None if start is None else load_run(start)
    content = compare_suite(
        _config(model, start, options),
        start=before,
        variants=variants,
        seeds=seeds,
        results=output,
        clip=clip,
        gate=gate,
        say=echo,
        progress=False if quiet else None,
    )
    tables = suite_tables(content, modules)
    write_page(report, lambda: suite_figures(content, modules), tables, "The suite")
    print_results(content, tables, as_json=as_json)


def _check_same(output: Path, config: SuiteConfig) -> None:
    """Refuse to take a finished run of other options for this one."""
    from stanhop_app.files import to_json
    from stanhop_app.suite.folder import read_config
    from stanhop_app.training.same import difference, told

    saved, asked = read_config(output)["suite"], json.loads(to_json(config.as_json()))
    if (other := difference(saved, asked)) is not None:
        raise click.UsageError(
            f"{output}: holds a finished run of other options ({told(other)}); "
            "choose another --output, or --force."
        )


def _continued(start: Path, options: dict[str, Any]) -> SuiteConfig:
    """The configuration of a training from a run, which says what the command line does not."""
    from stanhop_app.suite.folder import read_config
    from stanhop_app.suite.run import check_named, read_suite_config
    from stanhop_app.suite.start import continued

    told = {name: value for name, value in options.items() if not is_default(name)}
    content = read_config(start)
    of_run = read_suite_config(content["suite"])
    if "data" not in told:
        check_named(of_run.data)
    return continued(of_run, told, content["weights_sha256"])


def _config(model: str, start: Path | None, options: dict[str, Any]) -> SuiteConfig:
    """The configuration that the options say, with what they do not say from a run to start from."""
    if start is not None:
        return _continued(start, {"model": model, **options})
    variant = {name: options.pop(name) for name in VARIANT if name in options}
    network = {name: options.pop(name) for name in NETWORK}
    network |= {name: value for name in OF_VIT if (value := options.pop(name)) is not None}
    return SuiteConfig(model=model, **options, network={**network, **variant})
