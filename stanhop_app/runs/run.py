"""A run: train, score beside the baselines, and keep everything in one folder.

The folder holds ``config.json`` and ``model.safetensors`` (the artefact), ``baselines.safetensors``,
``history.csv`` and ``steps.csv``, and ``outliers.csv`` and ``novelty.safetensors`` if asked for; while
training also ``checkpoint.safetensors``, from which it can be resumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.errors import ArtefactError
from stanhop_app.files import sha256
from stanhop_app.forecasting.baselines import fit_baselines, load_baselines, save_baselines
from stanhop_app.forecasting.predictor import Predictor
from stanhop_app.forecasting.evaluation import Scores, score_all, score_table, variate_table
from stanhop_app.training.folder import CONFIG, read_config
from stanhop_app.forecasting.forecaster import WHOLE, STanHopForecaster
from stanhop_app.data.frame import fingerprint, frame_frequency
from stanhop_app.data.frequency import season_length
from stanhop_app.data.match import match_columns, match_frequency
from stanhop_app.runs.memorization import memorization_warning
from stanhop_app.runs.novelty import NOVELTY, remember, save_store
from stanhop_app.data.windows import Split, split_windows
from stanhop_app.forecasting.metrics import seasonal_error
from stanhop_app.training.outlier_log import OUTLIERS
from stanhop_app.training.folder import check_folder
from stanhop_app.training.folder import CHECKPOINT, HISTORY, STEPS, is_main_process

BASELINES = "baselines.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Scores of a forecaster and its baselines on one table."""

    split: str
    """Name of the split, or "all rows" for a table that was not trained on."""
    borders: Split | None
    overlaps: bool
    """Whether a table that was not trained on begins before the training rows end."""
    scores: dict[str, dict[str, Scores]]
    """By part and model."""
    table: pd.DataFrame
    """One row a model: validation and test MSE and MAE in scaled units."""
    variates: pd.DataFrame
    """One row a variate: errors of the whole in original units, on the last part."""
    warning: str | None = None
    """What a fresh fit should be warned of (`stanhop_app.runs.memorization`)."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for `config.json` and ``--json``."""
        return {
            "split": self.split,
            "scores": {str(name): row.to_dict() for name, row in self.table.iterrows()},
            "variates": {
                str(name): {k: None if np.isnan(v) else v for k, v in row.items()}
                for name, row in self.variates.iterrows()
            },
            "warning": self.warning,
        }


def choose_season(frame: pd.DataFrame, borders: Split, season: int | None) -> int:
    """Season of seasonal naive and MASE: as given, or from the frequency where the rows allow it.

    Raises:
        ValueError: if a given season is below 1 or longer than the training rows.
    """
    if season is not None:
        if not 1 <= season < borders.train:
            raise ValueError(
                f"season must be at least 1 and below the {borders.train} training rows, got {season}."
            )
        return season
    frequency = frame_frequency(frame)
    natural = 1 if frequency is None else season_length(frequency)
    return natural if natural < borders.train else 1


def make_run(
    forecaster: STanHopForecaster,
    frame: pd.DataFrame,
    folder: Path,
    *,
    source: Mapping[str, Any] | None = None,
    season: int | None = None,
    outlier_steps: int | None = None,
    novelty: bool = False,
    resume: bool = False,
    force: bool = False,
) -> Report:
    """Fit a forecaster and the baselines, score them, and write the run folder.

    Args:
        forecaster: not yet fitted; it is fitted in place.
        frame: regular frame (`stanhop_app.data.frame.to_frame`).
        folder: the run folder, made if need be.
        source: what the table was read from and how, kept in the artefact.
        season: of seasonal naive and MASE; default from the frequency.
        outlier_steps: of `STanHopForecaster.fit`; writes ``outliers.csv``.
        novelty: whether to keep what explains forecasts (`stanhop_app.runs.novelty`).
        resume: go on from the folder's checkpoint.
        force: overwrite what the folder holds.

    Raises:
        ValueError: if the folder holds a run and may not be overwritten.
    """
    check_folder(folder, read_config, resume=resume, force=force)
    season = choose_season(frame, forecaster.check(frame), season)
    if force and not resume and is_main_process():  # only now that nothing can be refused
        for name in (CHECKPOINT, CONFIG, OUTLIERS, HISTORY, STEPS):
            (folder / name).unlink(missing_ok=True)
    if outlier_steps is None and is_main_process():
        (folder / OUTLIERS).unlink(
            missing_ok=True
        )  # of an earlier training that was asked for them
    forecaster.fit(frame, run_folder=folder, resume=resume, outlier_steps=outlier_steps)
    report, baselines = fit_and_score(forecaster, frame, season)
    if is_main_process():
        save_baselines(baselines, folder / BASELINES)
        forecaster.source_ = {
            **(source or {}),
            "sha256": fingerprint(frame),
            "season": season,
            "baselines_sha256": sha256(folder / BASELINES),
            "train_end": str(frame.index[forecaster.borders_.train - 1]),
        }
        report = replace(report, warning=memorization_warning(forecaster, frame))
        (folder / NOVELTY).unlink(missing_ok=True)
        if novelty:
            save_store(remember(forecaster, frame), folder / NOVELTY)
            forecaster.source_["novelty_sha256"] = sha256(folder / NOVELTY)
        forecaster.metrics_ = report.as_json()
        forecaster.save(folder, force=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return report


def fit_and_score(
    forecaster: STanHopForecaster, frame: pd.DataFrame, season: int
) -> tuple[Report, dict[str, Predictor]]:
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
    if forecaster.source_ is None or not (folder / BASELINES).exists():
        raise ArtefactError(f"{folder}: saved without baselines; make a run with `stanhop train`.")
    season = forecaster.source_["season"]
    if sha256(folder / BASELINES) != forecaster.source_["baselines_sha256"]:
        raise ArtefactError(
            f"{folder / BASELINES}: checksum does not match {CONFIG}; it is damaged."
        )
    baselines = load_baselines(folder / BASELINES, horizon=forecaster.horizon, season=season)
    same = forecaster.source_["sha256"] == fingerprint(frame)
    return report(forecaster, frame, baselines, season, forecaster.borders_ if same else None)


def report(
    forecaster: STanHopForecaster,
    frame: pd.DataFrame,
    baselines: Mapping[str, Predictor],
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
    source = getattr(forecaster, "source_", None) or {}  # a run's only, from its second scoring on
    trained_until = pd.Timestamp(source.get("train_end", pd.NaT))
    return Report(
        split="all rows" if borders is None else forecaster.split,
        borders=borders,
        overlaps=borders is None and bool(frame.index[0] <= trained_until),
        scores=scores,
        table=score_table(scores),
        variates=variate_table(
            scores[last_part][WHOLE],
            forecaster.scaler_,
            forecaster.columns_,
            seasonal_error(history, min(season, len(history) - 1)),
        ),
    )
