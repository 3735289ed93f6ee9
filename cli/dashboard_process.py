"""The process of the dashboard: Streamlit's server, which a signal ends as it ends every command.

`stanhop dashboard` becomes this process, so that settings of the C library hold from its start. Streamlit
takes signals when it serves; until then, and after, they are taken here.
"""

import os
import runpy
import socket
import sys
import threading
import time
import webbrowser
from urllib.parse import urlsplit

from stanhop_app.cli import interrupts
from stanhop_app.cli.dashboard import OPENS

PATIENCE = 60.0
"""Seconds that the server may take to its first answer, after which no browser is opened."""


def main() -> None:
    """Run ``streamlit`` with the arguments of this process, until somebody stops it."""
    interrupts.leave_at_once()
    interrupts.let_through()
    if url := os.environ.pop(OPENS, None):
        threading.Thread(target=open_browser, args=(url,), daemon=True).start()
    try:
        runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise
    interrupts.leave_at_once()
    # It serves until it is stopped, and then says nothing of that. What it started ends by ``atexit``.
    print(f"\n{interrupts.INTERRUPTED}", file=sys.stderr)
    sys.exit(interrupts.EXIT_INTERRUPTED)


def open_browser(url: str) -> None:
    """Open a browser at an address as soon as somebody listens there."""
    place, until = urlsplit(url), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection((str(place.hostname), place.port or 80), 1).close()
        except OSError:
            time.sleep(0.2)
            continue
        webbrowser.open(url)
        return


if __name__ == "__main__":
    main()
