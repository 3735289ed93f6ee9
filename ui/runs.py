"""Which runs and results there are, and safe ways to open them."""

import json
import os
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError


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
    """Finished runs, the latest first."""
    return _latest(root().glob("*/config.json"), lambda path: path.parent.name)


def result_names() -> list[str]:
    """Results of ``stanhop compare``, the latest first."""
    found = [path for path in root().glob("*.json") if _is_comparison(path)]
    return _latest(found, lambda path: path.name)


def _latest(paths: Any, name: Any) -> list[str]:
    base = root()
    mine = [path for path in paths if path.resolve().is_relative_to(base)]
    return [name(path) for path in sorted(mine, key=lambda p: p.stat().st_mtime, reverse=True)]


def _is_comparison(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return any("modules" in cell for cell in content["cells"].values())
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return False
