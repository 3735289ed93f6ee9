"""Folders of runs: the files in them, and what may be written where. Nothing here needs torch."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.version import __version__

CONFIG = "config.json"
"""What a finished run is told by; it is written last."""
CHECKPOINT = "checkpoint.safetensors"
"""What an unfinished run is told by; it is removed when the run is finished."""
HISTORY = "history.csv"
"""A row an epoch."""
STEPS = "steps.csv"
"""A row every few optimiser steps, for who watches a training."""
RUN, EXPORT = "stanhop-forecaster", "stanhop-export"
"""Kinds of folders of forecasters."""
FORMATS: dict[str, tuple[int, ...]] = {RUN: (2, 3), EXPORT: (1,)}
"""The versions of each kind's format that this package reads; it writes the last."""


def is_main_process() -> bool:
    """Whether this process writes files and speaks: rank 0 of a launch, or the only one."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


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
        kind = "an exported model, which can forecast and nothing else; name the run"
        if config["format"] == RUN:
            kind = "a run and no exported model; export it with `stanhop export`"
        raise ArtefactError(f"{folder}: is {kind}.")
    known = FORMATS[config["format"]]
    version = config.get("format_version")
    if version not in known:
        old = isinstance(version, int) and version < known[0]
        raise ArtefactError(
            f"{path}: format version {version}, this package ({__version__}) reads "
            f"{' and '.join(map(str, known))}; "
            + ("train or export it again." if old else "update stanhop-app.")
        )
    return config


def check_folder(
    folder: Path, read: Callable[[Path], object], *, resume: bool, force: bool
) -> None:
    """Refuse to overwrite a run, and to write among files that are no run at all.

    Args:
        folder: where a run is to be kept.
        read: opens the configuration of a run of this kind; raises ArtefactError for any other.
        resume: whether an unfinished run may be gone on with.
        force: whether a run may be overwritten.

    Raises:
        OptionError: if the folder holds a run, finished or not, and neither option allows it, or
            anything else.
    """
    if not is_main_process() or not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder}: is a file; choose another --output.")
    finished, begun = (folder / CONFIG).exists(), (folder / CHECKPOINT).exists()
    if finished:
        try:
            read(folder)
        except ArtefactError:
            raise OptionError(
                f"{folder}: holds a {CONFIG} that is not of a run of this kind; choose another --output."
            ) from None
    elif not begun and any(folder.iterdir()):
        raise OptionError(f"{folder}: holds files and no run; choose another --output.")
    if finished and not force:
        raise OptionError(f"{folder}: holds a finished run; choose another --output, or --force.")
    if begun and not resume and not force:
        raise OptionError(f"{folder}: holds an unfinished run; go on with --resume, or --force.")
