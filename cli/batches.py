"""What stanhop forecast does with an engine: a table of any size, block by block, into a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.intervals import check
from stanhop_app.cli.options import as_trained, echo, is_default

if TYPE_CHECKING:
    from stanhop_app.engines.config import EngineConfig
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.forecasting.intervals.spread import Spread


REFUSED = ("cutoff", "ids", "future", "format_", "plot", "explained", "trust")
"""Options of stanhop forecast that an engine does not take."""


def forecast_batches(
    run: Path,
    data: str | None,
    output: str | None,
    config: "EngineConfig",
    spread: "Spread",
    *,
    horizon: int | None,
    options: dict[str, Any],
    force: bool,
) -> None:
    """Forecast all series of Parquet files into a folder of Parquet files.

    Args:
        run: a run of many series.
        data: a file or a folder, by path or URL.
        output: a folder, by path or URL.
        config: the engine.
        spread: what is asked for beside points.
        horizon: steps; None: the trained ones.
        options: how the table is read, where that differs from the run's.
        force: whether results of an earlier job are removed.
    """
    from tqdm import tqdm

    from stanhop_app.engines.batch import forecast_blocks
    from stanhop_app.engines.work import Task
    from stanhop_app.training.folder import CONFIG, checksum, read_json

    for name in REFUSED:
        if not is_default(name):
            flag = f"--{name.rstrip('_').replace('explained', 'explain')}"
            raise click.UsageError(f"{flag} does not go with --engine; leave one of them out.")
    if data is None or output is None:
        raise click.UsageError("--engine needs DATA and --output, a folder for the forecasts.")
    forecaster = _opened(run, spread, horizon)
    fitted = forecaster.fitted_
    reading, hints = as_trained(forecaster, options)
    series = fitted.series
    assert series is not None
    named = {name: value for name, value in reading.items() if value is not None}
    named = {"id_column": series.id_name, "frequency": fitted.frequency, **named}
    made_from = {
        "run": checksum(read_json(run / CONFIG)),
        "horizon": horizon or forecaster.horizon,
        "spread": vars(spread),
        "reading": named,
    }
    task = Task(
        run=str(run.resolve()),
        source=_whole(data),
        output=_whole(output),
        id_column=str(named["id_column"]),
        reading=named,
        hints=hints,
        horizon=horizon,
        spread=spread,
    )
    echo(f"by a model {forecaster.seen_}")
    with tqdm(unit="block", disable=None) as bar:

        def done(there: int, total: int) -> None:
            bar.total = total
            bar.update(there - bar.n)

        plan = forecast_blocks(task, config, made_from, say=echo, force=force, done=done)
    echo(f"forecasts of {plan.num_series:,} series in {output}, {len(plan.blocks):,} files")


def _opened(run: Path, spread: "Spread", horizon: int | None) -> "STanHopForecaster":
    """The run, of which all that could fail in a worker is tried here, once."""
    from stanhop_app.forecasting.forecaster import STanHopForecaster
    from stanhop_app.runs.exported import load_forecaster

    forecaster = load_forecaster(run)
    if not isinstance(forecaster, STanHopForecaster) or forecaster.fitted_.series is None:
        raise click.UsageError(
            f"{run}: is no run of many series; engines forecast those of a long table."
        )
    check(spread, run, forecaster, horizon)
    if spread.asked:
        forecaster.intervals()
    return forecaster


def _whole(path: str) -> str:
    """A path that means the same to every worker."""
    return path if "://" in path else str(Path(path).resolve())
