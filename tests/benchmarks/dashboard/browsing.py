"""A server of the dashboard, and visitors in a real browser whose clicks are timed."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--no-first-run"]
CHART = ".js-plotly-plot .main-svg"
QUIET = 0.3
"""Seconds without a change after which a page is settled."""
PATIENCE = 180.0
SIGNS = """() => [
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState ?? 'initial',
    document.querySelectorAll('[data-testid=stSpinner], [data-testid=stProgress], '
        + '[data-testid=stStatusWidget]').length,
    document.querySelectorAll('.js-plotly-plot .main-svg').length,
    document.querySelectorAll('[data-stale=true]').length,
    document.querySelector('[data-testid=stMain]')?.textContent.length ?? 0,
    document.querySelectorAll('[data-testid=stException]').length,
]"""
"""What a page looks like: state of its script, signs of progress, charts, stale parts, texts, exceptions."""


class Server:
    """The command ``stanhop dashboard`` in a process of its own."""

    def __init__(self, root: Path):
        """Start it; returns when it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "stanhop_app.cli", "dashboard", "--no-browser"]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--port", self.address.rpartition(":")[2], "--runs", str(root)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("the dashboard did not start.")
                time.sleep(0.02)

    @property
    def megabytes(self) -> float:
        """Memory that the server holds."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)

    @property
    def cpu_seconds(self) -> float:
        """CPU time since it was started."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=20)


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """A server, as long as it is needed."""
    server = Server(root)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def visiting(server: Server, hosts: set[str], **options: Any) -> Iterator[Any]:
    """A browser with nothing in it; ``hosts`` gathers whom it asks."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=shutil.which("chromium"), args=FLAGS, **options
        )
        context.on("request", lambda request: hosts.add(str(urlsplit(request.url).hostname)))
        try:
            yield context
        finally:
            context.close()


def settled(page: Any, act: Callable[[], Any], *, until: str | None = None) -> dict[str, float]:
    """What an action takes: seconds until the page stands still, and until the first sign of progress.

    Args:
        page: of the browser.
        act: clicks something.
        until: a selector that must be there, too.
    """
    before, started = page.evaluate(SIGNS), time.perf_counter()
    act()
    changed, last, sign = started, before, None
    while (now := time.perf_counter()) - started < PATIENCE:
        seen = page.evaluate(SIGNS)
        if seen != last:
            changed, last = now, seen
        if sign is None and seen[1] and now > started:
            sign = now - started
        still = seen[0] == "notRunning" and not seen[3] and now - changed > QUIET
        if still and (until is None or page.locator(until).count()):
            break
        time.sleep(0.01)
    else:
        sys.exit(f"{page.url} did not settle: {last}, waited for {until}.")
    told = {"seconds": changed - started, "exceptions": float(last[5])}
    return told if sign is None else {**told, "sign": sign}
