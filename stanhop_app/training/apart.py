"""Processes that are started with nothing of the parent's script in them."""

import sys
import threading
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

_STARTING = threading.Lock()


def start_apart(target: Callable[..., None], *args: Any) -> SpawnProcess:
    """Start a process with nothing in it but the modules that it needs; it ends with this one.

    Python runs the script of the parent again in a spawned process, which a script without a guard or a page
    of the dashboard does not bear; none of what is started here lies in one.

    Args:
        target: a function of a module.
        args: what it is called with, sent by pickle.
    """
    process = get_context("spawn").Process(target=target, args=args, daemon=True)
    with _STARTING:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = script
    return process
