"""Forecast with an exported folder. ONNX kinds need onnxruntime and no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import clock
from stanhop_app.data.context import stamped_context
from stanhop_app.data.frame import to_frame
from stanhop_app.data.match import match_columns, match_frequency, match_zone
from stanhop_app.data.reading import reading_of
from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.forecasting.intervals.carried import Carried
from stanhop_app.forecasting.intervals.levels import (
    Bands,
    bands_of,
    bounded,
    check_quantiles,
    end_name,
    levels_of,
)
from stanhop_app.forecasting.outlook.rolling import Predict, forecast_after
from stanhop_app.runs.config import EXPORTS
from stanhop_app.runs.session import onnx_session, program_session
from stanhop_app.training.folder import CONFIG, EXPORT, RUN, belonging, read_config

if TYPE_CHECKING:
    from stanhop_app.forecasting.forecaster import STanHopForecaster

CONTEXT = "context.npy"
INTERVALS = "intervals.safetensors"
"""Name of the file of what intervals are read from; older exports have none."""


class ExportedForecaster:
    """A fitted forecaster that was exported: it predicts, and can do nothing else.

    Make one with `stanhop_app.runs.exporting.export_run` or ``stanhop export``.

    Attributes:
        kind: "onnx", "onnx-int8" or "torch-export".
        columns_: names of the variates.
        frequency_: pandas alias.
        horizon: steps of one pass.
        lookback: rows that it reads.
        association: of the network.
        split: of the training.
        source_: what the run was trained on; empty if that is not known.
        context_: the last rows of that table.
        seen_: which rows it was fitted on, in words.
    """

    _carried: Carried | None = None

    def __init__(self, config: dict[str, Any], context: pd.DataFrame, predict: Predict):
        self.kind: str = config["kind"]
        self.columns_: list[str] = list(config["columns"])
        self.frequency_: str | None = config["frequency"]
        self.seen_: str = config.get("seen") or f"of split {config['parameters']['split']}"
        self.source_: dict[str, Any] = config["source"] or {}
        parameters = config["parameters"]
        self.horizon, self.lookback = int(parameters["horizon"]), int(parameters["lookback"])
        self.association, self.split = parameters["association"], parameters["split"]
        self._reading = {
            **(parameters.get("reading") or {}),
            "missing": parameters["missing"],
            "frequency": parameters.get("frequency"),
        }
        self.scaler_ = Scaler(**{k: tuple(v) for k, v in config["scaler"].items()})
        self.context_, self._predict_window = context, predict

    @classmethod
    def load(cls, folder: str | Path, *, trust: bool = False) -> "ExportedForecaster":
        """Read a folder that ``stanhop export`` wrote.

        Args:
            folder: the folder.
            trust: whether a program of torch may be loaded. It can hold expressions that torch evaluates
                and libraries that are loaded: whoever wrote it runs code here. ONNX cannot.

        Raises:
            ArtefactError: if it is missing, damaged, newer than this package, or what runs it is not
                installed.
        """
        folder = Path(folder)
        config = read_config(folder, EXPORT)
        try:
            path, context_file = (
                belonging(folder, name, config["sha256"][name])
                for name in (EXPORTS[config["kind"]], CONTEXT)
            )
            if path.suffix != ".onnx" and not trust:
                raise ArtefactError(
                    f"{path}: a program of torch can run code of whoever wrote it; if that was you, say so "
                    "with --trust (trust=True), or export the run again with --to onnx, which cannot."
                )
            values = np.load(context_file, allow_pickle=False)
            context = stamped_context(values, config)
            predict = onnx_session(path) if path.suffix == ".onnx" else program_session(path)
            forecaster = cls(config, context, predict)
            _check_sizes(forecaster, folder)
            if INTERVALS in config["sha256"]:
                file = belonging(folder, INTERVALS, config["sha256"][INTERVALS])
                sizes = forecaster.horizon, len(forecaster.columns_)
                forecaster._carried = Carried.read(file, *sizes)
            return forecaster
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ArtefactError):
                raise
            raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error

    def predict(
        self, X: pd.DataFrame | None = None, horizon: int | None = None
    ) -> pd.DataFrame | np.ndarray:
        """Forecast the steps after the last row, as `STanHopForecaster.predict` does for frames."""
        return forecast_after(
            self._table(X),
            self._predict_window,
            self.scaler_,
            lookback=self.lookback,
            horizon=self.horizon if horizon is None else horizon,
            frequency=self.frequency_,
        )

    def _table(self, X: pd.DataFrame | None) -> pd.DataFrame:
        """The history: as it is read and matched, or the rows that are kept."""
        if X is None:
            return self.context_
        table = match_columns(
            to_frame(X, hints=reading_of(self.source_)[1], **self._reading), self.columns_
        )
        match_frequency(table, self.frequency_)
        match_zone(table, self.context_)
        return table

    @property
    def way(self) -> str:
        """How residuals are read, in words.

        Raises:
            ArtefactError: if the export has no intervals.
        """
        return str(self._intervals().about["way"])

    def _intervals(self) -> Carried:
        if self._carried is None:
            raise ArtefactError("the export has no intervals; export the run again.")
        return self._carried

    def predict_quantiles(
        self,
        X: pd.DataFrame | None = None,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> pd.DataFrame:
        """Forecast quantiles, as `STanHopForecaster.predict_quantiles` does."""
        check_quantiles(quantiles)
        carried, ends, table = self._intervals(), sorted(set(quantiles)), self._table(X)
        point = self.predict(X)
        if not isinstance(point, pd.DataFrame):
            raise OptionError("intervals need rows with time stamps; the export has none.")
        rows = table.to_numpy(dtype=np.float64)[-self.lookback :]
        when = clock(point.index, self.frequency_)[0]
        made = carried.quantiles(self.scaler_.transform(rows), when, ends)
        values = bounded(made * np.array(self.scaler_.scale) + point.to_numpy(), lower, upper)
        columns = pd.MultiIndex.from_product([point.columns, ends])
        flat = values.transpose(1, 2, 0).reshape(len(point), -1)
        return pd.DataFrame(flat, index=point.index, columns=columns)

    def predict_interval(
        self,
        X: pd.DataFrame | None = None,
        levels: Sequence[float] = (80, 95),
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> pd.DataFrame:
        """Forecast central intervals, as `STanHopForecaster.predict_interval` does."""
        point = self.predict(X)
        made = self.predict_quantiles(X, levels_of(levels), lower=lower, upper=upper)
        assert isinstance(point, pd.DataFrame)
        columns: dict[str, Any] = {}
        for name in point.columns:
            columns[name] = bounded(point[name].to_numpy(), lower, upper)
            for level in levels_of(levels):
                columns[end_name(name, level)] = made[name][level].to_numpy()
        return pd.DataFrame(columns, index=point.index)

    def bands(
        self, X: pd.DataFrame | None = None, levels: Sequence[float] = (80, 95), **bounds: Any
    ) -> Bands:
        """Ends of central intervals by name, the widest first, as figures draw them."""
        return bands_of(self.predict_quantiles, levels, X=X, **bounds)

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """(B, T, C) -> (B, L, C), float32, scaled units."""
        return self._predict_window(np.ascontiguousarray(windows, dtype=np.float32))


def _check_sizes(forecaster: ExportedForecaster, folder: Path) -> None:
    """Refuse a model that maps windows of the size that the configuration tells to something else.

    Raises:
        ArtefactError: if it does.
    """
    columns = len(forecaster.columns_)
    window = np.zeros((1, forecaster.lookback, columns), dtype=np.float32)
    try:
        shape = forecaster.predict_windows(window).shape
    except Exception as error:  # neither runtime's errors have a class of their own
        reason = " ".join(str(error).split())[:200]
        raise ArtefactError(f"{folder / CONFIG}: does not fit the model ({reason}).") from None
    wanted = (1, forecaster.horizon, columns)
    if shape != wanted:
        raise ArtefactError(
            f"{folder / CONFIG}: does not fit the model, which forecasts {shape}, not {wanted}."
        )


def load_forecaster(
    folder: Path, *, trust: bool = False
) -> "STanHopForecaster | ExportedForecaster":
    """Whatever can forecast in a folder: a run, or an exported model (then torch is not imported).

    Args:
        folder: the folder.
        trust: of `ExportedForecaster.load`.

    Raises:
        ArtefactError: if the folder is neither, or damaged.
    """
    if read_config(folder, RUN, EXPORT)["format"] == EXPORT:
        return ExportedForecaster.load(folder, trust=trust)
    from stanhop_app.forecasting.forecaster import STanHopForecaster

    return STanHopForecaster.load(folder)
