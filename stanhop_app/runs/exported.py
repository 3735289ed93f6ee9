"""Forecast with an exported folder. ONNX kinds need onnxruntime and no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load

from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import ArtefactError
from stanhop_app.files import read_plain
from stanhop_app.forecasting.intervals.asked import Asked
from stanhop_app.forecasting.intervals.carried import Carried
from stanhop_app.forecasting.intervals.predicting import Probabilistic
from stanhop_app.forecasting.outlook.keeping import restored_outlook
from stanhop_app.forecasting.outlook.outlook import Outlook
from stanhop_app.forecasting.outlook.rolling import Predict
from stanhop_app.runs.config import EXPORTS
from stanhop_app.runs.session import onnx_session, program_session
from stanhop_app.training.folder import CONFIG, EXPORT, RUN, belonging, read_config

if TYPE_CHECKING:
    from stanhop_app.forecasting.forecaster import STanHopForecaster

CONTEXT = "context.npy"
BESIDE = "beside.safetensors"
"""Name of the file of what lies beside the rows of many series, or of a table with covariates."""
INTERVALS = "intervals.safetensors"
"""Name of the file of what intervals are read from; older exports have none."""


class ExportedForecaster(Probabilistic):
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

    def __init__(self, config: dict[str, Any], outlook: Outlook, predict: Predict):
        self.kind: str = config["kind"]
        self.seen_: str = config.get("seen") or f"of split {config['parameters']['split']}"
        self.source_: dict[str, Any] = config["source"] or {}
        parameters = config["parameters"]
        self.horizon, self.lookback = outlook.horizon, outlook.lookback
        self.association, self.split = parameters["association"], parameters["split"]
        # Version 2 kept these two of them apart.
        apart = {name: parameters.get(name) for name in ("missing", "frequency")}
        self._read = {**apart, **(parameters.get("reading") or {})}
        self._outlook, self._predict_window = outlook, predict

    @property
    def outlook_(self) -> Outlook:
        return self._outlook

    @property
    def columns_(self) -> list[str]:
        return list(self._outlook.columns)

    @property
    def frequency_(self) -> str | None:
        return self._outlook.frequency

    @property
    def scaler_(self) -> Scaler:
        return self._outlook.scaler

    @property
    def context_(self) -> pd.DataFrame:
        return self._outlook.context

    def _reading(self) -> dict[str, Any]:
        return self._read

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
            checked = config["sha256"]
            path, context_file = (
                belonging(folder, name, checked[name])
                for name in (EXPORTS[config["kind"]], CONTEXT)
            )
            if path.suffix != ".onnx" and not trust:
                raise ArtefactError(
                    f"{path}: a program of torch can run code of whoever wrote it; if that was you, say so "
                    "with --trust (trust=True), or export the run again with --to onnx, which cannot."
                )
            values = np.load(context_file, allow_pickle=False)
            arrays: dict[str, np.ndarray] = {}
            if BESIDE in checked:
                arrays = load(read_plain(belonging(folder, BESIDE, checked[BESIDE])))
            sizes = {name: int(config["parameters"][name]) for name in ("lookback", "horizon")}
            outlook = restored_outlook(
                config, values, arrays, holes=bool(config.get("holes")), **sizes
            )
            predict = onnx_session(path) if path.suffix == ".onnx" else program_session(path)
            forecaster = cls(config, outlook, predict)
            _check_sizes(forecaster, folder)
            if INTERVALS in checked:
                file = belonging(folder, INTERVALS, checked[INTERVALS])
                forecaster._carried = Carried.read(file, outlook.horizon, len(outlook.columns))
            return forecaster
        except (
            KeyError, TypeError, ValueError, AttributeError, IndexError, SafetensorError,
        ) as error:  # fmt: skip
            if isinstance(error, ArtefactError):
                raise
            raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error

    def predict(
        self,
        X: Any = None,
        horizon: int | None = None,
        *,
        ids: Sequence[str] | None = None,
        future: Any = None,
    ) -> pd.DataFrame | np.ndarray:
        """Forecast the steps after the last row, as `STanHopForecaster.predict` does."""
        return self._forecast(X, self.horizon if horizon is None else horizon, ids, future)

    @property
    def way(self) -> str:
        """How residuals are read, in words.

        Raises:
            ArtefactError: if the export has no intervals.
        """
        return str(self._intervals().about["way"])

    def _intervals(self) -> Carried:
        if self._carried is None:
            raise ArtefactError(
                "the export has no intervals: the run that it was made of had none, or an older version "
                "made it."
            )
        return self._carried

    def _tells(self, asked: Asked) -> np.ndarray:
        return self._intervals().tells(asked.when)

    def _missed(self, windows: np.ndarray, when: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        return self._intervals().quantiles(windows, when, levels)

    def _model(self, windows: np.ndarray, **beside: np.ndarray) -> np.ndarray:
        return self.predict_windows(windows, **beside)

    def predict_windows(self, windows: np.ndarray, **beside: np.ndarray) -> np.ndarray:
        """(B, T, C), and "covariates" and "static" if the model reads some, -> (B, L, C), scaled units."""
        known = {name: np.ascontiguousarray(v, dtype=np.float32) for name, v in beside.items()}
        return self._predict_window(np.ascontiguousarray(windows, dtype=np.float32), **known)


def _check_sizes(forecaster: ExportedForecaster, folder: Path) -> None:
    """Refuse a model that maps windows of the size that the configuration tells to something else.

    Raises:
        ArtefactError: if it does.
    """
    columns, beside = len(forecaster.columns_), forecaster.outlook_.beside
    window = np.zeros((1, forecaster.lookback, columns), dtype=np.float32)
    known = {}
    if beside is not None:
        encoder, steps = beside.encoder, forecaster.lookback + forecaster.horizon
        known = {
            "covariates": np.zeros((1, steps, encoder.num_ahead + encoder.num_past)),
            "static": np.zeros((1, encoder.num_static)),
        }
    try:
        shape = forecaster.predict_windows(window, **known).shape
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
