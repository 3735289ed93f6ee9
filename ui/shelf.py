"""What is known of every run without opening it, and what can be done with its folder: rename and discard."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stanhop_app.ui import jobs, runs

from stanhop_app.errors import ArtefactError, OptionError, StorageError
from stanhop_app.files import read_mapping, read_plain, write_text
from stanhop_app.training.folder import CONFIG, WRITER, writing

TRASH, NOTES = ".trash", ".notes"
"""Folders in the run folder; what begins with a dot is no run."""
MODEL = "STanHop-Net"
OF_OURS = (MODEL, "deep part", "linear part")
"""Rows of scores that are ours; all others are baselines."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run's configuration says of it."""

    data: str = ""
    until: str = ""
    """Time stamp of the last row; of many series none."""
    horizon: int | None = None
    mse: float | None = None
    """Squared error of the test part, scaled; of validation where there is no test."""
    part: str = ""
    """"test" or "validation"."""
    baseline: str = ""
    """The best other model, of those that have the score."""
    baseline_mse: float | None = None
    warning: str = ""

    @property
    def gain(self) -> float | None:
        """Share of the best baseline's error that is taken away."""
        if self.mse is None or not self.baseline_mse:
            return None
        return 1 - self.mse / self.baseline_mse


UNKNOWN = Facts()


def facts(name: str) -> Facts | ArtefactError:
    """What a run's configuration says; where it cannot be read, why not."""
    path = runs.inside(name) / CONFIG
    try:
        state = path.stat()
    except OSError as error:
        return ArtefactError(f"{path}: cannot be read ({error.strerror}).")
    return _facts(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _facts(path: Path, modified: int, size: int) -> Facts | ArtefactError:
    try:
        config = read_mapping(path)
        metrics = config.get("metrics") or {}
        source, end = config["source"] or {}, config["context_end"] or {}
        part, scores = _scores(metrics)
        others = {name: value for name, value in scores.items() if name not in OF_OURS}
        baseline = min(others, key=others.__getitem__, default="")
        data = source.get("name") or source.get("data")
        return Facts(
            data={None: "a frame", "-": "standard input"}.get(data, str(data)),
            until=str(end.get("time", "")).replace("T", " "),
            horizon=int(config["parameters"]["horizon"]),
            mse=scores.get(MODEL),
            part=part,
            baseline=baseline,
            baseline_mse=others.get(baseline),
            warning=str(metrics.get("warning") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return ArtefactError(f"{path}: damaged ({error!r}).")


def _scores(metrics: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The part that is scored, and the squared error of every model there."""
    rows = metrics.get("scores") or {}
    for part in ("test", "validation"):
        known = {name: row.get(f"{part}_mse") for name, row in rows.items()}
        errors = {name: float(value) for name, value in known.items() if value is not None}
        if errors:
            return part, errors
    return "", {}


def megabytes(name: str) -> float:
    """What a run's files take."""
    total = 0
    for path in runs.inside(name).rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total / 2**20


def rename(old: str, new: str) -> None:
    """Give a run's folder another name; its note goes with it.

    Raises:
        OptionError: if the name cannot be one, or is taken.
        BusyError: if a process writes into the folder.
    """
    jobs.check_name(new)
    source, target = _own(old), runs.inside(new)
    if target.exists():
        raise OptionError(f"{new}: is there already; choose another name.")
    job = jobs.find(new)
    if job is not None and job.running:
        raise OptionError(f"{new}: a training of that name runs; choose another name.")
    _move(source, target)
    set_note(new, note(old))
    set_note(old, "")
    jobs.rename(old, new)


def discard(name: str) -> Path:
    """Move a run, with its note, into the trash of the run folder; where it lies then, to be taken back.

    Raises:
        BusyError: if a process writes into the folder.
    """
    source = _own(name)
    trash = runs.inside(TRASH)
    trash.mkdir(exist_ok=True)
    target = trash / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while target.exists():
        number += 1
        target = trash / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{number}"
    _move(source, target)
    if kept := note(name):
        write_text(target / "note.txt", kept)
        set_note(name, "")
    jobs.forget(name)
    return target


def _own(name: str) -> Path:
    """The folder of a run, which must be one itself and no link to one."""
    path = runs.root() / name
    runs.inside(name)
    if path.is_symlink() or not path.is_dir():
        raise ArtefactError(f"{path}: is no folder of its own.")
    job = jobs.find(name)
    if job is not None and job.running:
        raise OptionError(f"{name}: is training; stop it first.")
    return path


def _move(source: Path, target: Path) -> None:
    try:
        with writing(source):
            (source / WRITER).unlink(missing_ok=True)
            os.rename(source, target)
    except OSError as error:
        raise StorageError(f"{source}: cannot be moved ({error.strerror}).") from error


def note(name: str) -> str:
    """What somebody wrote about a run; empty: nothing."""
    try:
        return read_plain(_note(name), most=2**20).decode(errors="replace")
    except OSError:
        return ""


def set_note(name: str, text: str) -> None:
    """Keep what is written about a run."""
    path = _note(name)
    if not text.strip():
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    write_text(path, text)


def _note(name: str) -> Path:
    runs.inside(name)
    return runs.inside(f"{NOTES}/{name}.txt")
