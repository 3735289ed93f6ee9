"""stanhop compare DATA."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    READING,
    check_outputs,
    config_option,
    data_options,
    echo,
    numbers,
    read_data,
    results_option,
)

NETWORK = ("patch_length", "dim", "num_heads", "num_layers", "hidden_dim", "dropout")
TRAINING = ("max_steps",)
SIX = "softmax,softmax1,softmax+clip,softmax1+clip,softmax+gate,softmax1+gate"


@click.command("compare")
@click.argument("data")
@config_option
@click.option(
    "--variants",
    default=SIX,
    show_default=True,
    help="Associations, each with +clip, +gate, +memory if wanted.",
)
@click.option("--horizons", default="24", show_default=True, callback=numbers)
@click.option("--seeds", default="0,1,2", show_default=True, callback=numbers)
@click.option("--split", default="14/5/5", show_default=True, help="Ratio A/B/C, or etth.")
@click.option("--lookback", default=336, show_default=True)
@click.option("--max-epochs", default=6, show_default=True)
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option(
    "--clip",
    type=(float, float),
    metavar="GAMMA ZETA",
    default=(-0.025, 1.0),
    show_default=True,
    help="Of clipped variants.",
)
@click.option("--gate", default="linear", show_default=True, help="Of gated variants.")
@click.option("--patch-length", default=24, show_default=True, help="Time steps in a patch.")
@click.option("--dim", default=64, show_default=True, help="Width of the network.")
@click.option("--num-heads", default=4, show_default=True)
@click.option("--num-layers", default=2, show_default=True, help="Blocks in the encoder.")
@click.option("--hidden-dim", default=128, show_default=True, help="Width of dense FFNs.")
@click.option("--dropout", default=0.1, show_default=True)
@click.option("--max-steps", type=int, help="Optimiser steps at most.")
@click.option(
    "--modules",
    type=click.Choice(["all", "ffn+norm", "layer-outputs"]),
    default="all",
    show_default=True,
    help="Set that kurtosis and max norm are shown over; the file has all three.",
)
@data_options
@results_option
@click.option("--report", type=click.Path(path_type=Path), help="HTML page: tables and figures.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bars.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the tables.")
def command(
    data: str,
    variants: str,
    horizons: list[int],
    seeds: list[int],
    modules: str,
    output: Path,
    report: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare attention variants on DATA; interrupt and run again to go on.

    Every variant is trained for every horizon and seed, without the linear part: errors, outliers, errors
    at fewer bits, speed, ranks.

    \b
    stanhop compare etth1 --output variants.json --report variants.html
    stanhop compare etth1 --variants softmax1,entmax15+gate,softmax1+memory -o more.json
    """
    from stanhop_app.figures.page import html_page
    from stanhop_app.files import write_text
    from stanhop_app.studies.variants import ComparisonConfig, compare
    from stanhop_app.studies.variants_report import comparison_figures, comparison_tables

    check_outputs(report, force=force)
    check_outputs(output, force=True)
    read = {name: options.pop(name) for name in READING}
    network = {name: options.pop(name) for name in NETWORK}
    training = {name: options.pop(name) for name in TRAINING}
    config = ComparisonConfig(**options, network=network, training=training)
    content = compare(
        read_data(data, read),
        config,
        variants=[name.strip() for name in variants.split(",")],
        horizons=horizons,
        seeds=seeds,
        results=output,
        say=echo,
        progress=False if quiet else None,
    )
    tables = comparison_tables(content, modules)
    if report is not None:
        title = f"Attention variants on {data}, split {config.split}, lookback {config.lookback}"
        write_text(report, html_page(comparison_figures(content, modules), tables, title))
        echo(f"\nreport in {report}")
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    for heading, table in tables.items():
        click.echo(f"\n{heading}\n{table.to_string(float_format='%.4f', na_rep='')}")
