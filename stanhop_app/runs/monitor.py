"""Whether a run still forecasts as well as on its test part: what came since, against what was scored then.

Forecasts at cut-offs a horizon apart are scored as in a backtest. Their squared errors since the training are
compared with those of the test part by a block bootstrap (`stanhop_app.runs.significance`): by themselves,
and over those of seasonal naive, which tell whether times became harder for everybody. A run is to be trained
again

- if both rose, with their 95% intervals above 1, and the error by more than the tolerance, or
- if the 95% interval of the share of truths within the 80% interval lies more than `DRIFT` away from 80%.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.joined import joined
from stanhop_app.data.match import match_columns
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.external.novelty import energies, of_training, ordinary, percentile
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.runs.backtest.backtest import backtest
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.report import losses
from stanhop_app.runs.made import apart, checked, ends_of
from stanhop_app.runs.run import Run
from stanhop_app.runs.significance import Change, overlap_of, ratio, share

COVERAGE, DRIFT = 80, 5.0
"""The interval, in percent, whose coverage is watched, and how many points it may be off."""
TOLERANCE = 0.1
"""Share by which the error may have risen."""
NEW = 95.0
"""Percentile of the training windows above which a window counts as new."""
NAIVE = "seasonal naive"


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a run is worth now."""

    before: int
    """Cut-offs of the test part."""
    now: int
    """Cut-offs, or forecasts, since."""
    error: Change
    """Mean squared error now over that on the test part."""
    skill: Change
    """The same over what seasonal naive's became: above 1, others did not have it as hard."""
    coverage: Change | None
    """Share of truths within the 80% interval now; None: the forecasts had none."""
    novel: float | None
    """Share of the windows that are newer than 95% of the training's; None without an external memory."""
    tolerance: float

    @property
    def worse(self) -> bool:
        """Whether errors rose beyond the tolerance, and by more than those of seasonal naive."""
        return self.error.low > 1 and self.error.value > 1 + self.tolerance and self.skill.low > 1

    @property
    def drifted(self) -> bool:
        """Whether the 80% interval holds another share than it says."""
        if self.coverage is None:
            return False
        low, high = ((COVERAGE + side * DRIFT) / 100 for side in (-1, 1))
        return self.coverage.high < low or self.coverage.low > high

    @property
    def retrain(self) -> bool:
        """Whether the run is to be trained again."""
        return self.worse or self.drifted

    def sentences(self) -> list[str]:
        """What there is to say."""
        told = [
            f"{self.now:,} forecasts since, beside {self.before:,} of the test part",
            f"squared error, now over then: {self.error}",
            f"the same over seasonal naive's: {self.skill}",
        ]
        if self.coverage is not None:
            told.append(f"truths within the {COVERAGE}% interval: {self.coverage}")
        if self.novel is not None:
            told.append(f"windows newer than {NEW:g}% of the training's: {self.novel:.0%}")
        reasons = [
            *(["its errors rose, beyond those of seasonal naive"] if self.worse else []),
            *(["its intervals hold another share than they say"] if self.drifted else []),
        ]
        harder = self.error.low > 1 + self.tolerance and not self.worse
        told.append(
            f"train it again: {' and '.join(reasons)}"
            if reasons
            else f"no reason to train it again{'; times are harder for everybody' if harder else ''}"
        )
        return told

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "retrain": self.retrain}


def monitor(
    run: Run,
    actuals: pd.DataFrame | None = None,
    *,
    forecasts: Sequence[pd.DataFrame] = (),
    tolerance: float = TOLERANCE,
    missing: str = "error",
) -> Health:
    """Compare what came since the training with the test part.

    Args:
        run: of one table without covariates.
        actuals: rows that came since, or all; None: those that the run took in (`stanhop update`).
        forecasts: that were made, as `predict` or `predict_interval` returned them; none: the run's own
            scored model forecasts at cut-offs a horizon apart.
        tolerance: share by which the error may have risen.
        missing: what is done about rows that are missing in between.

    Raises:
        DataError: if there is no test part, too few rows came since, or a forecast is none of the run's.
        OptionError: if the run is of many series or has covariates, or for a tolerance below 0.
    """
    fitted = run.fitted
    if fitted.series is not None or fitted.known is not None:
        raise OptionError("a run is watched if it is of one table without covariates, so far.")
    if not 0 <= tolerance < math.inf:
        raise OptionError(f"tolerance must be at least 0, got {tolerance:g}.")
    borders = fitted.borders
    if borders.test - borders.validation < fitted.horizon:
        raise DataError(
            "the run has no test part to compare with; train it with one (split A/B/C)."
        )
    frame = _whole(fitted, actuals, missing)
    opened = run.on(frame)
    made = backtest(opened, BacktestConfig(update=False))
    index = pd.DatetimeIndex(frame.index)
    ended = index[borders.test - 1]
    both, covered = losses(made), losses(made, f"coverage_{COVERAGE}")[WHOLE]
    both = both[[WHOLE, NAIVE]]
    cutoffs = pd.DatetimeIndex(both.index)
    places = index.get_indexer(cutoffs)
    before, now = places + fitted.horizon < borders.test, places >= borders.test - 1
    recent, hits, overlap = both[now].to_numpy(), covered[now].to_numpy(), 0
    if forecasts:
        columns = list(fitted.columns)
        read = apart([checked(forecast, index, columns, COVERAGE) for forecast in forecasts])
        since = [forecast for forecast in read if forecast.index[0] > ended]
        recent, hits, overlap = _of_files(since, frame, made.about)
    if not len(recent):
        raise DataError(
            f"nothing to compare: no forecast of {fitted.horizon} steps has come since {ended}, where the "
            "test part ends; bring the rows that came since."
        )
    try:
        known = not np.isnan(hits).all()
        return Health(
            before=int(before.sum()),
            now=len(recent),
            error=ratio(recent[:, 0], both[before].to_numpy()[:, 0], overlap),
            skill=ratio(recent, both[before].to_numpy(), overlap),
            coverage=share(hits, overlap) if known else None,
            novel=_novel(opened, cutoffs[now]),
            tolerance=tolerance,
        )
    except DataError as error:
        raise DataError(f"too few forecasts to tell: {error}") from None


def _whole(fitted: Fitted, actuals: pd.DataFrame | None, missing: str) -> pd.DataFrame:
    """The rows that are kept, with those that came since."""
    if actuals is None:
        return fitted.rows
    new = SeriesTable.of_frame(match_columns(actuals, list(fitted.columns)))
    complete = len(fitted.rows) == fitted.num_rows
    return joined(fitted.outlook.kept(), new, missing, complete=complete).table.frame


def _of_files(
    forecasts: Sequence[pd.DataFrame], frame: pd.DataFrame, about: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Losses of forecasts that came whole, and of seasonal naive (N, 2); shares within intervals; overlap."""
    names = [unit["variate"] for unit in about["units"]]
    scale, season = np.array([unit["scale"] for unit in about["units"]]), int(about["season"])
    rows, hits, spans = [], [], []
    for made in sorted(forecasts, key=lambda made: made.index[0]):
        index = pd.DatetimeIndex(made.index)
        begin = int(frame.index.searchsorted(index[0]))
        came = frame.reindex(index)[names].to_numpy()
        if index[-1] > frame.index[-1] or np.isnan(came).all() or begin < season:
            continue  # not all of it has come
        past = frame[names].to_numpy()[begin - season : begin]
        naive = past[np.arange(len(index)) % season]
        errors = [((side - came) / scale) ** 2 for side in (made[names].to_numpy(), naive)]
        rows.append([float(np.nanmean(error)) for error in errors])
        spans.append((index[0].value, index[-1].value + 1))
        if (ends := ends_of(made, names, COVERAGE)) is not None:
            low, high = ends
            inside = (came >= low) & (came <= high)
            hits.append(float(inside[~np.isnan(came)].mean()))
        else:
            hits.append(np.nan)
    edges = np.array(spans).reshape(-1, 2)
    overlap = overlap_of(edges[:, 0], np.maximum.accumulate(edges[:, 1]))
    return np.array(rows).reshape(-1, 2), np.array(hits), overlap


def _novel(run: Run, cutoffs: pd.DatetimeIndex) -> float | None:
    """Share of the windows before these cut-offs that are newer than most of the training's."""
    fitted, memory = run.fitted, run.fitted.memory
    if memory is None or not of_training(memory) or not len(cutoffs):
        return None
    windows = run.table.whole(fitted.lookback, fitted.horizon)
    rows = np.searchsorted(pd.DatetimeIndex(run.table.index), cutoffs, side="right")
    numbers = torch.from_numpy(rows) - max(windows.first, windows.lookback)
    when, x = windows.when(numbers), windows.gather(numbers)[0]
    newer = percentile(ordinary(memory), energies(memory, x, when))
    return float((newer > NEW).double().mean())
