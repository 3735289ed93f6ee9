"""stanhop export RUN [DATA]."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags
from stanhop_app.cli.options import (
    config_option,
    data_options,
    echo,
    force_option,
    json_option,
    open_run,
    output_option,
)

from stanhop_app.runs.config import ExportConfig


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@flags(ExportConfig)
@output_option("Folder to export to. Default: RUN-KIND beside RUN.")
@data_options
@force_option
@json_option
def command(
    run: Path,
    data: str | None,
    to: str,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write RUN as a folder that stanhop forecast reads, and other programs too.

    onnx and onnx-int8 forecast without torch (pip install "stanhop-app[export]"). onnx-int8 is calibrated
    on training windows and refused if validation windows show it to be more than 1% worse: it needs
    DATA, the table of the training, which may be left out if that is a data set with a name. The others show
    errors if DATA is given.

    \b
    stanhop export runs/etth1-h24 --to onnx-int8
    stanhop forecast runs/etth1-h24-onnx-int8
    """
    from stanhop_app.files import to_json
    from stanhop_app.runs.exporting import export_run

    run = run.resolve() if run.name in ("", "..") else run
    output = output or run.with_name(f"{run.name}-{to}")
    opened = open_run(run, data, options, "export", needed=to == "onnx-int8")
    report = export_run(opened, output, to=to, force=force)
    if opened.fitted.memory is not None:
        echo(f"the external memory is not exported: {output} forecasts as {run} would without it")
    if as_json:
        click.echo(to_json({"folder": str(output), **asdict(report)}, indent=2))
        return
    click.echo(f"largest difference from the network, relative: {report.difference:.1e}")
    for part, numbers in report.errors.items():
        click.echo(
            f"MSE on {part} windows, scaled units: network {numbers['network']:.5f}, export "
            f"{numbers['export']:.5f} ({numbers['export'] / numbers['network'] - 1:+.2%})"
        )
    for size, numbers in report.milliseconds.items():
        times = ", ".join(f"{name} {value:.1f} ms" for name, value in numbers.items())
        click.echo(f"{size} windows at once: {times}")
    if report.layers:
        click.echo(f"{report.layers} linear layers in int8")
    trust = " --trust" if to == "torch-export" else ""
    echo(f"\nExported to {output}\nNext: stanhop forecast {output}{trust}")
