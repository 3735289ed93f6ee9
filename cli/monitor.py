"""stanhop monitor RUN [ACTUALS]."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    as_trained,
    config_option,
    data_options,
    json_option,
    read_data,
    reader_of,
)

from stanhop_app.errors import concerning

EXIT_RETRAIN = 5


@click.command("monitor")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("actuals", required=False)
@click.option(
    "--forecasts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A forecast that was made, as stanhop forecast wrote it (CSV, Parquet); may be given often. "
    "Without: RUN forecasts anew at cut-offs a horizon apart.",
)
@click.option(
    "--tolerance",
    type=float,
    default=0.1,
    show_default=True,
    help="Share by which the squared error may have risen.",
)
@config_option
@data_options
@json_option
def command(
    run: Path,
    actuals: str | None,
    forecasts: tuple[Path, ...],
    tolerance: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Say whether RUN still forecasts as well as on its test part, by what came since: ACTUALS.

    ACTUALS holds the rows that came since, or the whole table; without it those that stanhop update took in
    are looked at. Exit code 5: train it again, as its errors rose (beyond those of seasonal naive, which tell
    whether times are harder for everybody), or its 80% intervals hold another share than they say.

    \b
    stanhop monitor runs/sales new.csv
    stanhop monitor runs/sales new.csv --forecasts monday.parquet --forecasts tuesday.parquet
    """
    from stanhop_app.data.frequency import known_frequency
    from stanhop_app.data.reading import deferred
    from stanhop_app.files import to_json
    from stanhop_app.runs.made import read_forecast
    from stanhop_app.runs.monitor import monitor
    from stanhop_app.runs.run import Run

    opened = Run.open(run)
    fitted = opened.fitted
    table, missing = None, "error"
    if actuals is not None:
        reading, hints = as_trained(opened.forecaster, options)
        reading["frequency"] = reading["frequency"] or known_frequency(fitted.frequency)
        missing = reading["missing"]
        table = read_data(
            actuals, {**reading, "missing": deferred(missing)}, hints, reader_of(fitted.outlook)
        )
    made = [read_forecast(path) for path in forecasts]
    with concerning(None if forecasts else actuals):  # messages of forecasts name their own files
        health = monitor(opened, table, forecasts=made, tolerance=tolerance, missing=missing)
    if as_json:
        click.echo(to_json({"run": str(run), **health.as_json()}, indent=2))
    else:
        for sentence in health.sentences():
            click.echo(sentence)
    if health.retrain:
        raise click.exceptions.Exit(EXIT_RETRAIN)
