"""The artefact of a fitted forecaster: a folder that any machine and version can read.

``config.json`` says everything that is not a tensor; ``model.safetensors`` holds the network and the
last rows of the history. Nothing is pickled, nothing in it is executed, and its checksum is verified.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stanhop_app.data.context import stamp, stamped_context
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split
from stanhop_app.errors import ArtefactError
from stanhop_app.files import sha256, write_json
from stanhop_app.forecasting.combination import Combination
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.checkpoint import (
    load_tensors,
    load_weights,
    save_tensors,
    with_prefix,
    without_prefix,
)
from stanhop_app.training.folder import CONFIG, FORMATS, RUN, read_config
from stanhop_app.version import __version__

if TYPE_CHECKING:
    from stanhop_app.forecasting.forecaster import STanHopForecaster

WEIGHTS = "model.safetensors"


def save(forecaster: "STanHopForecaster", folder: Path, *, force: bool) -> None:
    """Write a fitted forecaster; ``config.json`` comes last, so that a folder with it is whole."""
    if (folder / CONFIG).exists() and not force:
        raise ArtefactError(f"{folder}: there is an artefact already; use force=True (--force).")
    folder.mkdir(parents=True, exist_ok=True)
    context = torch.from_numpy(forecaster.context_.to_numpy(dtype=np.float64).copy())
    tensors = {**with_prefix("network", forecaster.network_.state_dict()), "context": context}
    save_tensors(folder / WEIGHTS, tensors, {"format": RUN})
    combination = forecaster.combination_
    config = {
        "format": RUN,
        "format_version": FORMATS[RUN],
        "package_version": __version__,
        "seed": forecaster.seed,
        "split": forecaster.split,
        "borders": asdict(forecaster.borders_),
        "rows": forecaster.num_rows_,
        "columns": forecaster.columns_,
        "frequency": forecaster.frequency_,
        "context_end": stamp(forecaster.context_),
        "scaler": asdict(forecaster.scaler_),
        "parameters": {
            **{k: v for k, v in forecaster.get_params().items() if k != "progress"},
            "network": dict(forecaster.network or {}) or None,
            "training": dict(forecaster.training or {}) or None,
        },
        "network": asdict(forecaster.network_.config),
        "combination": None
        if combination is None
        else {"rules": combination.rules, "errors": combination.errors},
        "linear": forecaster.linear_,
        "history": forecaster.history_,
        "metrics": getattr(forecaster, "metrics_", None),
        "source": getattr(forecaster, "source_", None),
        "weights_sha256": sha256(folder / WEIGHTS),
    }
    write_json(folder / CONFIG, config)


def load(folder: Path, *, device: str = "auto") -> "STanHopForecaster":
    """Read a fitted forecaster; it predicts on the CPU, ``device`` is for a later ``fit``."""
    from stanhop_app.forecasting.forecaster import STanHopForecaster

    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.exists():
        raise ArtefactError(f"{path}: no such file; the artefact is not whole.")
    if sha256(path) != config.get("weights_sha256"):
        raise ArtefactError(f"{path}: checksum does not match {CONFIG}; the artefact is damaged.")
    tensors, _ = load_tensors(path)
    try:
        parameters = dict(config["parameters"], device=device)
        architecture = dict(config["network"])
        for options in (parameters, architecture):  # JSON knows lists only
            if options["clip"] is not None:
                options["clip"] = tuple(options["clip"])
        forecaster = STanHopForecaster(**parameters)
        with torch.device("meta"):  # shapes only: a wrong size costs no memory
            network = STanHopNet(STanHopConfig(**architecture))
        weights = without_prefix("network", tensors)
        if network.config.linear_skip:  # one map for all variates has another shape
            network.linear.weight = torch.empty_like(weights["linear.weight"], device="meta")
        load_weights(network, weights, str(path), assign=True)
        forecaster.network_ = network.eval()
        forecaster.columns_ = list(config["columns"])
        forecaster.frequency_ = config["frequency"]
        forecaster.scaler_ = Scaler(**{k: tuple(v) for k, v in config["scaler"].items()})
        forecaster.borders_ = Split(**config["borders"])
        forecaster.num_rows_ = config["rows"]
        forecaster.history_ = config["history"]
        forecaster.combination_ = _combination(config["combination"], network)
        forecaster.linear_ = config.get("linear")
        forecaster.context_ = stamped_context(tensors["context"].numpy(), config)
        forecaster.metrics_ = config["metrics"]
        forecaster.source_ = config["source"]
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error
    forecaster.n_features_in_ = len(forecaster.columns_)
    if forecaster.frequency_ is not None:
        forecaster.feature_names_in_ = np.array(forecaster.columns_, dtype=object)
    return forecaster


def _combination(saved: dict[str, Any] | None, network: STanHopNet) -> Combination | None:
    if saved is None:
        return None
    return Combination(weights=network.mixture, rules=tuple(saved["rules"]), errors=saved["errors"])
