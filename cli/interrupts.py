"""SIGINT and SIGTERM: exit code 130 and one line, whatever is being imported.

What a command writes is whole or not there (`stanhop_app.files`), so that a process may end at any moment. It
still unwinds where it can: a training leaves its checkpoint, a fetch removes what it had begun.
"""

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

INTERRUPTED, EXIT_INTERRUPTED = "stanhop: interrupted.", 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 5.0
"""Seconds for a command to unwind after a signal. Libraries that make another error of an interrupt, catch it
and go on, as exporters do, end then; trainings, which take as long as a step, have a handler of their own."""
_came = False


def came() -> bool:
    """Whether this process was asked to stop."""
    return _came


def leave_at_once() -> None:
    """End the process at the next signal, as before a command begins and after it has ended."""
    _take(_leave)


def hold_back() -> None:
    """Let signals wait: before another program is run in this process, which takes them when it can."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def let_through() -> None:
    """Take the signals that were held back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def raise_first() -> None:
    """Let the next signal raise KeyboardInterrupt, and the one after it end the process.

    Where nobody would see that (in what Python calls by itself, a destructor say), the process ends too.
    """
    _take(_raise)
    atexit.register(
        _take, signal.SIG_IGN
    )  # registered first, it is the last thing that Python does
    before = sys.unraisablehook

    def hook(seen: Any) -> None:
        if issubclass(seen.exc_type, KeyboardInterrupt):
            _leave()
        before(seen)

    sys.unraisablehook = hook


def finish(code: int) -> None:
    """End the process if it was asked to stop; if not, let it end, which no signal turns into another end."""
    if _came:
        # An interrupt that went through C code would make Python end as killed by SIGINT, caught or not.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    leave_at_once()


def _take(handler: Any) -> None:
    # Also where SIGINT is ignored, as it is in what scripts start in the background: a dashboard that was
    # started so stops its jobs by it.
    for number in SIGNALS:
        signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    leave_at_once()
    timer = threading.Timer(GRACE, _leave)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _leave(number: int = 0, frame: FrameType | None = None) -> None:
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(EXIT_INTERRUPTED)
