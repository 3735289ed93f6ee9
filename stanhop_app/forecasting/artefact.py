"""The artefact of a fitted forecaster: a folder that any machine and version can read.

``config.json`` says everything that is not a tensor; ``model-<checksum>.safetensors`` holds the network and
the last rows of the history. Nothing is pickled, nothing in it is executed, and checksums are verified.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.book import restored
from stanhop_app.data.context import stamp, stamped_context
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split
from stanhop_app.errors import ArtefactError
from stanhop_app.files import find_hashed, hashed_name
from stanhop_app.forecasting.combination import Combination
from stanhop_app.forecasting.effects.keeping import (
    effects_as_json,
    effects_tensors,
    known_as_json,
    known_tensors,
    restored_effects,
    restored_known,
)
from stanhop_app.forecasting.effects.known import Known
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.final import Final
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.checkpoint import (
    load_tensors,
    load_weights,
    save_hashed,
    with_prefix,
    without_prefix,
    without_weights,
)
from stanhop_app.training.folder import (
    CONFIG,
    FORMATS,
    RUN,
    keep_only,
    read_config,
    write_config,
    writing,
)
from stanhop_app.version import __version__

WEIGHTS = "model.safetensors"
READS = 5
"""Times that a folder is read anew where another process replaces what is in it."""
T = TypeVar("T")


def save(fitted: Fitted, parameters: Mapping[str, Any], folder: Path, *, force: bool) -> None:
    """Write a fit into a folder of its own.

    Args:
        fitted: what the fit found.
        parameters: what it was asked for, by the names of the estimator; JSON values.
        folder: made if need be.
        force: overwrite an artefact. Until the new one is whole the old one is.

    Raises:
        ArtefactError: if there is an artefact already and ``force`` is False.
        BusyError: if another process writes into the folder.
        StorageError: if a file cannot be written.
    """
    with writing(folder):
        if (folder / CONFIG).exists() and not force:
            raise ArtefactError(
                f"{folder}: there is an artefact already; use force=True (--force)."
            )
        write(fitted, parameters, folder)


def write(
    fitted: Fitted, parameters: Mapping[str, Any], folder: Path, *, beside: Mapping[str, str] = {}
) -> None:
    """Write a fit; the caller is the only one who writes there (`writing`).

    The weights go into a file that is named after its content. ``config.json``, which names it, is
    replaced last and in one step: before it the folder holds the old artefact, after it the new one.

    Args:
        fitted: what the fit found.
        parameters: what it was asked for.
        folder: the folder, which is there.
        beside: further files that belong to this fit, and their SHA-256 (`hashed_name`).
    """
    context = torch.from_numpy(fitted.rows.to_numpy(dtype=np.float64).copy())
    tensors = {**with_prefix("network", fitted.network.state_dict()), "context": context}
    final, series = fitted.final, fitted.series
    if series is not None:
        arrays = {"mean": series.mean, "scale": series.scale}
        tensors |= with_prefix("series", {n: torch.from_numpy(a) for n, a in arrays.items()})
    if final is not None:
        tensors |= with_prefix("final", final.network.state_dict())
        tensors |= with_prefix("final_effects", effects_tensors(final.effects))
    if fitted.memory is not None:
        tensors |= with_prefix("memory", fitted.memory.tensors())
    if fitted.known is not None:
        tensors |= with_prefix("known", known_tensors(fitted.known))
    weights = save_hashed(folder / WEIGHTS, tensors, {"format": RUN})
    combination = fitted.combination
    config = {
        "format": RUN,
        "format_version": max(FORMATS[RUN]),
        "package_version": __version__,
        "seed": parameters["seed"],
        "split": fitted.split,
        "borders": asdict(fitted.borders),
        "rows": fitted.num_rows,
        "fingerprint": fitted.fingerprint,
        "columns": fitted.columns,
        "frequency": fitted.frequency,
        "context_end": stamp(fitted.rows) if series is None else None,
        "series": None if series is None else series.as_json(),
        "scaler": asdict(fitted.scaler),
        "parameters": dict(parameters),
        "network": asdict(fitted.network.config),
        "combination": None
        if combination is None
        else {"rules": combination.rules, "errors": combination.errors},
        "linear": fitted.linear,
        "final": None
        if final is None
        else {
            "kind": final.kind,
            "rows": final.rows,
            "steps": final.steps,
            "effects": effects_as_json(final.effects),
        },
        "memory": None if fitted.memory is None else fitted.memory.as_json(),
        "known": None if fitted.known is None else known_as_json(fitted.known),
        "history": fitted.history,
        "metrics": fitted.metrics,
        "source": dict(fitted.source) or None,
        "weights_sha256": weights,
    }
    write_config(folder, config)
    files = {WEIGHTS: weights, **beside}
    keep_only(folder, [hashed_name(name, digest) for name, digest in files.items()])


def load(folder: Path, make: Callable[[Fitted, Mapping[str, Any]], T]) -> T:
    """Read a fit.

    Args:
        folder: that `save` wrote.
        make: given the fit and its parameters; whatever it makes is returned. An error that it raises says
            that the parameters are damaged.

    Raises:
        ArtefactError: if it is missing, damaged, foreign or newer than this package.
    """
    for _ in range(READS):
        config = read_config(folder)
        path = find_hashed(folder / WEIGHTS, str(config.get("weights_sha256")))
        try:
            tensors, _ = load_tensors(path, sha256=str(config.get("weights_sha256")))
            break
        except FileNotFoundError:  # replaced between the two reads
            continue
    else:
        raise ArtefactError(f"{path}: no such file; the artefact is not whole.")
    try:
        fitted = _fitted(config, tensors, str(path))
        return make(fitted, _with_clip(config["parameters"]))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error


def _fitted(config: Mapping[str, Any], tensors: Mapping[str, Tensor], name: str) -> Fitted:
    network = _network(config, without_prefix("network", tensors), name)
    source = config["source"] or {}
    book = None
    if config.get("series") is not None:
        arrays = {
            name: tensor.numpy() for name, tensor in without_prefix("series", tensors).items()
        }
        arrays["context"] = tensors["context"].numpy()
        book = restored(config["series"], str(config["frequency"]), config["columns"], arrays)
    rows = (
        stamped_context(tensors["context"].numpy(), dict(config)) if book is None else book.context
    )
    starts = (0,) if book is None else book.starts
    known, final = config.get("known"), config.get("final")
    if known is not None:
        own = without_prefix("known", tensors)
        known = restored_known(known, own, rows, starts, config["frequency"])
    if final is not None:
        effects = final.get("effects")
        if effects is not None and known is not None:
            own = without_prefix("final_effects", tensors)
            sizes = len(config["columns"]), len(starts)
            effects = restored_effects(effects, own, known.encoder, *sizes)
        weights = without_prefix("final", tensors)
        final = Final(network=_network(config, weights, name), **{**final, "effects": effects})
    memory = config.get("memory")
    if memory is not None:
        memory = Memory.restored(memory, without_prefix("memory", tensors), network.config)
    _check_beside(network, known, final)
    return Fitted(
        network=network,
        columns=tuple(config["columns"]),
        frequency=config["frequency"],
        scaler=Scaler(**{k: tuple(v) for k, v in config["scaler"].items()}),
        split=config["split"],
        borders=Split(**config["borders"]),
        num_rows=config["rows"],
        rows=rows,
        series=book,
        # Format 2 kept it in what `stanhop train` wrote of the source, and else nowhere.
        fingerprint=config.get("fingerprint", source.get("sha256")),
        history=config["history"],
        combination=_combination(config["combination"], network),
        linear=config.get("linear"),
        known=known,
        final=final,
        memory=memory,
        source=source,
        metrics=config["metrics"],
    )


def _check_beside(network: STanHopNet, known: Known | None, final: Final | None) -> None:
    """Refuse covariates that are not those which the network reads.

    Raises:
        ArtefactError: if there are others, or none.
    """
    own, config = None if known is None else known.encoder, network.config
    sizes = (0, 0, 0) if own is None else (own.num_ahead, own.num_past, own.num_static)
    read = (config.future_features, config.past_features, config.static_features)
    owners = [owner for owner in (known, final) if owner is not None]
    effects = [owner.effects for owner in owners if owner.effects is not None]
    shape = (config.lookback, config.horizon)
    if sizes != read or any(tuple(e.forecaster.shape) != shape for e in effects):
        raise ArtefactError(
            f"covariates of {sizes} features do not fit the network, which reads {read}; damaged."
        )


def _network(config: Mapping[str, Any], weights: Mapping[str, Tensor], name: str) -> STanHopNet:
    """A network with these weights."""
    with without_weights():  # a wrong size costs no memory
        network = STanHopNet(STanHopConfig(**_with_clip(config["network"])))
    if network.config.linear_skip:  # one map for all variates has another shape
        network.linear.weight = torch.empty_like(weights["linear.weight"], device="meta")
    load_weights(network, weights, name, assign=True)
    return network.eval()


def _with_clip(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options from JSON, which knows lists only."""
    clip = options["clip"]
    return {**options, "clip": None if clip is None else tuple(clip)}


def _combination(saved: dict[str, Any] | None, network: STanHopNet) -> Combination | None:
    if saved is None:
        return None
    return Combination(weights=network.mixture, rules=tuple(saved["rules"]), errors=saved["errors"])
