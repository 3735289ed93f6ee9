"""A run: train, score beside the baselines, and keep everything in one folder.

The folder holds ``config.json`` and ``model.safetensors`` (the artefact), ``baselines.safetensors`` and
``history.csv``; while training also ``checkpoint.safetensors``, from which it can be resumed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.errors import ArtefactError
from stanhop_app.forecasting.artefact import CONFIG
from stanhop_app.forecasting.baselines import (
    Baseline,
    fit_baselines,
    load_baselines,
    save_baselines,
)
from stanhop_app.forecasting.evaluation import Scores, score_all, score_table, variate_table
from stanhop_app.forecasting.forecaster import (
    WHOLE,
    STanHopForecaster,
    match_columns,
    match_frequency,
)
from stanhop_app.forecasting.windows import Split, split_windows
from stanhop_app.metrics import seasonal_error
from stanhop_app.training import CHECKPOINT, is_main_process

BASELINES = "baselines.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Scores of a forecaster and its baselines on one table."""

    split: str
    """Name of the split, or "all rows" for a table that was not trained on."""
    borders: Split | None
    scores: dict[str, dict[str, Scores]]
    """By part and model."""
    table: pd.DataFrame
    """One row a model: validation and test MSE and MAE in scaled units."""
    variates: pd.DataFrame
    """One row a variate: errors of the whole in original units, on the last part."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for `config.json` and ``--json``."""
        return {
            "split": self.split,
            "scores": {str(name): row.to_dict() for name, row in self.table.iterrows()},
            "variates": {
                str(name): {k: None if np.isnan(v) else v for k, v in row.items()}
                for name, row in self.variates.iterrows()
            },
        }


def check_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Refuse to overwrite a run.

    Raises:
        ValueError: if the folder holds a run, finished or not, and neither option allows it.
    """
    if force or not is_main_process():
        return
    if (folder / CONFIG).exists():
        raise ValueError(f"{folder}: holds a finished run; choose another --output, or --force.")
    if (folder / CHECKPOINT).exists() and not resume:
        raise ValueError(f"{folder}: holds an unfinished run; go on with --resume, or --force.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; choose another --output.")


def make_run(
    forecaster: STanHopForecaster,
    frame: pd.DataFrame,
    folder: Path,
    *,
    source: Mapping[str, Any] | None = None,
    season: int | None = None,
    resume: bool = False,
    force: bool = False,
) -> Report:
    """Fit a forecaster and the baselines, score them, and write the run folder.

    Args:
        forecaster: not yet fitted; it is fitted in place.
        frame: regular frame (`stanhop_app.forecasting.frame.to_frame`).
        folder: the run folder, made if need be.
        source: what the table was read from and how, kept in the artefact.
        season: of seasonal naive and MASE; default from the frequency.
        resume: go on from the folder's checkpoint.
        force: overwrite what the folder holds.

    Raises:
        ValueError: if the folder holds a run and may not be overwritten.
    """
    check_folder(folder, resume=resume, force=force)
    if force and not resume:
        (folder / CHECKPOINT).unlink(missing_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
    forecaster.fit(frame, run_folder=folder, resume=resume)
    season = season or forecaster.season_
    report, baselines = fit_and_score(forecaster, frame, season)
    if is_main_process():
        forecaster.source_ = {**(source or {}), "sha256": fingerprint(frame), "season": season}
        forecaster.metrics_ = report.as_json()
        save_baselines(baselines, folder / BASELINES)
        forecaster.save(folder, force=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return report


def fit_and_score(
    forecaster: STanHopForecaster, frame: pd.DataFrame, season: int
) -> tuple[Report, dict[str, Baseline]]:
    """Fit the baselines on the rows that the forecaster was trained on, and score all."""
    scaled = torch.from_numpy(forecaster.scaler_.transform(frame.to_numpy(dtype=np.float64)))
    parts = split_windows(scaled, forecaster.borders_, forecaster.lookback, forecaster.horizon)
    baselines = fit_baselines(parts[0], parts[1], season=season, seed=forecaster.seed)
    return report(forecaster, frame, baselines, season, forecaster.borders_), baselines


def evaluate_run(folder: Path, frame: pd.DataFrame) -> Report:
    """Score a run on a table: by its split if it is the table of the training, else on all rows.

    Raises:
        ArtefactError: if the folder is no whole run.
        DataError: if columns differ or rows are too few.
    """
    forecaster = STanHopForecaster.load(folder)
    frame = match_columns(frame, forecaster.columns_)
    match_frequency(frame, forecaster.frequency_)
    if forecaster.source_ is None:
        raise ArtefactError(f"{folder}: saved without baselines; make a run with `stanhop train`.")
    season = forecaster.source_["season"]
    baselines = load_baselines(folder / BASELINES, horizon=forecaster.horizon, season=season)
    same = forecaster.source_["sha256"] == fingerprint(frame)
    return report(forecaster, frame, baselines, season, forecaster.borders_ if same else None)


def report(
    forecaster: STanHopForecaster,
    frame: pd.DataFrame,
    baselines: Mapping[str, Baseline],
    season: int,
    borders: Split | None,
) -> Report:
    """Score the whole, its parts and the baselines on the same windows."""
    array = frame.to_numpy(dtype=np.float64)
    scaled = torch.from_numpy(forecaster.scaler_.transform(array))
    predictors = {**forecaster.predictors(), **baselines}
    scores = score_all(predictors, scaled, borders, forecaster.horizon, forecaster.scaler_)
    history = array if borders is None else array[: borders.train]
    last_part = list(scores)[-1]
    return Report(
        split="all rows" if borders is None else forecaster.split,
        borders=borders,
        scores=scores,
        table=score_table(scores),
        variates=variate_table(
            scores[last_part][WHOLE],
            forecaster.scaler_,
            forecaster.columns_,
            seasonal_error(history, min(season, len(history) - 1)),
        ),
    )


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's columns, time stamps and values."""
    digest = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    digest.update(pd.DatetimeIndex(frame.index).as_unit("ns").to_numpy().tobytes())
    digest.update(np.ascontiguousarray(frame.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
