"""Whether everything in a folder is as it was written."""

from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError
from stanhop_app.files import sha256
from stanhop_app.suite.folder import FORMAT as SUITE
from stanhop_app.suite.folder import read_config as read_suite_config
from stanhop_app.training.folder import (
    CHECKED,
    CONFIG,
    EXPORT,
    RUN,
    belonging,
    read_config,
    read_json,
)


def verify(folder: Path, *, trust: bool = False) -> dict[str, str]:
    """Compare every file that counts with its checksum, and open what they make.

    Args:
        folder: a run, a run of the suite, or an export.
        trust: of `stanhop_app.runs.exported.ExportedForecaster.load`.

    Returns:
        SHA-256 by name.

    Raises:
        ArtefactError: for what is missing, changed or cannot be opened, and for a folder of an older version,
            whose ``config.json`` has no checksum.
    """
    kind = read_json(folder / CONFIG).get("format") if (folder / CONFIG).exists() else None
    config = read_suite_config(folder) if kind == SUITE else read_config(folder, RUN, EXPORT)
    if config["format_version"] < {**CHECKED, SUITE: 2}[config["format"]]:
        raise ArtefactError(
            f"{folder / CONFIG}: of an older version, without a checksum of its own; save it again."
        )
    files = {
        path.name: sha256(path)
        for path in (belonging(folder, name, digest) for name, digest in _named(config).items())
    }
    _open(folder, config["format"], trust)
    return {CONFIG: sha256(folder / CONFIG), **files}


def _named(config: dict[str, Any]) -> dict[str, Any]:
    """Names without checksums of the files that a configuration names, and their checksums."""
    if config["format"] == EXPORT:
        return dict(config["sha256"])
    source = config.get("source") or {}
    named = {
        "model.safetensors": config.get("weights_sha256"),
        "tokenizer.json": config.get("tokenizer_sha256"),
        "baselines.safetensors": source.get("baselines_sha256"),
        "novelty.safetensors": source.get("novelty_sha256"),
        "outliers.csv": source.get("outliers_sha256"),
    }
    return {name: digest for name, digest in named.items() if digest is not None}


def _open(folder: Path, kind: str, trust: bool) -> None:
    if kind == SUITE:
        from stanhop_app.suite.run import load_run

        load_run(folder)
    else:
        from stanhop_app.runs.exported import load_forecaster

        load_forecaster(folder, trust=trust)
