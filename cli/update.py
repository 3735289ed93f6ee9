"""stanhop update RUN DATA."""

import time
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.options import (
    as_trained,
    config_option,
    data_options,
    echo,
    json_option,
    quiet_option,
    read_data,
    reader_of,
)

from stanhop_app.errors import concerning


@click.command("update")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data")
@click.option(
    "--steps",
    type=click.IntRange(0, 10**6),
    default=0,
    show_default=True,
    help="Optimiser steps of the deep part from its weights on, at a tenth of its learning rate.",
)
@config_option
@quiet_option
@json_option
@data_options
def command(run: Path, data: str, steps: int, quiet: bool, as_json: bool, **options: Any) -> None:
    """Take the rows of DATA that came since the training into RUN, in seconds.

    DATA holds them alone or the whole table: a name, a CSV, Parquet or Excel file, or - for standard
    input, read as the table of the training was. What forecasts the real future is fitted again on all
    rows: the linear part and the effects of covariates in closed form, the deep part if --steps are given.
    What is scored stays as it was.

    \b
    stanhop update runs/sales today.csv
    stanhop forecast runs/sales
    """
    from stanhop_app.data.frequency import known_frequency
    from stanhop_app.data.reading import deferred
    from stanhop_app.files import to_json
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.updating import update_run

    forecaster = STanHopForecaster.load(run)
    fitted = forecaster.fitted_
    reading, hints = as_trained(forecaster, options)
    reading["frequency"] = reading["frequency"] or known_frequency(fitted.frequency)
    missing = reading["missing"]
    table = read_data(
        data, {**reading, "missing": deferred(missing)}, hints, reader_of(fitted.outlook)
    )
    started = time.perf_counter()
    with concerning(data):
        forecaster, came = update_run(
            run, table, steps=steps, missing=missing, progress=False if quiet else None
        )
    seconds = time.perf_counter() - started
    told = {
        "run": str(run),
        "new_rows": came.rows,
        "new_series": list(came.series),
        "revised_values": came.revised,
        "rows": len(came.table.frame),
        "until": str(came.table.frame.index.max()),
    }
    if came.revised:
        echo(f"{came.revised:,} values that were known are others now, and were taken")
    for note in forecaster.fitted_.notes:
        echo(note)
    if as_json:
        click.echo(to_json(told, indent=2))
        return
    fresh = f", {len(came.series):,} new series of {came.fresh:,} rows" if came.series else ""
    echo(
        f"{came.rows:,} new rows{fresh}; by a model {forecaster.seen_} ({seconds:.1f} s)\n"
        f"Next: stanhop forecast {run}"
    )
