"""The dashboard in a real browser: how long charts take, what reloads cost, and pictures of every page.

    python tests/benchmarks/dashboard.py RUNS                  times, and memory over reloads
    python tests/benchmarks/dashboard.py RUNS --shots FOLDER   every page, light and dark, wide and narrow

RUNS is a run folder whose latest run is of ETTh1 (17,420 x 7). Needs Debian's Chromium.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from stanhop_app.ui.pages import PAGES

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--no-first-run"]
MOST_SECONDS, MOST_MEGABYTES = 1.0, 50
"""From a click on a variate to its chart, and what 50 reloads may add."""
CHART = ".js-plotly-plot .main-svg"


def serve(root: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """Start the dashboard; returns when it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stanhop_app.cli", "dashboard", "--no-browser"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--runs", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
            return server, address
        except OSError:
            if server.poll() is not None:
                sys.exit("the dashboard did not start.")
            time.sleep(0.02)


def browser(playwright: Any, folder: str, **options: Any) -> Any:
    """A browser with nothing in it."""
    return playwright.chromium.launch_persistent_context(
        folder,
        executable_path=shutil.which("chromium"),
        args=FLAGS,
        **options,
    )


def settle(page: Any) -> None:
    """Wait until nothing runs."""
    page.locator(CHART).first.wait_for(timeout=180_000)
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached", timeout=180_000)


def megabytes(server: "subprocess.Popen[bytes]") -> float:
    """Memory that the server holds."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def choose_variate(page: Any, name: str) -> float:
    """Seconds from the click on a variate to its chart."""
    box = page.get_by_role("combobox", name="Variates")
    box.click()
    option = page.get_by_role("option", name=name, exact=True)
    option.wait_for()
    started = time.perf_counter()
    option.click()
    axis = page.locator(".js-plotly-plot .infolayer").filter(has_text=name)
    axis.first.wait_for(timeout=60_000)
    return time.perf_counter() - started


def times(root: Path) -> None:
    """Print seconds to the first chart, from click to chart, and megabytes before and after reloads."""
    started = time.perf_counter()
    server, address = serve(root)
    try:
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
            context = browser(playwright, folder)
            page = context.pages[0]
            page.goto(address)
            page.locator(CHART).first.wait_for(timeout=180_000)
            print(f"command to first chart: {time.perf_counter() - started:.2f} s")
            settle(page)
            clicks = [choose_variate(page, name) for name in ("HULL", "MUFL", "MULL", "LUFL")]
            print(f"click to chart: {statistics.median(clicks):.2f} s, at most {max(clicks):.2f} s")
            for _ in range(10):
                page.reload()
                settle(page)
            before = megabytes(server)
            for _ in range(50):
                page.reload()
                settle(page)
            after = megabytes(server)
            print(f"50 reloads: {before:.0f} to {after:.0f} MB ({after - before:+.0f})")
            context.close()
        if max(clicks) >= MOST_SECONDS or after - before > MOST_MEGABYTES:
            sys.exit(f"asked: below {MOST_SECONDS} s and at most {MOST_MEGABYTES} MB.")
    finally:
        server.terminate()
        server.wait(timeout=20)


def shots(root: Path, folder: Path) -> None:
    """A picture of every page, light and dark, 1280 and 400 wide."""
    folder.mkdir(parents=True, exist_ok=True)
    server, address = serve(root)
    try:
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                with sync_playwright() as playwright, tempfile.TemporaryDirectory() as user:
                    size = {"width": width, "height": 900}
                    context = browser(playwright, user, viewport=size, color_scheme=scheme)
                    page = context.pages[0]
                    for entry in PAGES:
                        page.goto(f"{address}/{entry.path}")
                        page.get_by_role("heading", name=entry.title, exact=True).wait_for()
                        page.wait_for_timeout(1500)
                        page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
                        page.wait_for_timeout(1000)
                        height = page.evaluate(
                            "document.querySelector('[data-testid=stMain]').scrollHeight"
                        )
                        page.set_viewport_size({"width": width, "height": min(height + 40, 6000)})
                        page.wait_for_timeout(1500)
                        name = f"{entry.path or 'forecast'}-{scheme}-{width}.png"
                        page.screenshot(path=str(folder / name))
                        page.set_viewport_size(size)
                    context.close()
    finally:
        server.terminate()
        server.wait(timeout=20)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--shots", type=Path)
    given = parser.parse_args()
    shots(given.runs, given.shots) if given.shots else times(given.runs)
