"""What runs an exported model: ONNX Runtime, without torch, or torch itself."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import read_plain
from stanhop_app.forecasting.outlook.rolling import Predict


def onnx_session(path: Path) -> Predict:
    """Windows, and what lies beside them by keyword, to forecasts, through ONNX Runtime.

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
        given, *beside = (read.name for read in session.get_inputs())
    except Exception as error:  # onnxruntime's errors have no common class of their own
        logging.getLogger(__name__).debug("onnxruntime", exc_info=True)
        raise ArtefactError(f"{path}: onnxruntime cannot read it ({error}).") from None

    def predict(windows: np.ndarray, **known: np.ndarray) -> np.ndarray:
        read = {given: windows, **{name: known[name] for name in beside}}
        forecast: np.ndarray = session.run(None, read)[0]
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


def program_session(path: Path) -> Predict:
    """As `onnx_session`, through a program of torch, which can run code of whoever wrote it.

    Raises:
        ArtefactError: if torch cannot read it.
    """
    import torch

    try:
        _refuse_pickles(path)
        program = torch.export.load(path)
        module, (_, *reads) = program.module(), program.graph_signature.user_inputs
    except Exception as error:  # whatever a damaged archive makes it raise
        raise ArtefactError(f"{path}: torch cannot read it ({error}).") from None

    def predict(windows: np.ndarray, **known: np.ndarray) -> np.ndarray:
        beside = {name: torch.from_numpy(known[name]).clone() for name in reads}
        with torch.no_grad():
            forecast: np.ndarray = module(torch.from_numpy(windows).clone(), **beside).numpy()
        return forecast

    return predict
