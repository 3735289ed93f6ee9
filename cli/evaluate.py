"""stanhop evaluate RUN [DATA]."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import as_trained, config_option, data_options, read_data


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@data_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(run: Path, data: str | None, as_json: bool, **options: Any) -> None:
    """Score RUN on DATA, beside the baselines, with errors of every variate in its own units.

    On the table of the training, validation and test parts of its split; on any other, all windows.
    DATA may be left out if RUN was trained on a data set with a name.
    """
    from stanhop_app.cli.tables import print_report
    from stanhop_app.datasets import DATASETS

    from stanhop_app.forecasting.artefact import read_config
    from stanhop_app.forecasting.run import evaluate_run

    source = read_config(run).get("source") or {}
    options = as_trained(source, options)
    if data is None:
        # A path in a file of somebody's is not followed; the name of a data set is harmless.
        data = source.get("data")
        if data not in DATASETS:
            raise click.UsageError(
                f"name the table to score {run} on: stanhop evaluate {run} FILE."
            )
    report = evaluate_run(run, read_data(data, options))
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_report(report, variates=True)
