"""All that forecast at the cut-offs of a backtest, and what their intervals are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stanhop_app.data.frequency import season_length
from stanhop_app.data.panel import Panel
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.baselines import last_value, seasonal_naive
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.forecasting.intervals.adaptive import Followed
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.forecasting.intervals.conformal import conformal
from stanhop_app.forecasting.intervals.intervals import Intervals, grown_intervals, intervals_of
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.origins import Origins, begins_alike
from stanhop_app.runs.backtest.record import MOST_VALUES
from stanhop_app.runs.backtest.walking import Standing, Updated, Walker, constant, reading
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import baselines_of

UPDATED, REFITTED = f"{WHOLE}, updated", f"{WHOLE}, refitted"
"""Names of the models that take in what came since."""
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Team:
    """All that forecast."""

    run: Run
    config: BacktestConfig
    standing: Mapping[str, Predictor]
    """Predictors that stay as they are fitted, the whole first."""
    follows: bool
    """Whether what came since is taken in."""
    season: int

    @classmethod
    def of(cls, run: Run, config: BacktestConfig, say: Say) -> "Team":
        fitted, panel = run.fitted, run.table
        season = int(run.source.get("season") or _season(fitted))
        if run.folder is None or "baselines_sha256" not in run.source:
            say("the run keeps no baselines: last value and seasonal naive stand beside it")
            baselines = {
                "last value": last_value(fitted.horizon),
                "seasonal naive": seasonal_naive(fitted.horizon, season),
            }
        else:
            baselines = baselines_of(run)
        alone = not (panel.is_many or fitted.series is not None or fitted.known is not None)
        follows = alone and (run.is_trained_table or begins_alike(fitted, panel))
        if config.refit and not follows:
            raise OptionError(
                "refit is of one table without covariates that begins with the rows of the training."
            )
        if config.update and not follows:
            say(
                "nothing follows what came since: that is of one table without covariates that begins with "
                "the rows of the training"
            )
        return cls(
            run=run,
            config=config,
            standing={WHOLE: run.forecaster.predictors()[WHOLE], **baselines},
            follows=follows,
            season=season,
        )

    @property
    def lookback(self) -> int:
        """The longest of all."""
        return max(predictor.lookback for predictor in self.standing.values())

    @property
    def names(self) -> list[str]:
        """All models, in the order of the table."""
        own = [WHOLE]
        own += [UPDATED] if self.follows and self.config.update else []
        own += [REFITTED] if self.config.refit else []
        return [*own, *(name for name in self.standing if name != WHOLE)]

    def check(self, origins: Origins) -> None:
        """Refuse more values than are kept."""
        variates = len(self.run.fitted.columns)
        values = len(origins.numbers) * origins.windows.horizon * variates * len(self.names)
        if values > MOST_VALUES:
            raise OptionError(
                f"{origins.count:,} cut-offs make {values:,} values; at most {MOST_VALUES:,} are kept: give "
                "a larger --stride, or fewer --origins."
            )

    def walkers(self, origins: Origins) -> dict[str, Walker]:
        """All but the one that is fitted anew."""
        run, fitted, panel = self.run, self.run.fitted, self.run.table
        known, intervals = self._validation(), intervals_of(fitted)
        stand = dict(self.standing)
        stand[WHOLE] = run.forecaster.predictors(final=origins.final)[WHOLE]
        validation = known.windows(self.lookback, fitted.horizon)["validation"]
        walkers: dict[str, Walker] = {}
        for name in self.names:
            if name == UPDATED:
                levels = Followed(LEVELS, len(fitted.columns))
                walkers[name] = Updated(
                    fitted, panel, fitted.network, levels, self._grown(intervals)
                )
            elif name != REFITTED:
                own = self.standing[name]  # residuals of what was not fitted on them
                windows = replace(validation, lookback=own.lookback)
                own_table = run.is_trained_table or begins_alike(fitted, panel)
                spread = reading(intervals, LEVELS, timed=own_table)
                if name != WHOLE:
                    spread = constant(conformal(own, windows, LEVELS))
                walkers[name] = Standing(predictor=stand[name], spread=spread)
        return walkers

    def _grown(self, intervals: Intervals) -> Intervals:
        """The intervals with what was missed of all rows of the table."""
        fitted, panel = self.run.fitted, self.run.table
        if len(panel) == len(fitted.rows):
            return intervals
        return grown_intervals(fitted, panel)

    def _validation(self) -> Panel:
        """The table of the training, for its validation windows."""
        run, fitted = self.run, self.run.fitted
        if run.is_trained_table:
            return run.table
        if len(fitted.rows) < fitted.num_rows:
            raise DataError(
                f"intervals need all rows of the training, of which the last {len(fitted.rows):,} of "
                f"{fitted.num_rows:,} are kept; give its table."
            )
        many = fitted.series is not None or fitted.known is not None
        return fitted.panel(fitted.outlook.kept() if many else fitted.rows)

    def refitted(
        self, row: int, levels: Followed, folder: Path | None, progress: bool | None
    ) -> Updated:
        """A forecaster trained on all rows before one, as the run was, its validation part as long."""
        run, frame = self.run, self.run.table.frame
        borders = run.fitted.borders
        parameters = run.forecaster.kept_params()
        parameters["split"] = f"*/{borders.validation - borders.train}/0"
        forecaster = STanHopForecaster(**parameters, progress=progress)
        forecaster.fit(frame.iloc[:row], run_folder=folder, resume=_resumes(folder))
        fitted = forecaster.fitted_
        panel = fitted.panel(frame)
        known = grown_intervals(fitted, panel)
        return Updated(fitted, panel, fitted.forecasting, levels, known)


def _season(fitted: Fitted) -> int:
    return 1 if fitted.frequency is None else season_length(fitted.frequency)


def _resumes(folder: Path | None) -> bool:
    return folder is not None and (folder / "checkpoint.safetensors").exists()
