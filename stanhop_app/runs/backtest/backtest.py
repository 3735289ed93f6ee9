"""Forecasts at every cut-off of a table: as fitted, with what came since, and fitted anew.

Cut-offs are forecast in parts. A part that is done lies in a folder beside the file, so that a backtest that
was stopped goes on where it was, and comes to the same table.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Split
from stanhop_app.errors import ArtefactError
from stanhop_app.files import read_mapping, to_json, write_atomic, write_json
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.adaptive import Followed
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.origins import Origins, begins_alike, origins_of
from stanhop_app.runs.backtest.record import Backtest, arrays_of, rows_of
from stanhop_app.runs.backtest.team import REFITTED, UPDATED, Say, Team
from stanhop_app.runs.backtest.walking import (
    Made,
    Updated,
    Walker,
)
from stanhop_app.runs.by_series import naive_errors
from stanhop_app.runs.run import Run
from stanhop_app.training.folder import writing
from stanhop_app.version import __version__

AT_ONCE = 32
"""Cut-offs of a part."""
BEGUN = "begun.json"


def backtest(
    run: Run,
    config: BacktestConfig | None = None,
    *,
    output: Path | None = None,
    say: Say = lambda text: None,
    progress: bool | None = False,
) -> Backtest:
    """Forecast at many cut-offs of a table, each by what was known then, beside what came.

    Args:
        run: on its table (`Run.on`): that of the training, one that goes on from there, or another.
        config: which cut-offs, and what is done anew on the way.
        output: Parquet file; parts that are done lie beside it until it is whole. None: nothing is written.
        say: told of every part that begins.
        progress: whether trainings draw a bar.

    Raises:
        DataError: if there is no cut-off, or no validation window to make intervals of.
        OptionError: for options that cannot be.
        ArtefactError: if parts beside the file are of another backtest.
    """
    config = config or BacktestConfig()
    team = Team.of(run, config, say)
    origins = origins_of(run, config, team.lookback)
    team.check(origins)
    if origins.note:
        say(origins.note)
    parts = list(_parts(origins, config))
    folder = None if output is None else output.with_name(f"{output.name}.parts")
    about = _about(run, config, team, origins)
    if folder is None:
        tables = list(_made(team, origins, parts, None, say, progress))
    else:
        _begin(folder, {**about, "weights": _weights(run.fitted)})
        with writing(folder):
            tables = list(_made(team, origins, parts, folder, say, progress))
    made = Backtest(table=_joined(tables), about=about)
    if output is not None and folder is not None:
        made.save(output)
        shutil.rmtree(folder)
    return made


def _parts(origins: Origins, config: BacktestConfig) -> Iterator[Tensor]:
    """Numbers of windows of so many cut-offs each."""
    moments = origins.seconds.unique()
    for some in moments.split(config.refit or AT_ONCE):
        yield origins.numbers[torch.isin(origins.seconds, some)]


def _made(
    team: Team,
    origins: Origins,
    parts: Sequence[Tensor],
    folder: Path | None,
    say: Say,
    progress: bool | None,
) -> Iterator[pd.DataFrame]:
    """The table of every part, read where it is there."""
    walkers, fitted = team.walkers(origins), team.run.fitted
    variates = len(fitted.columns)
    refitted = Followed(LEVELS, variates)
    done = 0
    for number, numbers in enumerate(parts):
        rows = origins.windows.rows(numbers)[:, origins.windows.lookback].contiguous().numpy()
        count = len(np.unique(rows)) if not team.run.table.is_many else len(numbers)
        file = None if folder is None else folder / f"part-{number:04}.parquet"
        if file is not None and file.exists():
            table = pd.read_parquet(file)
            for name, levels in _followed(walkers, refitted, team.config):
                for row, pair in zip(
                    rows.tolist(), arrays_of(table, name, fitted.horizon, variates), strict=True
                ):
                    levels.learn(row, *(torch.tensor(part) for part in pair))
        else:
            what = "forecasts" if team.run.table.is_many else "cut-offs"
            say(f"{what} {done + 1:,} to {done + count:,} of {len(origins.numbers):,}")
            if team.config.refit:
                training = None if folder is None else folder / f"training-{number:04}"
                fresh = team.refitted(int(rows[0]), refitted, training, progress)
                walkers = {**walkers, REFITTED: fresh}
            units = _units(team.run.table, rows)
            made = {}
            for name in team.names:
                walker = walkers[name]
                own = walker.units if isinstance(walker, Updated) else units
                made[name] = _in_units(walker(origins.windows, numbers), own)
            table = rows_of(team.run.table, rows, made)
            if file is not None:
                write_atomic(file, table.to_parquet)
                shutil.rmtree(file.with_name(f"training-{number:04}"), ignore_errors=True)
        done += count
        yield table


def _followed(
    walkers: Mapping[str, Walker], refitted: Followed, config: BacktestConfig
) -> Iterator[tuple[str, Followed]]:
    """Levels that follow what came, by model."""
    updated = walkers.get(UPDATED)
    if isinstance(updated, Updated):
        yield UPDATED, updated.levels
    if config.refit:
        yield REFITTED, refitted


def _units(panel: Panel, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and scale of every window, (B, 1, C) each."""
    number = torch.searchsorted(torch.tensor(panel.starts), torch.from_numpy(rows), right=True) - 1
    mean, scale = (
        torch.tensor([getattr(s, side) for s in panel.scalers], dtype=torch.float64)[number]
        for side in ("mean", "scale")
    )
    return mean[:, None], scale[:, None]


def _in_units(made: Made, units: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    mean, scale = units
    points = made.points.double() * scale + mean
    ends = made.quantiles.double() * scale[:, None] + mean[:, None]
    return points.numpy(), ends.numpy()


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All parts, their words of one list."""
    whole = pd.concat(tables, ignore_index=True)
    for name in ("series", "variate", "model"):
        if name in whole:
            whole[name] = whole[name].astype("category")
            order = list(dict.fromkeys(whole[name]))
            whole[name] = whole[name].cat.set_categories(order)
    return whole


def _about(run: Run, config: BacktestConfig, team: Team, origins: Origins) -> dict[str, Any]:
    """What the forecasts are measured by and were made from; JSON values."""
    panel, fitted = run.table, run.fitted
    if not (run.is_trained_table or begins_alike(fitted, panel)):
        splits = [
            Split(train=known, validation=rows, test=rows)
            for known, rows in zip(_first_places(panel, origins), panel.lengths, strict=True)
        ]
        measured = replace(panel, splits=tuple(splits))
    else:
        measured = panel
    absolute, _ = naive_errors(measured, team.season)
    units = [
        {
            "series": str(name) if panel.is_many else "",
            "variate": str(column),
            "mean": scaler.mean[c],
            "scale": scaler.scale[c],
            "seasonal_error": None if np.isnan(absolute[s, c]) else float(absolute[s, c]),
        }
        for s, (name, scaler) in enumerate(zip(panel.ids, panel.scalers, strict=True))
        for c, column in enumerate(panel.columns)
    ]
    return {
        "package_version": __version__,
        "run": None if run.folder is None else run.folder.name,
        "options": asdict(config),
        "horizon": fitted.horizon,
        "stride": config.stride or fitted.horizon,
        "season": team.season,
        "model": "final" if origins.final else "split",
        "data": run.source.get("data"),
        "sha256": panel.fingerprint,
        "units": units,
    }


def _first_places(panel: Panel, origins: Origins) -> list[int]:
    """Rows of every series before the first target of its windows; all of one that is not forecast."""
    rows, starts = origins.rows(), torch.tensor(panel.starts)
    series = torch.searchsorted(starts, rows.contiguous(), right=True) - 1
    least = torch.tensor(panel.lengths).scatter_reduce(0, series, rows - starts[series], "amin")
    return [int(place) for place in least]


def _weights(fitted: Fitted) -> str:
    """SHA-256 of what forecasts."""
    digest = hashlib.sha256()
    memory = {} if fitted.memory is None else fitted.memory.tensors()
    for name, tensor in sorted(
        {**fitted.forecasting.state_dict(), **fitted.network.state_dict(), **memory}.items()
    ):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _begin(folder: Path, identity: Mapping[str, Any]) -> None:
    """Note what parts are made from.

    Raises:
        ArtefactError: if some are there that were made from something else.
    """
    begun = folder / BEGUN
    if folder.exists():
        try:
            same = to_json(read_mapping(begun)) == to_json(identity)
        except (OSError, ValueError):
            same = not any(folder.glob("part-*"))
            if same:
                write_json(begun, identity)
        if not same:
            raise ArtefactError(
                f"{folder}: was begun with other options, data or weights; name another file, or delete this "
                "folder."
            )
        return
    folder.mkdir()
    write_json(begun, identity)
