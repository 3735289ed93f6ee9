"""Commands that run in processes of their own: started, watched and stopped from the dashboard.

What is known of a job is kept in the run folder, in ``.jobs``: ``NAME.json`` and ``NAME.log``. A page that is
loaded anew, or another browser, finds it there; a job also outlives the dashboard.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from stanhop_app.ui import runs

from stanhop_app.errors import ArtefactError, OptionError, StorageError
from stanhop_app.files import read_mapping, read_plain, write_json

_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Processes that this server started, by number; asked after, or they would stay as zombies."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that was started."""

    name: str
    """Name of the job, and of the entry in the run folder that it writes."""
    command: tuple[str, ...]
    """Arguments of ``stanhop``."""
    pid: int
    started: float
    """Seconds since the epoch."""
    born: float
    """When its process began, as the operating system says: a number may be given again."""

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        child = _children.get(self.pid)
        if child is not None:
            return child.poll() is None
        return _born(self.pid) == self.born

    def messages(self) -> list[str]:
        """Lines of its standard error."""
        try:
            text = read_plain(_file(self.name, "log")).decode(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()]

    def stop(self) -> None:
        """Ask it to stop, as Ctrl-C does: a training leaves a checkpoint."""
        if self.running:
            os.kill(self.pid, signal.SIGINT)


def _born(pid: int) -> float | None:
    """When a process began; None if there is none, or none that could be of ours."""
    if isinstance(pid, bool) or not isinstance(pid, int) or pid < 2:  # 0 and -1 name groups
        return None
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return None if zombie else process.create_time()
    except (psutil.Error, OverflowError, ValueError):
        return None


def check_name(name: str) -> None:
    """Raise OptionError unless the name can be that of a run and of files."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise OptionError(
            f"{name!r}: a name has letters, digits, '-', '_' and '.' only, and begins with a letter or digit."
        )
    runs.inside(name)


def start(
    name: str, command: list[str], table: bytes | None = None, *, writes: Sequence[str] = ()
) -> Job:
    """Run ``stanhop COMMAND`` in a process of its own.

    Args:
        name: of the job.
        command: arguments of ``stanhop``.
        table: what the process reads from standard input; it is never written under a name.
        writes: entries of the run folder that it writes; none may lead outside, through a link.

    Raises:
        OptionError: if the name cannot be one, or a job of this name runs.
    """
    check_name(name)
    for entry in writes:
        runs.inside(entry)
    earlier = find(name)
    if earlier is not None and earlier.running:
        raise OptionError(f"{name}: is running already.")
    try:
        _file(name, "log").parent.mkdir(parents=True, exist_ok=True)
        return _start(name, command, table)
    except OSError as error:
        raise StorageError(f"{runs.root()}: cannot be written ({error.strerror}).") from error


def _start(name: str, command: list[str], table: bytes | None) -> Job:
    with tempfile.TemporaryFile() as given, _file(name, "log").open("wb") as log:
        given.write(table or b"")
        given.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-m", "stanhop_app.cli", *command],
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=runs.root().parent,
            start_new_session=True,
        )
    _children[child.pid] = child
    born = _born(child.pid) or 0.0  # it may have ended already
    job = Job(name=name, command=tuple(command), pid=child.pid, started=time.time(), born=born)
    write_json(_file(name, "json"), asdict(job))
    return job


def find(name: str) -> Job | None:
    """The job of this name that was started last, or None."""
    try:
        content = read_mapping(_file(name, "json"))
        return Job(**{**content, "command": tuple(content["command"])})
    except (OSError, ArtefactError, ValueError, KeyError, TypeError):
        return None


def rename(old: str, new: str) -> None:
    """Let what is known of a job follow the folder that it wrote."""
    job = find(old)
    if job is None:
        return
    for kind in ("json", "log"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(_file(old, kind), _file(new, kind))
    write_json(_file(new, "json"), asdict(replace(job, name=new)))


def forget(name: str) -> None:
    """Leave nothing of what is known of a job; the folder that it wrote is gone."""
    for kind in ("json", "log"):
        _file(name, kind).unlink(missing_ok=True)


def jobs() -> list[Job]:
    """All that are known, the latest first."""
    files = (runs.root() / ".jobs").glob("*.json")
    known = [job for job in (find(file.stem) for file in files) if job is not None]
    return sorted(known, key=lambda job: job.started, reverse=True)


def _file(name: str, kind: str) -> Path:
    return runs.inside(f".jobs/{name}.{kind}")
