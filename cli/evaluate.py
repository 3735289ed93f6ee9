"""stanhop evaluate RUN [DATA]."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import config_option, data_options, json_option, open_run


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@data_options
@json_option
def command(run: Path, data: str | None, as_json: bool, **options: Any) -> None:
    """Score RUN on DATA, beside the baselines, with errors of every variate in its own units.

    On the table of the training, validation and test parts of its split; on any other, all windows.
    DATA may be left out if RUN was trained on a data set with a name.
    """
    from stanhop_app.cli.tables import print_report

    from stanhop_app.runs.scoring import evaluate_run

    report = evaluate_run(open_run(run, data, options, "evaluate"))
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_report(report, variates=True)
