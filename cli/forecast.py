"""stanhop forecast RUN [DATA]."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.batches import forecast_batches
from stanhop_app.cli.flags import flag_names, flags, names
from stanhop_app.cli.intervals import bands, check, predicted, spread_options, taken
from stanhop_app.cli.options import (
    as_trained,
    config_option,
    data_options,
    echo,
    force_option,
    listed,
    output_option,
    page_option,
    read_data,
    read_source,
    reader_of,
)
from stanhop_app.cli.outputs import DATABASE, FORMATS, check_outputs, record, write, written_to

from stanhop_app.engines.config import EngineConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from stanhop_app.forecasting.external.analogues import Analogues
    from stanhop_app.forecasting.outlook.outlook import Outlook

from stanhop_app.errors import concerning


@click.command("forecast")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@click.option("--horizon", type=int, help="Time steps to forecast. Default: the trained horizon.")
@click.option(
    "--cutoff",
    help="Time stamp at which the table is to end, such as 2018-03-01 12:00; the plot shows what came. The "
    "scored model forecasts, which has not seen test rows.",
)
@listed("ids", "Series to forecast, by name, of a run of many: H1,H2. Default: all.", kind=names)
@click.option(
    "--future",
    help="File of what is known of the steps to forecast: time stamps, ids, and the covariates known ahead. "
    "Default: the rows of the table after its last value.",
)
@spread_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Format of the forecast. Default: by the ending of --output, else csv.",
)
@output_option(
    "File that the forecast is written to, with --engine a folder, or a table of a database: "
    "postgresql://writer@host/shop#forecasts. Default: standard output.",
    kind=str,
)
@page_option("plot")
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Say which past windows the forecast rests on, and how new the last one is. Needs train --memory "
    "plug or --novelty.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Also load an exported program of torch (torch-export), which can run code of whoever wrote it.",
)
@flags(EngineConfig, group="Engine")
@force_option
@data_options
def command(
    run: Path,
    data: str | None,
    horizon: int | None,
    cutoff: str | None,
    ids: list[str] | None,
    future: str | None,
    format_: str | None,
    output: str | None,
    plot: Path | None,
    explained: bool,
    trust: bool,
    force: bool,
    **options: Any,
) -> None:
    """Forecast the steps after the last row of DATA with the model in RUN, or in an exported folder.

    DATA is a name, a CSV, Parquet or Excel file, or - for standard input; it is read as the table of the
    training was. Default: the last rows of that table, which RUN keeps.

    \b
    stanhop forecast runs/etth1-h24
    stanhop forecast runs/etth1-h24 --levels 80,95 --plot forecast.html
    stanhop forecast runs/shops --future what-if.csv
    stanhop forecast runs/shops s3://sales/ --engine ray --workers 8 --output s3://forecasts/monday
    cat new.csv | stanhop forecast runs/etth1-h24 - --format parquet > next.parquet
    """
    import pandas as pd

    from stanhop_app.errors import ArtefactError
    from stanhop_app.figures.forecast import by_time
    from stanhop_app.runs.exported import load_forecaster

    spread = taken(options)
    engine = EngineConfig(**{name: options.pop(name) for name in flag_names(EngineConfig)})
    if engine.engine is not None:
        common: dict[str, Any] = {"horizon": horizon, "options": options, "force": force}
        forecast_batches(run, data, output, engine, spread, **common)
        return
    file, kind = written_to(output, format_, spread)
    check_outputs(file, plot, force=force)
    forecaster = load_forecaster(run, trust=trust)
    outlook = forecaster.outlook_
    _check_kind(run, outlook, ids=ids, future=future, plot=plot, explained=explained)
    check(spread, run, forecaster, horizon)
    table = actual = None
    if data is not None:
        table = read_data(data, *as_trained(forecaster, options), reader_of(outlook))
    if cutoff is not None:
        forecaster, table, actual = _cut(run, forecaster, cutoff, table)
    elif table is None:
        echo(f"from the rows that the run keeps, which end at {forecaster.context_.index.max()}")
    if cutoff is None:
        echo(f"by a model {forecaster.seen_}")
    more = _which(ids, future, forecaster, options)
    with concerning(data):
        prediction = forecaster.predict(table, horizon, **more)
    if not isinstance(prediction, pd.DataFrame):
        raise ArtefactError(f"{run}: was fitted on an array without time stamps; use it in Python.")
    told = _explain(forecaster, run, table) if explained else None
    if plot is not None:
        shown, name = _history(forecaster, table, ids), data or forecaster.source_.get("data", "")
        name += f", {ids[0]}" if ids else ""
        points, drawn = by_time(prediction, bands(spread, forecaster, table, **more))
        _draw(forecaster, shown, points, name, plot, told, drawn, actual)
    if spread.asked:
        prediction = predicted(spread, forecaster, table, **more)
    if kind == DATABASE:
        record(run, forecaster, table, prediction, str(output))
    else:
        write(prediction, kind, file)


def _check_kind(
    run: Path, outlook: "Outlook", *, ids: Any, future: Any, plot: Any, explained: bool
) -> None:
    """Refuse options that say nothing of a run of its kind."""
    many, known = outlook.series is not None, outlook.beside is not None
    refused = {
        "of one table; leave --ids out": ids is not None and not many,
        "without covariates; leave --future out": future is not None and not known,
        "with covariates; leave --explain out": known and explained,
        "of many series; leave --explain out": many and explained,
        "of many series; name one with --ids for --plot": many
        and plot is not None
        and (ids is None or len(ids) != 1),
    }
    for what, holds in refused.items():
        if holds:
            raise click.UsageError(f"{run}: is a run {what}.")


def _history(forecaster: Any, table: Any, ids: list[str] | None) -> "pd.DataFrame":
    """The rows before the forecast that are drawn, of many series those of one."""
    outlook = forecaster.outlook_
    if outlook.series is not None:
        rows = (outlook.kept() if table is None else table).chosen(ids).frame
    else:
        rows = outlook.context if table is None else getattr(table, "frame", table)
    return rows.iloc[-forecaster.lookback :]


def _cut(
    run: Path, forecaster: Any, cutoff: str, table: "pd.DataFrame | None"
) -> "tuple[Any, pd.DataFrame, pd.DataFrame]":
    """Forecaster, history and what came, of a table that ends earlier."""
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.cutoff import cut

    if not isinstance(forecaster, STanHopForecaster):
        raise click.UsageError(f"{run}: is an exported model; name the run for --cutoff.")
    made = cut(forecaster, cutoff, table)
    echo(made.note)
    return made.forecaster, made.history, made.actual


def _which(
    ids: list[str] | None, future: str | None, forecaster: Any, options: dict[str, Any]
) -> dict[str, Any]:
    """What ``predict`` is told besides the table."""
    told: dict[str, Any] = {} if ids is None else {"ids": ids}
    if future is not None:
        reading = as_trained(forecaster, options)
        told["future"] = _future(future, forecaster.outlook_, *reading)
    return told


def _future(
    source: str, outlook: "Outlook", options: dict[str, Any], hints: "Mapping[str, Any]"
) -> Any:
    """A file of covariates to come, read as the table of the training was."""
    from stanhop_app.data.given import FUTURE_LACKS
    from stanhop_app.data.table import read_table

    named = {} if outlook.series is None else {"id_column": outlook.series.id_name}
    return read_source(source, {**options, **FUTURE_LACKS, **named}, hints, read_table)


def _explain(forecaster: Any, run: Path, table: "pd.DataFrame | None") -> "Analogues | None":
    """Say how new the window is, and what it is like; the analogues of a memory, if there is one."""
    from stanhop_app.forecasting.external.analogues import analogues
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.novelty import NOVELTY, explain, load_store
    from stanhop_app.runs.run import Run

    if not isinstance(forecaster, STanHopForecaster):
        raise click.UsageError(f"{run}: is an exported model, which cannot explain; name the run.")
    opened, told = Run(forecaster=forecaster, folder=run), None
    if forecaster.fitted_.memory is not None:
        columns = forecaster.columns_
        told = analogues(opened.fitted, None if table is None else table[columns])
        echo(str(told))
    if told is None or f"{Path(NOVELTY).stem}_sha256" in opened.source:
        echo(str(explain(opened, load_store(opened), table)))
    return told


def _draw(
    forecaster: Any,
    history: "pd.DataFrame",
    prediction: "pd.DataFrame",
    name: str,
    page: Path,
    told: "Analogues | None",
    bands: "dict[str, Any] | None",
    actual: "pd.DataFrame | None",
) -> None:
    """Write history and forecast as an HTML page, with the analogues that moved it if they were asked for."""
    from stanhop_app.figures.analogues import analogues_figure
    from stanhop_app.figures.forecast import forecast_figure
    from stanhop_app.files import write_text

    title = (
        f"{name}: {len(prediction)} steps by STanHop-Net "
        f"({forecaster.association}, split {forecaster.split})"
    )
    if told is None:
        figure = forecast_figure(history, prediction, bands=bands, actual=actual, title=title)
    else:
        figure = analogues_figure(
            **told.lines(list(prediction.columns)), actual=actual, title=title
        )
    write_text(page, figure.to_html())
    echo(f"drawn in {page}")
