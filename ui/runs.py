"""Which runs and results there are, and safe ways to open them."""

import json
import os
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError
from stanhop_app.studies.cells import read_head


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
    configs = [path for path in root().glob("*/config.json") if not _of_suite(path)]
    return _latest(configs, lambda path: path.parent.name)


def _of_suite(path: Path) -> bool:
    """Whether a configuration says that its run is one of the suite; a damaged one does not."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["format"] == "stanhop-suite")
    except (ValueError, KeyError, TypeError, OSError):
        return False


def result_names(*kinds: str) -> list[str]:
    """Results of studies of these kinds (`stanhop_app.studies.cells`), the latest first; heads are read."""
    files = []
    for path in root().glob("*.json"):
        head = read_head(path)
        if head is not None and head[0] in kinds:
            files.append(path)
    return _latest(files, lambda path: path.name)


def _latest(paths: Any, name: Any) -> list[str]:
    base = root()
    mine = [path for path in paths if path.resolve().is_relative_to(base)]
    return [name(path) for path in sorted(mine, key=lambda p: p.stat().st_mtime, reverse=True)]
