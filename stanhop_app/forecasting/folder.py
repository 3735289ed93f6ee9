"""``config.json`` of a run folder or of an exported one. Nothing here needs torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from stanhop_app.errors import ArtefactError
from stanhop_app.version import __version__

RUN, EXPORT = "stanhop-forecaster", "stanhop-export"
FORMATS = {RUN: 2, EXPORT: 1}
"""Kinds of folders, and the versions of their formats that this package reads."""
CONFIG = "config.json"


def read_config(folder: Path, *formats: str) -> dict[str, Any]:
    """``config.json`` of a folder of one of these formats (default: a run), its version checked.

    Raises:
        ArtefactError: saying what is wrong with the folder.
    """
    path = folder / CONFIG
    if not path.exists():
        hint = "no such folder" if not folder.exists() else f"holds no {CONFIG}"
        raise ArtefactError(f"{folder}: not a run ({hint}); make one with `stanhop train`.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path}: damaged ({error}).") from None
    if not isinstance(config, dict) or str(config.get("format")) not in FORMATS:
        raise ArtefactError(f"{path}: not an artefact of stanhop.")
    if config["format"] not in (formats or (RUN,)):
        said = "an exported model, which can forecast and nothing else; name the run"
        if config["format"] == RUN:
            said = "a run and no exported model; export it with `stanhop export`"
        raise ArtefactError(f"{folder}: is {said}.")
    wanted = FORMATS[config["format"]]
    if config.get("format_version") != wanted:
        version = config.get("format_version")
        old = isinstance(version, int) and version < wanted
        raise ArtefactError(
            f"{path}: format version {version}, this package ({__version__}) reads {wanted}; "
            + ("train or export it again." if old else "update stanhop-app.")
        )
    return config


def stamp(context: pd.DataFrame) -> dict[str, Any] | None:
    """The last time stamp of a context with what is needed to rebuild its index."""
    index = context.index
    if not isinstance(index, pd.DatetimeIndex):
        return None
    return {
        "time": index[-1].isoformat(),
        "zone": None if index.tz is None else str(index.tz),
        "unit": index.unit,
        "name": index.name,
    }


def stamped_context(values: np.ndarray, config: dict[str, Any]) -> pd.DataFrame:
    """The rows that a folder keeps, (T, C), with the time index that its configuration tells."""
    stamp = config["context_end"]
    if stamp is None:
        return pd.DataFrame(values, columns=config["columns"])
    end = pd.Timestamp(stamp["time"])
    if stamp["zone"] is not None:
        end = end.tz_convert(stamp["zone"])
    index = pd.date_range(
        end=end,
        periods=len(values),
        freq=to_offset(config["frequency"]),
        unit=stamp["unit"],
        name=stamp["name"],
    )
    return pd.DataFrame(values, columns=config["columns"], index=index)
