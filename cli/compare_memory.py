"""stanhop compare-memory DATA."""

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


@click.command("compare-memory")
@click.argument("data")
@config_option
@click.option(
    "--horizons", default="24,96", show_default=True, callback=numbers, help="Comma separated."
)
@click.option("--seeds", default="0,1,2", show_default=True, callback=numbers)
@click.option("--split", default="14/5/5", show_default=True, help="Ratio A/B/C, or etth.")
@click.option("--lookback", default=512, show_default=True)
@click.option("--max-epochs", default=6, show_default=True)
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--ablations/--no-ablations", default=True, show_default=True)
@data_options
@results_option
@click.option("--plot", type=click.Path(path_type=Path), help="HTML page of all figures.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON, not the tables.")
def command(
    data: str, output: Path, plot: Path | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Compare dense and memory layers on DATA; interrupt and run again to go on.

    Feed-forward networks and projections, dense or of memory layers, for every horizon and seed, then the
    ablations of MemoryFormer (bits, learning rate, expand bits, GELU, norm) for the first of both.

    \b
    stanhop compare-memory etth1 --output memory.json --plot memory.html
    """
    from stanhop_app.figures.page import html_page
    from stanhop_app.files import write_text
    from stanhop_app.studies.memory import compare_memory
    from stanhop_app.studies.memory_report import (
        ablation_table,
        comparison_table,
        memory_figures,
        speed_table,
    )

    check_outputs(plot, force=force)
    check_outputs(output, force=True)
    frame = read_data(data, {name: options.pop(name) for name in READING})
    content = compare_memory(frame, **options, results=output, say=echo)
    if plot is not None:
        write_text(plot, html_page(memory_figures(content)))
        echo(f"drawn in {plot}")
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    for title, table in (
        ("Scaled units; the deep part alone and the whole", comparison_table(content)),
        ("Milliseconds and windows a second of the deep part", speed_table(content)),
        ("Ablations", ablation_table(content)),
    ):
        if len(table):
            click.echo(f"\n{title}\n{table.to_string(float_format='%.4f')}")
