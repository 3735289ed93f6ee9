"""`STanHopForecaster`: the scikit-learn estimator around STanHop-Net."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from stanhop_app.data.given import table_of, tell
from stanhop_app.data.native import is_table
from stanhop_app.data.panel import Panel
from stanhop_app.data.reading import ReadingConfig, masks
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import Split
from stanhop_app.errors import OptionError
from stanhop_app.forecasting import artefact
from stanhop_app.forecasting.combination import Combination
from stanhop_app.forecasting.evaluation import Predictor, score_all
from stanhop_app.forecasting.fit import Prepared, fit, prepare
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.forecasting.intervals.sampling import Sampling
from stanhop_app.forecasting.outlook.outlook import Outlook
from stanhop_app.forecasting.update import updated
from stanhop_app.models.config import STanHopConfig
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.options import checked, plain
from stanhop_app.training.config import FinalKind, Loss, MemoryKind, TrainingConfig

Table = pd.DataFrame | np.ndarray
OF_THE_TABLE = {"num_variates", "future_features", "past_features", "static_features"}


class STanHopForecaster(Sampling, BaseEstimator):
    """Forecast a multivariate series with STanHop-Net.

    ``fit`` splits the table in time order, scales by the training rows, trains the deep part with early
    stopping on validation, fits the linear part in closed form and combines the two on validation.

    Args:
        horizon: time steps forecast by one pass of the network.
        lookback: time steps that it reads (the deep part the latest 336 of them at most).
        split: "A/B/C" or a name (`stanhop_app.data.windows.split_rows`). Nothing that is scored saw
            test rows (C); "4/1/0" trains and validates on everything.
        association: "softmax1" (outlier-efficient), "softmax", "sparsemax", "entmax15" or "entmax".
        clip: (gamma, zeta) of clipped retrieval, or None.
        gate: None, "linear", "mlp" or "all_heads".
        linear_skip: whether the linear part stands beside the deep one.
        future_covariates: columns known ahead; rows after the last value hold those of the future.
        past_covariates: columns known up to the last value.
        static_covariates: columns that are the same in all rows of a series.
        calendar_features: whether cycles of day, week and year are tried as covariates
            (`stanhop_app.forecasting.effects.regression`).
        holidays: country whose public holidays are covariates, such as "AT" or "US-NY".
        final: what ``predict`` uses fitted again on all rows, test rows too: "all", the "linear" part
            alone, or "none" (`stanhop_app.forecasting.final`). Scores are those of the split.
        memory: "plug": an external memory corrects forecasts, where validation says that it is better
            (`stanhop_app.forecasting.external`); "none".
        loss: "mse", "mae" or "huber", of the deep part.
        max_epochs: passes over the training windows.
        learning_rate: top of the one-cycle schedule.
        batch_size: windows in a step.
        missing: "error", "interpolate", "ffill" or "zero", or by column: "ffill,sales=zero"
            (`stanhop_app.data.reading.filling`).
        frequency: pandas alias of the rows; None: inferred.
        reading: further fields of `ReadingConfig` by name, such as ``{"time_column": "when"}``: how
            frames are read by ``fit`` and ``predict``.
        network: further fields of `STanHopConfig` by name, such as ``{"dim": 256, "num_layers": 11}``.
        training: further fields of `TrainingConfig` by name, such as ``{"max_steps": 100}``.
        seed: fixes the result, on CPU to the bit.
        device: "auto", "cpu", "cuda" or "mps".
        progress: whether to draw a progress bar; None: only on a terminal.

    Attributes:
        fitted_: all of the following in one frozen record, `stanhop_app.forecasting.fitted.Fitted`.
        network_: the `STanHopNet` that is scored; ``network_(x)`` maps scaled (B, T, C) to (B, L, C).
        columns_: names of the variates, in the network's order.
        frequency_: pandas alias, or None after a fit on an array.
        scaler_: `Scaler` of the training rows.
        borders_: `Split` in rows.
        combination_: weights of the two parts, or None without a linear part.
        linear_: what validation chose of the linear part (`LinearFit.summary`), or None without one.
        history_: one row an epoch.
        outliers_: one row a measured step and module, or None.
        context_: the last ``lookback`` rows, from which ``predict()`` forecasts.
        seen_: which rows what forecasts was fitted on, in words.
        source_: what a run's table was read from and how; empty if that is not known.
        metrics_: scores that a run keeps, or None.

    Examples:
        >>> from stanhop_app import STanHopForecaster, datasets
        >>> frame = datasets.load("sample")
        >>> forecaster = STanHopForecaster(horizon=24, training={"max_steps": 2})
        >>> forecaster.fit(frame).predict().shape
        (24, 4)
    """

    def __init__(
        self,
        horizon: int = 24,
        lookback: int = 512,
        *,
        split: str = "14/5/5",
        association: str = "softmax1",
        clip: tuple[float, float] | None = None,
        gate: str | None = None,
        linear_skip: bool = True,
        future_covariates: Sequence[str] | None = None,
        past_covariates: Sequence[str] | None = None,
        static_covariates: Sequence[str] | None = None,
        calendar_features: bool = False,
        holidays: str | None = None,
        final: FinalKind = "linear",
        memory: MemoryKind = "none",
        loss: Loss = "mse",
        max_epochs: int = 6,
        learning_rate: float = 3e-3,
        batch_size: int = 64,
        missing: str = "error",
        frequency: str | None = None,
        reading: Mapping[str, Any] | None = None,
        network: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: bool | None = None,
    ):
        self.horizon = horizon
        self.lookback = lookback
        self.split = split
        self.association = association
        self.clip = clip
        self.gate = gate
        self.linear_skip = linear_skip
        self.future_covariates = future_covariates
        self.past_covariates = past_covariates
        self.static_covariates = static_covariates
        self.calendar_features = calendar_features
        self.holidays = holidays
        self.final = final
        self.memory = memory
        self.loss = loss
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.missing = missing
        self.frequency = frequency
        self.reading = reading
        self.network = network
        self.training = training
        self.seed = seed
        self.device = device
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that there is no target and that rows are a time order."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.non_deterministic = False
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; of the network and its training also single ones, ``network__dim=128``.

        Raises:
            OptionError: for a name that there is not.
        """
        for outer in ("network", "training", "reading"):
            inner = {k: params.pop(k) for k in list(params) if k.startswith(f"{outer}__")}
            if inner:
                given = {name.partition("__")[2]: value for name, value in inner.items()}
                params[outer] = {**(params.get(outer, getattr(self, outer)) or {}), **given}
                checked(params[outer], *self._groups()[outer], outer)
        return super().set_params(**params)

    def _groups(self) -> dict[str, tuple[type, set[str]]]:
        """Configs of further fields, and those of their fields that are parameters of their own."""
        own = set(self._get_param_names())
        return {
            "network": (STanHopConfig, own | OF_THE_TABLE),
            "training": (TrainingConfig, own),
            "reading": (ReadingConfig, own),
        }

    def network_config(self, num_variates: int) -> STanHopConfig:
        """The architecture that ``fit`` builds for so many variates."""
        further = checked(self.network, *self._groups()["network"], "network")
        flat = {**self._own(STanHopConfig), "holes": masks(self.missing)}
        return STanHopConfig(num_variates=num_variates, **plain({**flat, **further}))

    def training_config(self) -> TrainingConfig:
        """The training options that ``fit`` uses."""
        further = checked(self.training, *self._groups()["training"], "training")
        return TrainingConfig(**plain({**self._own(TrainingConfig), **further}))

    def _reading(self) -> dict[str, Any]:
        """How frames are read."""
        further = checked(self.reading, *self._groups()["reading"], "reading")
        return {**self._own(ReadingConfig), **further}

    def _own(self, config: type) -> dict[str, Any]:
        """Parameters of the forecaster that are fields of a config."""
        names = set(self._get_param_names())
        return {f.name: getattr(self, f.name) for f in fields(config) if f.name in names}

    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        run_folder: Path | None = None,
        resume: bool = False,
        outlier_steps: int | None = None,
    ) -> Self:
        """Fit on a table (time index or time column, wide or long) or an array (N, C).

        Args:
            X: the history: a frame or series of pandas, polars, pyarrow or another library of dataframes,
                or an array, which is a series without time stamps. A `Panel` is taken as it is, its
                own split and scaler instead of the forecaster's.
            y: ignored, for pipelines.
            run_folder: where checkpoints and history are kept; None writes nothing.
            resume: go on from the checkpoint in ``run_folder``.
            outlier_steps: optimiser steps between measurements of the deep part's outliers on the first
                validation windows, kept in ``outliers_`` and in ``run_folder``; None: none.

        Raises:
            DataError: naming what is wrong with the table.
            OptionError: for options that do not fit together.
        """
        self.fit_prepared(
            self.prepare(X),
            run_folder=run_folder,
            resume=resume,
            outlier_steps=outlier_steps,
            named=isinstance(X, Panel | SeriesTable) or is_table(X),
        )
        tell(self.fitted_.notes)
        return self

    def prepare(self, X: Any) -> Prepared:
        """Raise whatever ``fit`` would raise before it trains; else return what it would train on."""
        training = self.training_config()
        for name, kind in (("final", FinalKind), ("memory", MemoryKind)):
            if (given := getattr(self, name)) not in get_args(kind):
                raise OptionError(
                    f"{name} must be one of {', '.join(get_args(kind))}, got {given!r}."
                )
        if self.memory != "none" and not self.linear_skip:
            raise OptionError(
                f"memory {self.memory!r} needs the linear part; leave linear_skip on."
            )
        panel = (
            X
            if isinstance(X, Panel)
            else Panel.of_any(table_of(X, self._reading(), self), self.split)
        )
        network = self.network_config(len(panel.columns))
        calendar, holidays = self.calendar_features, self.holidays
        return prepare(panel, network, training, calendar=calendar, holidays=holidays)

    def fit_prepared(
        self,
        prepared: Prepared,
        *,
        run_folder: Path | None = None,
        resume: bool = False,
        outlier_steps: int | None = None,
        named: bool = True,
    ) -> Self:
        """Fit on what `prepare` returned; ``named``: whether its columns have names of the user's."""
        self._take(
            fit(
                prepared,
                run_folder=run_folder,
                resume=resume,
                outlier_steps=outlier_steps,
                final=self.final,
                memory=self.memory,
                progress=self.progress,
            ),
            named=named,
        )
        return self

    def _take(self, fitted: Fitted, *, named: bool) -> None:
        """Become the forecaster that a fit made."""
        self.fitted_ = fitted
        self.n_features_in_ = len(fitted.columns)
        if named:
            self.feature_names_in_ = np.array(fitted.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    @property
    def network_(self) -> STanHopNet:
        return self.fitted_.network

    @property
    def columns_(self) -> list[str]:
        return list(self.fitted_.columns)

    @property
    def frequency_(self) -> str | None:
        return self.fitted_.frequency

    @property
    def scaler_(self) -> Scaler:
        return self.fitted_.scaler

    @property
    def borders_(self) -> Split:
        return self.fitted_.borders

    @property
    def combination_(self) -> Combination | None:
        return self.fitted_.combination

    @property
    def linear_(self) -> dict[str, Any] | None:
        return self.fitted_.linear

    @property
    def history_(self) -> list[dict[str, float]]:
        return self.fitted_.history

    @property
    def outliers_(self) -> pd.DataFrame | None:
        return self.fitted_.outliers

    @property
    def source_(self) -> Mapping[str, Any]:
        return self.fitted_.source

    @property
    def metrics_(self) -> Mapping[str, Any] | None:
        return self.fitted_.metrics

    @property
    def context_(self) -> pd.DataFrame:
        return self.fitted_.context

    @property
    def seen_(self) -> str:
        return self.fitted_.seen

    @property
    def outlook_(self) -> Outlook:
        return self.fitted_.outlook

    def predict(
        self,
        X: Any = None,
        horizon: int | None = None,
        *,
        ids: Sequence[str] | None = None,
        future: Any = None,
        levels: Sequence[float] | None = None,
    ) -> Table:
        """Forecast the steps after the last row, of one series or of each of many.

        Args:
            X: history of any series with the trained columns, at least ``lookback`` rows; None: the one
                that was fitted. After a fit on many series a long table of any, shorter ones too; one that
                was not fitted is scaled by its own rows.
            horizon: steps; beyond the trained horizon the forecast rolls on from itself.
            ids: names of the series that are forecast, of many; None: all.
            future: what is known of the steps that are forecast: a frame of time stamps, ids if there are
                many series, and all ``future_covariates``. None: the rows of the table after its last value.
            levels: coverages in percent of intervals beside the points (`predict_interval`).

        Returns:
            A frame with future time stamps in original units; an array (horizon, C) for an array; a long
            frame of ids, time stamps and values for many series.

        Raises:
            DataError: if columns or frequency differ from the trained ones, or rows are too few.
            OptionError: for ids of a wide table, and names that are not there.
        """
        check_is_fitted(self)
        fitted = self.fitted_
        steps = fitted.horizon if horizon is None else horizon
        if levels is not None:
            if steps != fitted.horizon:
                raise OptionError(f"levels are of the trained horizon, {fitted.horizon} steps.")
            return self.predict_interval(X, levels, ids=ids, future=future)
        return self._forecast(X, steps, ids, future)

    def _model(self, windows: np.ndarray, **beside: np.ndarray) -> np.ndarray:
        return self.fitted_.forecast_windows(windows, **beside)

    def update(self, X: Any, *, steps: int = 0) -> Self:
        """Take in rows that came since: what forecasts the real future is fitted again on all rows.

        Linear part and effects of covariates are fitted again in closed form, with the choices of the fit.
        Scores stay; new series are taken in; gaps before the new rows are filled as ``missing`` says.

        Args:
            X: the rows that came since, or the whole table; its values count.
            steps: optimiser steps of the deep part from its weights on, at a tenth of its learning rate.

        Raises:
            DataError: if rows between those that are kept and the new ones are missing, or none is new.
        """
        check_is_fitted(self)
        new, training = self._trained().later(X, self._reading()), self.training_config()
        how: dict[str, Any] = {"steps": steps, "missing": self.missing, "progress": self.progress}
        self.fitted_, _ = updated(self.fitted_, new, training, **how)
        tell(self.fitted_.notes)
        return self

    def score(self, X: Any, y: object = None) -> float:
        """Negative mean squared error in scaled units over all stride-1 windows of a table."""
        check_is_fitted(self)
        fitted = self.fitted_
        if fitted.series is not None:
            raise OptionError("score takes one table; score many series with stanhop evaluate.")
        trained, reading = self._trained(), self._reading()
        table = (
            trained.frame(X, reading, self) if fitted.known is None else trained.series(X, reading)
        )
        windows = fitted.panel(table).whole(fitted.lookback, fitted.horizon)
        whole = {WHOLE: self.predictors()[WHOLE]}
        return -score_all(whole, windows, None, fitted.scaler)["all"][WHOLE].mse

    def predictors(self, *, final: bool = False) -> dict[str, Predictor]:
        """The whole and, where there are two, its parts, as scored side by side.

        Args:
            final: those of what forecasts the real future, which has seen all rows of the training's table.
        """
        check_is_fitted(self)
        return self.fitted_.predictors(final=final)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the artefact: a folder with ``config.json`` and a file of tensors, no pickle.

        Raises:
            ArtefactError: if there is an artefact already and ``force`` is False.
            BusyError: if another process writes into the folder.
            StorageError: if a file cannot be written; an artefact that was there is kept.
        """
        check_is_fitted(self)
        artefact.save(self.fitted_, self.kept_params(), Path(path), force=force)

    def kept_params(self) -> dict[str, Any]:
        """The parameters that an artefact keeps; JSON values."""
        kept = {k: v for k, v in self.get_params(deep=False).items() if k != "progress"}
        for name in ("future_covariates", "past_covariates", "static_covariates"):
            kept[name] = None if kept[name] is None else list(kept[name])
        kept |= {name: dict(kept[name] or {}) or None for name in ("network", "training")}
        return kept

    def kept_reading(self) -> dict[str, Any]:
        """How tables are read, as an export keeps it; JSON values."""
        kept = self.kept_params()
        own = {f.name: kept[f.name] for f in fields(ReadingConfig) if f.name in kept}
        return {**own, **(kept["reading"] or {})}

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> "STanHopForecaster":
        """Read an artefact that `save` wrote; it predicts on the CPU.

        Args:
            path: the folder.
            device: of a later ``fit``.

        Raises:
            ArtefactError: if it is missing, damaged, foreign or newer than this package.
        """
        return artefact.load(Path(path), lambda fitted, kept: cls._of(fitted, kept, device))

    @classmethod
    def _of(cls, fitted: Fitted, parameters: Mapping[str, Any], device: str) -> "STanHopForecaster":
        forecaster = cls(**{**parameters, "device": device})
        forecaster._take(fitted, named=fitted.frequency is not None)
        forecaster._reading()  # an altered one is told here, not where a table is read
        return forecaster
