"""stanhop outliers RUN [DATA]."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    config_option,
    data_options,
    force_option,
    json_option,
    open_run,
    page_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import write_page

from stanhop_app.layers.names import MODULE_SETS, PARTS


@click.command("outliers")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@click.option(
    "--modules",
    default=MODULE_SETS[0],
    show_default=True,
    help=f"Modules: {', '.join(MODULE_SETS)}, or patterns of names such as blocks.*.time,heads.*.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="test",
    show_default=True,
    help="Part of the split whose windows are measured.",
)
@data_options
@page_option("plot")
@force_option
@json_option
def command(
    run: Path,
    data: str | None,
    modules: str,
    part: str,
    plot: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the outliers of the deep part of RUN: kurtosis and maximum infinity norm by module.

    DATA is the table of the training; it may be left out if that is a data set with a name. Kurtosis is
    3 for a Gaussian. What "average kurtosis" and "max norm" are depends on the modules, which
    are named with them.

    \b
    stanhop outliers runs/etth1-h24 --modules ffn+norm --plot outliers.html
    """
    from stanhop_app.figures.outliers import norm_figure, outlier_figures
    from stanhop_app.files import to_json
    from stanhop_app.runs.measures import window_outliers
    from stanhop_app.training.outlier_log import find_outliers, read_outliers

    check_outputs(plot, force=force)
    opened = open_run(run, data, options, "outliers")
    windows, forecaster = opened.parts[part], opened.forecaster
    chosen = modules.split(",") if "," in modules else modules
    report = window_outliers(forecaster.network_.deep, windows, chosen)

    def figures() -> list[Any]:
        title = f"{run}, {forecaster.association}, {part} windows, split {forecaster.split}"
        drawn = outlier_figures(report.table(), report.rows, title=title)
        if log := find_outliers(run, opened.source):
            drawn.append(norm_figure(read_outliers(log), title=f"{run} in training"))
        return drawn

    write_page(plot, figures)
    if as_json:
        click.echo(to_json(report.as_json(), indent=2))
        return
    shown = report.table()[["kind", "kurtosis", "max_inf_norm", "largest", "sample", "no_op"]]
    click.echo(shown.to_string(float_format="%.3f", na_rep=""))
    click.echo(
        f"\naverage kurtosis {report.average_kurtosis:.3f}, max norm {report.max_inf_norm:.3f} "
        f"over {len(report.rows)} modules ({report.modules}), {report.samples:,} {part} windows"
    )
