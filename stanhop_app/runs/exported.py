"""Forecast with an exported folder. ONNX kinds need onnxruntime and no torch."""

import json
import logging
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stanhop_app.data.context import stamped_context
from stanhop_app.data.frame import to_frame
from stanhop_app.data.match import match_columns, match_frequency, match_zone
from stanhop_app.data.reading import reading_of
from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import read_plain
from stanhop_app.forecasting.rolling import Predict, forecast_after
from stanhop_app.runs.config import EXPORTS
from stanhop_app.training.folder import CONFIG, EXPORT, RUN, belonging, read_config

if TYPE_CHECKING:
    from stanhop_app.forecasting.forecaster import STanHopForecaster

CONTEXT = "context.npy"


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
            predict = onnx_session(path) if path.suffix == ".onnx" else _program(path)
            forecaster = cls(config, context, predict)
            _check_sizes(forecaster, folder)
            return forecaster
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error

    def predict(
        self, X: pd.DataFrame | None = None, horizon: int | None = None
    ) -> pd.DataFrame | np.ndarray:
        """Forecast the steps after the last row, as `STanHopForecaster.predict` does for frames."""
        if X is None:
            table = self.context_
        else:
            table = match_columns(
                to_frame(X, hints=reading_of(self.source_)[1], **self._reading), self.columns_
            )
            match_frequency(table, self.frequency_)
            match_zone(table, self.context_)
        return forecast_after(
            table,
            self._predict_window,
            self.scaler_,
            lookback=self.lookback,
            horizon=self.horizon if horizon is None else horizon,
            frequency=self.frequency_,
        )

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


def onnx_session(path: Path) -> Predict:
    """Windows to forecasts, through ONNX Runtime.

    Raises:
        ArtefactError: if it is not installed or cannot read the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ArtefactError(
            f"{path}: needs onnxruntime, which is not installed: pip install onnxruntime."
        ) from None
    content = read_plain(path)
    # The key of a file beside the model: runtimes up to 1.23 read it wherever it lies.
    if b"location" in content:
        raise ArtefactError(f"{path}: names data outside of itself, which is not read.")
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
    except Exception as error:  # onnxruntime's errors have no common class of their own
        logging.getLogger(__name__).debug("onnxruntime", exc_info=True)
        raise ArtefactError(f"{path}: onnxruntime cannot read it ({error}).") from None

    def predict(windows: np.ndarray) -> np.ndarray:
        forecast: np.ndarray = session.run(None, {given.name: windows})[0]
        return forecast

    return predict


def _refuse_pickles(path: Path) -> None:
    """Raise OptionError for an archive in which torch would unpickle something: ours hold none."""
    with zipfile.ZipFile(path) as archive:
        if len(set(archive.namelist())) < len(archive.namelist()):
            raise OptionError("it holds two entries of one name")
        for entry in archive.infolist():
            name = entry.filename
            if name.endswith((".pt", ".pkl", ".pickle")) and entry.file_size:
                raise OptionError(f"it holds {name}, which could run code")
            if name.endswith(("weights_config.json", "constants_config.json")):
                for tensor in json.loads(archive.read(name))["config"].values():
                    plain = tensor["path_name"].startswith(("weight_", "tensor_"))
                    if tensor["use_pickle"] or not plain:
                        raise OptionError(f"{name} names pickled tensors, which could run code")


def _program(path: Path) -> Predict:
    import torch

    try:
        _refuse_pickles(path)
        module = torch.export.load(path).module()
    except Exception as error:  # whatever a damaged archive makes it raise
        raise ArtefactError(f"{path}: torch cannot read it ({error}).") from None

    def predict(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            forecast: np.ndarray = module(torch.from_numpy(windows).clone()).numpy()
        return forecast

    return predict
