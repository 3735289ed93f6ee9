"""stanhop compare-memory DATA."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    force_option,
    json_option,
    listed,
    page_option,
    read_data,
    results_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import print_results, write_page

from stanhop_app.models.config import STanHopConfig
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig


@click.command("compare-memory")
@click.argument("data")
@config_option
@listed("horizons", "Time steps forecast, comma separated.", "24,96")
@listed("seeds", "Seeds of the networks, comma separated.", "0,1,2")
@flags(RunConfig, only=("split",))
@flags(STanHopConfig, only=("lookback",))
@flags(TrainingConfig, only=("max_epochs", "learning_rate"))
@click.option(
    "--ablations/--no-ablations",
    default=True,
    show_default=True,
    help="Whether options of memory layers are also changed one at a time.",
)
@data_options
@results_option
@page_option("plot")
@force_option
@json_option
def command(
    data: str, output: Path, plot: Path | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Compare dense and memory layers on DATA; interrupt and run again to go on.

    Feed-forward networks and projections, dense or of memory layers, for every horizon and seed, then the
    ablations of MemoryFormer (bits, learning rate, expand bits, GELU, norm) for the first of both.

    \b
    stanhop compare-memory etth1 --output memory.json --plot memory.html
    """
    from stanhop_app.studies.memory import compare_memory
    from stanhop_app.studies.memory_report import (
        ablation_table,
        comparison_table,
        memory_figures,
        speed_table,
    )

    check_outputs(plot, force=force, results=output)
    frame = read_data(data, {name: options.pop(name) for name in READING})
    content = compare_memory(frame, **options, results=output, say=echo)
    tables = {
        "Scaled units; the deep part alone and the whole": comparison_table(content),
        "Milliseconds and windows a second of the deep part": speed_table(content),
        "Ablations": ablation_table(content),
    }
    write_page(plot, lambda: memory_figures(content))
    print_results(content, tables, as_json=as_json)
