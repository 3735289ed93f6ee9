"""stanhop compare DATA."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags, names
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    force_option,
    json_option,
    listed,
    modules_option,
    page_option,
    quiet_option,
    read_data,
    results_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import print_results, write_page

from stanhop_app.models.config import STanHopConfig
from stanhop_app.studies.config import ComparisonConfig
from stanhop_app.training.config import TrainingConfig

NETWORK = ("patch_length", "dim", "num_heads", "num_layers", "hidden_dim", "dropout")
TRAINING = ("max_steps",)
SIX = "softmax,softmax1,softmax+clip,softmax1+clip,softmax+gate,softmax1+gate"
variants_option = listed(
    "variants", "Associations, each with +clip, +gate, +memory if wanted.", SIX, kind=names
)


@click.command("compare")
@click.argument("data")
@config_option
@variants_option
@listed("horizons", "Time steps forecast, comma separated.", "24")
@listed("seeds", "Seeds of the networks, comma separated.", "0,1,2")
@flags(ComparisonConfig)
@flags(STanHopConfig, only=NETWORK)
@flags(TrainingConfig, only=TRAINING)
@modules_option
@data_options
@results_option
@page_option()
@force_option
@quiet_option
@json_option
def command(
    data: str,
    variants: list[str],
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
    from stanhop_app.studies.variants import ComparisonConfig, compare
    from stanhop_app.studies.variants_report import comparison_figures, comparison_tables

    check_outputs(report, force=force, results=output)
    read = {name: options.pop(name) for name in READING}
    network = {name: options.pop(name) for name in NETWORK}
    training = {name: options.pop(name) for name in TRAINING}
    config = ComparisonConfig(**options, network=network, training=training)
    content = compare(
        read_data(data, read),
        config,
        variants=variants,
        horizons=horizons,
        seeds=seeds,
        results=output,
        say=echo,
        progress=False if quiet else None,
    )
    tables = comparison_tables(content, modules)
    title = f"Attention variants on {data}, split {config.split}, lookback {config.lookback}"
    write_page(report, lambda: comparison_figures(content, modules), tables, title)
    print_results(content, tables, as_json=as_json)
