"""Which runs and results there are, and safe ways to open them."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError, shown
from stanhop_app.files import read_mapping
from stanhop_app.runs.backtest.record import is_backtest
from stanhop_app.studies.cells import read_head
from stanhop_app.training.folder import EXPORT, RUN


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
    """Finished runs of forecasters, the latest first; damaged ones too, so that it can be said."""
    return _of_kind(RUN, None)


def export_names() -> list[str]:
    """Exported folders, which forecast and do nothing else, the latest first."""
    return _of_kind(EXPORT)


def _of_kind(*kinds: str | None) -> list[str]:
    """Folders whose configuration says this of its format; None: it cannot be read."""
    configs = [path for path in root().glob("*/config.json") if _kind(path) in kinds]
    return _latest(configs, lambda path: path.parent.name)


def _kind(path: Path) -> str | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return _read_kind(path, state.st_mtime_ns, state.st_size)


def strange_names() -> list[str]:
    """Entries of the run folder that no page can name, since their names are no text; safe to show."""
    return [shown(path.name) for path in root().glob("*") if not _is_text(path.name)]


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, as pages are; on a disk it can be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=4096)
def _read_kind(path: Path, modified: int, size: int) -> str | None:
    """Which format a configuration says that it has; a damaged one says None, a foreign one some word."""
    try:
        return str(read_mapping(path)["format"])
    except (ValueError, KeyError, TypeError, OSError):
        return None


def result_names(*kinds: str) -> list[str]:
    """Results of studies of these kinds (`stanhop_app.studies.cells`), the latest first; heads are read."""
    files = []
    for path in root().glob("*.json"):
        head = read_head(path)
        if head is not None and head[0] in kinds:
            files.append(path)
    return _latest(files, lambda path: path.name)


def backtest_names() -> list[str]:
    """Backtests (`stanhop_app.runs.backtest.record`), the latest first; footers are read."""
    return _latest([p for p in root().glob("*.parquet") if is_backtest(p)], lambda path: path.name)


def _latest(paths: Any, name: Any) -> list[str]:
    base = root()
    mine = [path for path in paths if _is_text(str(path)) and _is_inside(path, base)]
    return [name(path) for path in sorted(mine, key=_modified, reverse=True)]


def _is_inside(path: Path, base: Path) -> bool:
    try:
        return path.resolve().is_relative_to(base)
    except (OSError, RuntimeError):  # links in a circle
        return False


def modified(name: str) -> float:
    """When the run was finished, in seconds since the epoch; 0: it is gone."""
    return _modified(inside(name) / "config.json")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # a link to nothing, or removed meanwhile
        return 0.0
