"""`STanHopForecaster`: the scikit-learn estimator around STanHop-Net."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from stanhop_app.data.frame import (
    Missing,
    fingerprint,
    frame_frequency,
    to_frame,
)
from stanhop_app.data.match import match_columns, match_frequency
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows, split_rows, split_windows
from stanhop_app.forecasting.combination import Combination, join
from stanhop_app.forecasting.evaluation import score_all
from stanhop_app.forecasting.linear import fit_linear
from stanhop_app.forecasting.predictor import Predictor
from stanhop_app.forecasting.rolling import forecast_after
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.config import Loss, TrainingConfig
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OUTLIERS, OutlierLog

Table = pd.DataFrame | np.ndarray
WHOLE, DEEP, LINEAR = "STanHop-Net", "deep part", "linear part"


class STanHopForecaster(BaseEstimator):
    """Forecast a multivariate series with STanHop-Net.

    ``fit`` splits the table in time order, scales by the training rows, trains the deep part with early
    stopping on validation, fits the linear part in closed form and combines the two on validation.

    Args:
        horizon: time steps forecast by one pass of the network.
        lookback: time steps that it reads (the deep part the latest 336 of them at most).
        split: "A/B/C" or a name (`stanhop_app.data.windows.split_rows`). Test rows (C) are never used
            by ``fit``; "4/1/0" trains and validates on everything.
        association: "softmax1" (outlier-efficient), "softmax", "sparsemax", "entmax15" or "entmax".
        clip: (gamma, zeta) of clipped retrieval, or None.
        gate: None, "linear", "mlp" or "all_heads".
        linear_skip: whether the linear part stands beside the deep one.
        loss: "mse", "mae" or "huber", of the deep part.
        max_epochs: passes over the training windows.
        learning_rate: top of the one-cycle schedule.
        batch_size: windows in a step.
        missing: "error", "interpolate" or "ffill" (`stanhop_app.data.frame.to_frame`).
        network: further fields of `STanHopConfig` by name, such as ``{"dim": 256, "num_layers": 11}``.
        training: further fields of `TrainingConfig` by name, such as ``{"max_steps": 100}``.
        seed: fixes the result, on CPU to the bit.
        device: "auto", "cpu", "cuda" or "mps".
        progress: whether to draw a progress bar; None: only on a terminal.

    Attributes:
        network_: the fitted `STanHopNet`; ``network_(x)`` maps scaled (B, T, C) to (B, L, C).
        columns_: names of the variates, in the network's order.
        frequency_: pandas alias, or None after a fit on an array.
        scaler_: `Scaler` of the training rows.
        borders_: `Split` in rows.
        combination_: weights of the two parts, or None without a linear part.
        linear_: what validation chose of the linear part (`LinearFit.summary`), or None without one.
        history_: one row an epoch.
        outliers_: one row a measured step and module, or None.
        context_: the last ``lookback`` rows, from which ``predict()`` forecasts.

    Examples:
        >>> from stanhop_app import STanHopForecaster, datasets
        >>> frame = datasets.load("sample")
        >>> forecaster = STanHopForecaster(horizon=24, max_epochs=1)
        >>> forecaster.fit(frame).predict().shape  # doctest: +SKIP
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
        loss: Loss = "mse",
        max_epochs: int = 6,
        learning_rate: float = 3e-3,
        batch_size: int = 64,
        missing: Missing = "error",
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
        self.loss = loss
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.missing = missing
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

    def network_config(self, num_variates: int) -> STanHopConfig:
        """The architecture that ``fit`` builds for so many variates."""
        own = {"horizon", "lookback", "association", "clip", "gate", "linear_skip"}
        further = _checked(self.network, STanHopConfig, own | {"num_variates"}, "network")
        flat = {name: getattr(self, name) for name in own}
        return STanHopConfig(num_variates=num_variates, **_plain({**flat, **further}))

    def training_config(self) -> TrainingConfig:
        """The training options that ``fit`` uses."""
        own = {"loss", "max_epochs", "learning_rate", "batch_size", "seed", "device"}
        further = _checked(self.training, TrainingConfig, own, "training")
        return TrainingConfig(**_plain({**{name: getattr(self, name) for name in own}, **further}))

    def fit(
        self,
        X: Table,
        y: object = None,
        *,
        run_folder: Path | None = None,
        resume: bool = False,
        outlier_steps: int | None = None,
    ) -> Self:
        """Fit on a frame (time index or time column, wide or long) or an array (N, C).

        Args:
            X: the history; an array is a series without time stamps.
            y: ignored, for pipelines.
            run_folder: where checkpoints and history are kept; None writes nothing.
            resume: go on from the checkpoint in ``run_folder``.
            outlier_steps: optimiser steps between measurements of the deep part's outliers on the first
                validation windows, kept in ``outliers_`` and in ``run_folder``; None: none.

        Raises:
            DataError: naming what is wrong with the table.
            ValueError: for options that do not fit together.
        """
        training = self.training_config()
        table, borders, scaler, parts, network = self._prepare(X)
        identity = {"split": self.split, "data_sha256": fingerprint(table)}
        log = None
        if outlier_steps is not None:
            batch = parts[1].gather(torch.arange(min(len(parts[1]), training.batch_size)))[0]
            file = None if run_folder is None else run_folder / OUTLIERS
            log = OutlierLog(batch, outlier_steps, file=file)
        self.history_ = train(
            network.deep,
            ForecastTask(parts[0], parts[1], self.loss),
            training,
            folder=run_folder,
            resume=resume,
            identity={**asdict(network.config), **identity},
            progress=self.progress,
            watch=log,
        )
        self.outliers_ = None if log is None else log.table()
        self.combination_: Combination | None
        self.linear_: dict[str, object] | None
        self.combination_, self.linear_ = _add_linear(network, parts[0], parts[1])
        self.network_ = network.eval()
        self.columns_ = list(table.columns)
        self.frequency_ = frame_frequency(table)
        self.scaler_, self.borders_ = scaler, borders
        self.context_ = table.iloc[-self.lookback :].copy()
        self.num_rows_ = len(table)
        self.fingerprint_ = identity["data_sha256"]
        self.n_features_in_ = len(self.columns_)
        if isinstance(X, pd.DataFrame):
            self.feature_names_in_ = np.array(self.columns_, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def check(self, X: Table) -> Split:
        """Raise whatever ``fit`` would raise before it trains; return the borders of the split."""
        self.training_config()
        return self._prepare(X)[1]

    def _prepare(
        self, X: Table
    ) -> tuple[pd.DataFrame, Split, Scaler, tuple[Windows, Windows, Windows], STanHopNet]:
        """Everything that ``fit`` needs before it trains."""
        table = self._read(X, fitted=False)
        config = self.network_config(len(table.columns))
        borders = split_rows(len(table), self.split)
        array = table.to_numpy(dtype=np.float64)
        scaler = Scaler.fit(array[: max(borders.train, 1)])
        scaled = torch.from_numpy(scaler.transform(array))
        parts = split_windows(scaled, borders, config.lookback, config.horizon)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = STanHopNet(config)
        return table, borders, scaler, parts, network

    def predict(self, X: Table | None = None, horizon: int | None = None) -> Table:
        """Forecast the steps after the last row.

        Args:
            X: history of any series with the trained columns, at least ``lookback`` rows; None: the one
                that was fitted.
            horizon: steps; beyond the trained horizon the forecast rolls on from itself.

        Returns:
            A frame with future time stamps in original units; an array (horizon, C) for an array.

        Raises:
            DataError: if columns or frequency differ from the trained ones, or rows are too few.
        """
        check_is_fitted(self)
        return forecast_after(
            self.context_ if X is None else self._read(X, fitted=True),
            self._predict_window,
            self.scaler_,
            lookback=self.lookback,
            horizon=self.horizon if horizon is None else horizon,
        )

    def score(self, X: Table, y: object = None) -> float:
        """Negative mean squared error in scaled units over all stride-1 windows of a table."""
        check_is_fitted(self)
        values = self._read(X, fitted=True)
        scaled = torch.from_numpy(self.scaler_.transform(values.to_numpy(dtype=np.float64)))
        whole = {WHOLE: self.predictors()[WHOLE]}
        return -score_all(whole, scaled, None, self.horizon, self.scaler_)["all"][WHOLE].mse

    def predictors(self) -> dict[str, Predictor]:
        """The whole and, where there are two, its parts, as scored side by side."""
        check_is_fitted(self)
        network = self.network_
        named = {WHOLE: Predictor(predict=network, lookback=self.lookback)}
        if self.linear_skip:
            named[DEEP] = Predictor(predict=network.deep, lookback=self.lookback)
            named[LINEAR] = Predictor(predict=network.linear, lookback=self.lookback)
        return named

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the artefact: a folder with ``config.json`` and ``model.safetensors``, no pickle.

        Raises:
            ArtefactError: if there is an artefact already and ``force`` is False.
        """
        from stanhop_app.forecasting.artefact import save

        save(self, Path(path), force=force)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> "STanHopForecaster":
        """Read an artefact that `save` wrote.

        Raises:
            ArtefactError: if it is missing, damaged, foreign or newer than this package.
        """
        from stanhop_app.forecasting.artefact import load

        return load(Path(path), device=device)

    @torch.no_grad()
    def _predict_window(self, window: np.ndarray) -> np.ndarray:
        """(1, T, C) -> (1, L, C), scaled."""
        # In memory of torch's own: how numpy's is aligned would change the last bit.
        forecast: np.ndarray = self.network_(torch.from_numpy(window).clone()).numpy()
        return forecast

    def _read(self, X: Table, *, fitted: bool) -> pd.DataFrame:
        """Check a table and return it with its columns in the network's order."""
        if isinstance(X, pd.DataFrame):
            frame = to_frame(X, missing=self.missing)
            if fitted:
                frame = match_columns(frame, self.columns_)
                match_frequency(frame, self.frequency_)
            return frame
        if isinstance(X, str | Path):
            raise ValueError(
                f"X must be a frame or an array, got {str(X)!r}; read a file with "
                "stanhop_app.data.frame.read_frame."
            )
        array = check_array(X, dtype=np.float64, ensure_min_samples=2, estimator=self)
        if fitted and array.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {array.shape[1]} features, but STanHopForecaster is expecting "
                f"{self.n_features_in_} features as input."
            )
        names = self.columns_ if fitted else [f"x{i}" for i in range(array.shape[1])]
        return pd.DataFrame(array, columns=names)


def forecast(frame: pd.DataFrame, horizon: int = 24, **options: Any) -> pd.DataFrame:
    """Fit a forecaster on all rows of a frame and forecast the steps after the last one.

    Args:
        frame: history, as for `STanHopForecaster.fit`.
        horizon: steps.
        **options: of `STanHopForecaster`; the default split here is 4/1/0, as nothing is scored, and the
            default lookback as much of 512 steps as the rows allow.
    """
    options.setdefault("split", "4/1/0")
    frame = to_frame(frame, missing=options.get("missing", "error"))
    if "lookback" not in options:
        train_rows = len(frame) * 4 // 5
        options["lookback"] = int(np.clip((train_rows - horizon) // 2, 24, 512))
    fitted = STanHopForecaster(horizon=horizon, **options).fit(frame)
    prediction = fitted.predict()
    assert isinstance(prediction, pd.DataFrame)
    return prediction


def _add_linear(
    network: STanHopNet, train: Windows, validation: Windows
) -> tuple[Combination, dict[str, object]] | tuple[None, None]:
    """Fit the linear part and the weights between the parts, in place."""
    if not network.config.linear_skip:
        return None, None
    linear = fit_linear(train, validation)
    return join(network, linear, validation), linear[0].summary()


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numpy, which searches over parameters draw, as those of Python."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}


def _checked(
    given: Mapping[str, Any] | None, config: type, own: set[str], name: str
) -> dict[str, Any]:
    """Further fields for a config, each known and not an argument of its own."""
    known = {f.name for f in fields(config)} - own
    for key in given or {}:
        if key not in known:
            raise ValueError(
                f"unknown option {key!r} in {name}; choose from: {', '.join(sorted(known))}."
            )
    return dict(given or {})
