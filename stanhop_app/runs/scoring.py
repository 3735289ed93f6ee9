"""Scores of a run beside the baselines, by part of its split or over another table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frequency import season_length
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import SeriesWindows, Split, Windows
from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.forecasting.baselines import fit_baselines, load_baselines
from stanhop_app.forecasting.evaluation import (
    Predictor,
    Scores,
    score,
    score_all,
    score_table,
    variate_table,
)
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.forecasting.metrics import seasonal_error
from stanhop_app.runs.by_series import series_errors
from stanhop_app.runs.run import Run
from stanhop_app.runs.significance import Gain, paired
from stanhop_app.training.folder import belonging

BASELINES = "baselines.safetensors"
"""Name of the file in a run folder."""
BASELINE_WINDOWS = 2**15
"""Windows of many series that baselines are fitted on, at most; evenly over all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Scores of a forecaster and its baselines on one table."""

    split: str
    """Name of the split, or "all rows" for a table that was not trained on."""
    borders: Split | None
    overlaps: bool
    """Whether a table that was not trained on begins before the training rows end."""
    model: str
    """Which model was scored: "split", or "final" on rows after all that the final one has seen."""
    scores: dict[str, dict[str, Scores]]
    """Scores by part and model."""
    table: pd.DataFrame
    """One row a model: validation and test MSE and MAE in scaled units."""
    variates: pd.DataFrame
    """One row a variate, or one of many series: errors of the whole in original units, on the last part."""
    gains: Mapping[str, Gain]
    """How much lower the squared error of the whole is than that of each other model, on the last part, with
    what luck may do (`stanhop_app.runs.significance`); empty where there are too few windows to tell."""
    warning: str | None = None
    """What a fresh fit should be warned of (`stanhop_app.runs.memorization`)."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for `config.json` and ``--json``."""
        return {
            "split": self.split,
            "model": self.model,
            "scores": _plain(self.table),
            "variates": _plain(self.variates),
            "gains": {name: asdict(gain) for name, gain in self.gains.items()},
            "warning": self.warning,
        }


def _plain(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """A table row by row; what is not a number is None, as JSON has none."""
    return {
        str(name): {str(k): None if np.isnan(v) else v for k, v in row.items()}
        for name, row in table.iterrows()
    }


def _gains(scores: Mapping[str, Scores], horizon: int) -> dict[str, Gain]:
    """How much lower the error of the whole is than that of every other, on the same windows."""
    own = scores[WHOLE].over_time
    try:
        return {
            name: paired(own, other.over_time, horizon - 1)
            for name, other in scores.items()
            if name != WHOLE
        }
    except DataError:  # too few to tell
        return {}


def choose_season(panel: Panel, season: int | None = None) -> int:
    """Season of seasonal naive and MASE: as given, or from the frequency where the rows allow it.

    Raises:
        OptionError: if a given season is below 1 or longer than the training rows.
    """
    rows = max(split.train for split in panel.splits)
    if season is not None:
        if not 1 <= season < rows:
            raise OptionError(
                f"season must be at least 1 and below the {rows} training rows, got {season}."
            )
        return season
    natural = 1 if panel.frequency is None else season_length(panel.frequency)
    return natural if natural < rows else 1


def fit_and_score(run: Run, season: int) -> tuple[Report, dict[str, Predictor]]:
    """Fit the baselines on the rows that a run was trained on, and score all."""
    parts = run.parts
    baselines = fit_baselines(
        parts["train"].thinned(BASELINE_WINDOWS).plain(),
        parts["validation"].thinned(BASELINE_WINDOWS).plain(),
        season=season,
        seed=run.forecaster.seed,
    )
    return score_run(run, baselines, season), baselines


def evaluate_run(run: Run) -> Report:
    """Score a run on its table: by its split if that is the table of the training, else on all rows.

    Raises:
        ArtefactError: if the folder is no whole run.
        DataError: if there is no table, or its rows are too few.
    """
    return score_run(run, baselines_of(run), run.source["season"])


def baselines_of(run: Run) -> dict[str, Predictor]:
    """The baselines that a run folder keeps.

    Raises:
        ArtefactError: if it keeps none, or they are damaged.
    """
    folder = run.folder
    digest = run.source.get("baselines_sha256")
    if folder is None or "season" not in run.source or digest is None:
        raise ArtefactError(f"{folder}: saved without baselines; make a run with `stanhop train`.")
    season = run.source["season"]
    path = belonging(folder, BASELINES, digest)
    return load_baselines(path, horizon=run.fitted.horizon, season=season)


def _overlaps(run: Run, index: pd.Index) -> bool:
    """Whether a table begins before the training rows ended.

    Raises:
        ArtefactError: if the run does not say when that was in a way that can be read.
    """
    told = run.source.get("train_end")
    try:
        return told is not None and bool(index.min() <= pd.Timestamp(told))
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"{run.folder}: source.train_end is {told!r}; damaged.") from error


def is_later(panel: Panel, fitted: Fitted) -> bool:
    """Whether a table begins after the last row of the training's table."""
    first, last = panel.index.min(), fitted.context.index.max()
    return isinstance(last, pd.Timestamp) and bool(first > last)


def score_run(run: Run, baselines: Mapping[str, Predictor], season: int) -> Report:
    """Score the whole, its parts and the baselines on the same windows."""
    fitted, panel = run.fitted, run.table
    if panel.is_many:
        return _score_many(run, baselines, season)
    borders = fitted.borders if run.is_trained_table else None
    final = borders is None and fitted.final is not None and is_later(panel, fitted)
    panel = fitted.beside(panel, final=True) if final else panel
    predictors = {**run.forecaster.predictors(final=final), **baselines}
    whole = panel.whole(fitted.lookback, fitted.horizon)
    scores = score_all(predictors, whole, borders, fitted.scaler)
    history = panel.values if borders is None else panel.values[: borders.train]
    last_part = list(scores)[-1]
    return Report(
        split="all rows" if borders is None else fitted.split,
        borders=borders,
        overlaps=borders is None and _overlaps(run, panel.index),
        model="final" if final else "split",
        scores=scores,
        gains=_gains(scores[last_part], fitted.horizon),
        table=score_table(scores),
        variates=variate_table(
            scores[last_part][WHOLE],
            fitted.scaler,
            panel.columns,
            seasonal_error(history, min(season, len(history) - 1)),
        ),
    )


def _score_many(run: Run, baselines: Mapping[str, Predictor], season: int) -> Report:
    """The same over many series: beside errors of all windows means over the series of the last part."""
    fitted, panel = run.fitted, run.table
    trained = run.is_trained_table
    parts: Mapping[str, Windows]
    final = not trained and fitted.final is not None and is_later(panel, fitted)
    panel = fitted.beside(panel, final=True) if final else panel
    if trained:
        parts = {name: w for name, w in run.parts.items() if name != "train" and len(w)}
    else:
        parts = {"all": _whole_series(panel, fitted)}
    predictors = {**run.forecaster.predictors(final=final), **baselines}
    scores = {
        part: {
            name: score(p, replace(windows, lookback=p.lookback), fitted.scaler)
            for name, p in predictors.items()
        }
        for part, windows in parts.items()
    }
    last_part = list(parts)[-1]
    windows = parts[last_part]
    assert isinstance(windows, SeriesWindows)
    by_series = {
        name: series_errors(p, replace(windows, lookback=p.lookback), panel, season)
        for name, p in predictors.items()
    }
    table = score_table(scores)
    for metric in ("smape", "mase", "rmsse"):
        table[f"{last_part}_{metric}"] = {n: e[metric].mean() for n, e in by_series.items()}
    return Report(
        split=fitted.split if trained else "all rows",
        borders=fitted.borders if trained else None,
        overlaps=not trained and _overlaps(run, panel.index),
        model="final" if final else "split",
        scores=scores,
        gains=_gains(scores[last_part], fitted.horizon),
        table=table,
        variates=by_series[WHOLE],
    )


def _whole_series(panel: Panel, fitted: Fitted) -> Windows:
    """All windows of a table that was not trained on, those of short series too.

    Raises:
        DataError: if no series is long enough for one.
    """
    windows = panel.whole(fitted.lookback, fitted.horizon)
    if len(windows) == 0:
        raise DataError(
            f"too few rows: no series has {fitted.horizon + 1}, a horizon and one before it, and only rows "
            f"of this table are read; bring those before too, {fitted.lookback} for a whole lookback."
        )
    return windows
