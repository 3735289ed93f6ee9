"""Commands in processes of their own, which can be killed or cut short, without paying for imports again."""

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ENDLESS = 60.0
"""Seconds after which a command counts as endless."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; minus the number of the signal that ended it."""
    out: bytes
    err: str

    @property
    def kind(self) -> str:
        """One word for it."""
        if self.code == -signal.SIGKILL:
            return "endless"
        if "Traceback" in self.err or "is a defect of stanhop" in self.err or self.code < 0:
            return "traceback"
        return "ok" if self.code == 0 else "refused"


def start(words: Sequence[object], out: Path, most: int | None = None) -> int:
    """Fork a process that runs ``stanhop WORDS``; its number.

    Args:
        words: of the command.
        out: folder in which what it says is kept.
        most: bytes that no file may exceed, as on a disk that is full; None: no limit.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.environ.pop("COLUMNS", None)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(out / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        from stanhop_app.cli.group import run

        if most is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        code = run([str(word) for word in words])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait(pid: int, out: Path, seconds: float = ENDLESS) -> Ended:
    """How the process ended; it is killed after some seconds."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, (out / "out").read_bytes(), (out / "err").read_text(errors="replace"))


def call(
    words: Sequence[object], out: Path, seconds: float = ENDLESS, most: int | None = None
) -> Ended:
    """Run ``stanhop WORDS`` to its end."""
    return wait(start(words, out, most), out, seconds)


def warm() -> None:
    """Import what the commands need, once, with one thread: a fork takes no other thread along."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    import lightning_fabric  # noqa: F401

    import stanhop_app.runs.exported
    import stanhop_app.runs.making
    import stanhop_app.runs.verifying
    import stanhop_app.studies.variants
    import stanhop_app.suite.run  # noqa: F401
