"""Which runs and results there are, and safe ways to open them."""

import json
import os
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError
from stanhop_app.studies.present import PRESENTERS


def root() -> Path:
    """The folder of runs; nothing outside it is opened."""
    return Path(os.environ.get("STANHOP_RUNS", "runs")).resolve()


def inside(name: str) -> Path:
    """The path of an entry of the run folder.

    Raises:
        ArtefactError: if it leads outside, by ``..``, as an absolute path or through a link.
    """
    base = root()
    path = (base / name).resolve()
    if not path.is_relative_to(base) or path == base:
        raise ArtefactError(f"{name}: lies outside of the run folder {base}.")
    return path


def run_names() -> list[str]:
    """Finished runs of forecasters, the latest first."""
    found = [path for path in root().glob("*/config.json") if not _of_suite(path)]
    return _latest(found, lambda path: path.parent.name)


def _of_suite(path: Path) -> bool:
    """Whether a configuration says that its run is one of the suite; a damaged one does not."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["format"] == "stanhop-suite")
    except (ValueError, KeyError, TypeError, OSError):
        return False


def result_names(kind: str) -> list[str]:
    """Results of a comparison, the latest first.

    Args:
        kind: "variants" of ``stanhop compare``, "suite" of ``stanhop suite compare``, "theory" of ``stanhop
            theory``.
    """
    found = [path for path in root().glob("*.json") if _kind(path) == kind]
    return _latest(found, lambda path: path.name)


def _latest(paths: Any, name: Any) -> list[str]:
    base = root()
    mine = [path for path in paths if path.resolve().is_relative_to(base)]
    return [name(path) for path in sorted(mine, key=lambda p: p.stat().st_mtime, reverse=True)]


def _kind(path: Path) -> str | None:
    """What a file holds the results of; None for files of other kinds."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") in PRESENTERS:
            return "theory"
        cells = [cell for cell in content["cells"].values() if "failed" not in cell]
        if not any("modules" in cell for cell in cells):
            return None
        return "suite" if "model" in cells[0] else "variants"
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return None
