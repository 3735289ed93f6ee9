"""stanhop train DATA."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.options import READING, config_option, data_options, echo, read_data

if TYPE_CHECKING:
    from stanhop_app.forecasting.forecaster import STanHopForecaster

NETWORK = (
    "deep_lookback",
    "patch_length",
    "dim",
    "num_heads",
    "num_layers",
    "hidden_dim",
    "feed_forward",
    "projection",
    "bits",
    "expand_bits",
    "num_prototypes",
    "coarse_graining",
    "gate_init",
    "dropout",
    "instance_norm",
)
TRAINING = (
    "max_steps",
    "warmup",
    "weight_decay",
    "decay_gains",
    "gradient_clip",
    "average_decay",
    "keep",
    "patience",
    "devices",
    "precision",
)
"""Flags that are fields of the two configs; tests compare their defaults with the configs'."""


@click.command("train")
@click.argument("data")
@config_option
@click.option("--horizon", default=24, show_default=True, help="Time steps forecast.")
@click.option("--lookback", default=512, show_default=True, help="Time steps read.")
@click.option("--deep-lookback", default=336, show_default=True, help="By the deep part, at most.")
@click.option("--split", default="14/5/5", show_default=True, help="Ratio A/B/C, or etth.")
@click.option(
    "--association",
    default="softmax1",
    show_default=True,
    help="softmax1, softmax, sparsemax, entmax15 or entmax.",
)
@click.option("--clip", type=(float, float), metavar="GAMMA ZETA", help="Clipped retrieval.")
@click.option("--gate", help="linear, mlp or all_heads. Default: none.")
@click.option("--linear-skip/--no-linear-skip", default=True, show_default=True)
@click.option("--loss", default="mse", show_default=True, help="mse, mae or huber.")
@click.option("--max-epochs", default=6, show_default=True, help="Passes over the windows.")
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--season", type=int, help="Of seasonal naive. Default: from the frequency.")
@click.option("--patch-length", default=24, show_default=True, help="Time steps in a patch.")
@click.option("--dim", default=64, show_default=True, help="Width of the network.")
@click.option("--num-heads", default=4, show_default=True)
@click.option("--num-layers", default=2, show_default=True, help="Blocks in the encoder.")
@click.option("--hidden-dim", default=128, show_default=True, help="Width of dense FFNs.")
@click.option("--feed-forward", default="dense", show_default=True, help="dense or memory.")
@click.option("--projection", default="dense", show_default=True, help="dense or memory.")
@click.option("--bits", default=4, show_default=True, help="Of memory layers, 1 to 16.")
@click.option(
    "--expand-bits", default=2, show_default=True, help="Further bits inside memory FFNs."
)
@click.option("--num-prototypes", default=4, show_default=True, help="Where variates meet.")
@click.option("--coarse-graining", default=2, show_default=True, help="Patches merged; 1: none.")
@click.option("--gate-init", default=0.5, show_default=True)
@click.option("--dropout", default=0.1, show_default=True)
@click.option("--instance-norm/--no-instance-norm", default=True, show_default=True)
@click.option("--max-steps", type=int, help="Optimiser steps at most.")
@click.option("--warmup", default=0.3, show_default=True, help="Share of steps.")
@click.option("--weight-decay", default=0.01, show_default=True)
@click.option(
    "--decay-gains/--no-decay-gains", default=True, show_default=True, help="Of norms, too."
)
@click.option("--gradient-clip", default=1.0, show_default=True)
@click.option("--average-decay", default=0.99, show_default=True, help="Of averaged weights.")
@click.option("--keep", default="best", show_default=True, help="Averaged weights: best or last.")
@click.option("--patience", default=3, show_default=True, help="Epochs without improvement.")
@click.option("--devices", default=1, show_default=True, help="Processes, a device each (DDP).")
@click.option("--precision", default="32-true", show_default=True)
@data_options
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Run folder. Default: runs/DATA-hHORIZON.",
)
@click.option("--resume", is_flag=True, help="Go on from the run folder's checkpoint.")
@click.option("--force", is_flag=True, help="Overwrite the run folder.")
@click.option(
    "--outlier-steps",
    type=click.IntRange(1),
    help="Steps between measurements of outliers, kept in RUN/outliers.csv. Default: none.",
)
@click.option("--novelty", is_flag=True, help="Keep what stanhop forecast --explain needs.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(
    data: str,
    output: Path | None,
    resume: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
    season: int | None,
    outlier_steps: int | None,
    novelty: bool,
    **options: Any,
) -> None:
    """Train a forecaster on DATA and score it beside the baselines.

    DATA is a name (stanhop data list), a CSV or Parquet file, or - for standard input.

    \b
    stanhop train etth1
    stanhop train sales.csv --horizon 7 --lookback 56 --patch-length 7 --output runs/sales
    """
    from stanhop_app.data.panel import Panel
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.making import make_run
    from stanhop_app.training.folder import CHECKPOINT, check_folder, is_main_process, read_config

    output = output or Path("runs") / f"{_stem(data)}-h{options['horizon']}"
    finished = resume and (output / "config.json").exists()
    if not finished:
        check_folder(output, read_config, resume=resume, force=force)
    if data == "-" and options["devices"] > 1:
        raise click.UsageError("several processes cannot read standard input; use a file.")
    read = {name: options.pop(name) for name in READING}
    network = {name: options.pop(name) for name in NETWORK}
    training = {name: options.pop(name) for name in TRAINING}
    forecaster = STanHopForecaster(
        **options,
        missing=read["missing"],
        network=network,
        training=training,
        progress=False if quiet else None,
    )
    forecaster.training_config()
    if finished:
        _check_same(output, forecaster, data)
        echo(f"{output} is finished already. Next: stanhop forecast {output}")
        return
    panel = Panel.of(read_data(data, read), forecaster.split)
    filled = panel.frame.attrs["filled"]
    if is_main_process():
        echo(
            f"{data}: {len(panel):,} rows x {len(panel.columns)} variates, {panel.index[0]} to "
            f"{panel.index[-1]}, frequency {panel.frequency}"
        )
        if filled:
            echo(f"{filled:,} values were filled by {read['missing']}; scores include them")
    try:
        report = make_run(
            forecaster,
            panel,
            output,
            source={"data": data, "options": {**read, **panel.frame.attrs["reading"]}},
            season=season,
            outlier_steps=outlier_steps,
            novelty=novelty,
            resume=resume,
            force=force,
        )
    except KeyboardInterrupt:
        if (output / CHECKPOINT).exists():
            echo(
                f"\ninterrupted; go on with the same command and --resume (checkpoint in {output})"
            )
        raise
    if not is_main_process():
        return
    if as_json:
        click.echo(json.dumps({"run": str(output), **report.as_json()}, indent=2))
        return
    from stanhop_app.cli.tables import print_report

    print_report(report)
    echo(f"\nRun folder: {output}\nNext: stanhop forecast {output}")


def _check_same(output: Path, forecaster: "STanHopForecaster", data: str) -> None:
    """Refuse to take a finished run of other options or other data for this one."""
    from stanhop_app.files import to_json
    from stanhop_app.training.folder import read_config

    config = read_config(output)
    saved = {**config["parameters"], "data": (config["source"] or {}).get("data")}
    asked = json.loads(to_json({**forecaster.get_params(), "data": data}))
    for name, value in saved.items():
        if asked[name] != value:
            raise click.UsageError(
                f"{output}: holds a finished run of other options ({name} was {value}, is "
                f"{asked[name]}); choose another --output, or --force."
            )


def _stem(data: str) -> str:
    return "stdin" if data == "-" else Path(data).name.split(".")[0]
