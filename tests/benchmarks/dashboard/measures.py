"""What is measured of the dashboard, each by name."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from browsing import CHART, QUIET, Server, serving, settled, visiting
from stanhop_app.ui.pages import PAGES
from tables_of_runs import LARGE

LAUNCHES = 3
FOLDED = "[data-testid=stExpander] summary"
"""What opens a part of a page, its closed parts included."""
Cells = dict[str, dict[str, Any]]


def first(root: Path) -> Cells:
    """From the command to the first chart: the median of three launches, with a run and with none."""
    cells: Cells = {}
    with tempfile.TemporaryDirectory() as empty:
        for name, folder in (("a run of etth1", root), ("no run yet", Path(empty))):
            seconds, cpu = [], []
            for _ in range(LAUNCHES):
                with serving(folder) as server, visiting(server, set()) as context:
                    page = context.pages[0]
                    page.goto(server.address)
                    page.locator(CHART).first.wait_for(timeout=180_000)
                    seconds.append(time.perf_counter() - server.started)
                    cpu.append(server.cpu_seconds)
            cells[name] = {
                "seconds": statistics.median(seconds),
                "cpu_seconds": statistics.median(cpu),
            }
    return cells


def open_pages(page: Any, server: Server, query: str = "") -> Cells:
    """Every page of the sidebar, from the click on its name."""
    settled(page, lambda: page.goto(f"{server.address}/{query}"), until=CHART)
    cells: Cells = {}
    for entry in [*PAGES[1:], PAGES[0]]:
        link = page.locator("[data-testid=stSidebar]").get_by_role("link", name=entry.title)
        told = settled(page, link.first.click, until=f"h1:has-text('{entry.title}')")
        cells[entry.title] = told
    return cells


def switch(page: Any, name: str) -> dict[str, float]:
    """A click on a switch by its name."""
    return settled(page, page.locator("label").filter(has_text=name).first.click)


def choose(page: Any, label: str, option: str) -> dict[str, float]:
    """A choice in a list, from the click on the option."""
    page.get_by_role("combobox", name=label).first.click()
    entry = page.get_by_role("option", name=option, exact=True)
    entry.wait_for()
    return settled(page, entry.click)


def clicks(root: Path) -> Cells:
    """From a click to the settled page, each for the first time."""
    hosts: set[str] = set()
    with serving(root) as server, visiting(server, hosts) as context:
        page = context.pages[0]
        page.set_default_timeout(60_000)
        cells = {f"page {name}": told for name, told in open_pages(page, server).items()}
        for name in ("HULL", "MUFL", "OT"):
            cells[f"Forecast: variate {name}"] = choose(page, "Variates", name)
        cells["Forecast: errors of all test windows"] = switch(
            page, "Where it errs: all test windows"
        )
    return {**cells, "other hosts": {"count": len(hosts - {"127.0.0.1"})}}


def large(root: Path) -> Cells:
    """Every page of large tables: the slowest, and what the server holds before, after and at the end."""
    cells: Cells = {}
    for name in LARGE:
        with serving(root) as server, visiting(server, set()) as context:
            page = context.pages[0]
            page.set_default_timeout(60_000)
            open_pages(page, server, "?run=etth1")
            before = server.megabytes
            told = open_pages(page, server, f"?run={name}")
            held = server.megabytes
            open_pages(page, server, "?run=etth1")
            slowest = max(told, key=lambda title: told[title]["seconds"])
            cells[name] = {
                "seconds": told[slowest]["seconds"],
                "page": slowest,
                "before": before,
                "held": held,
                "after": server.megabytes,
            }
    return cells


def load(root: Path) -> Cells:
    """Megabytes over 40 interactions and 50 reloads; the longest wait of five visitors at once."""
    cells: Cells = {}
    names = ("HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    with serving(root) as server, visiting(server, set()) as context:
        page = context.pages[0]
        page.set_default_timeout(60_000)
        settled(page, lambda: page.goto(server.address), until=CHART)
        for name in names:
            choose(page, "Variates", name)
        before, waits = server.megabytes, []
        for turn in range(40):
            waits.append(_turn(page, turn)["seconds"])
        cells["40 interactions"] = {"added": server.megabytes - before, "seconds": max(waits)}
        for _ in range(10):
            settled(page, page.reload, until=CHART)
        before = server.megabytes
        for _ in range(50):
            settled(page, page.reload, until=CHART)
        cells["50 reloads"] = {"added": server.megabytes - before}
        before = server.megabytes
        cells["5 visitors at once"] = {**_together(context, server), "added": -before}
        cells["5 visitors at once"]["added"] += server.megabytes
    return cells


def _turn(page: Any, turn: int) -> dict[str, float]:
    """One of the things that a visitor does over and over."""
    history = page.get_by_label("History shown (steps)")
    if turn % 2:
        return switch(page, "Bands that hold 80 and 95% of what will come")
    history.fill(str(200 + turn))
    return settled(page, lambda: history.press("Enter"))


def _together(context: Any, server: Server) -> dict[str, float]:
    """Five visitors who change a widget at the same moment, ten times: the longest wait of one."""
    pages = [context.new_page() for _ in range(5)]
    for page in pages:
        settled(page, lambda page=page: page.goto(server.address), until=CHART)
    waits = []
    for turn in range(10):
        sent = []
        for number, page in enumerate(pages):
            field = page.get_by_label("History shown (steps)")
            field.fill(str(100 + 10 * turn + number))
            field.press("Enter")
            sent.append(time.perf_counter())
        for page, since in zip(pages, sent, strict=True):
            settled(page, lambda: None)
            waits.append(time.perf_counter() - since - QUIET)
    for page in pages:
        page.close()
    return {"seconds": max(waits), "median": statistics.median(waits)}


def accessible(root: Path) -> Cells:
    """Findings of axe that are serious or critical, on every page, light and dark."""
    from axe_playwright_python.sync_playwright import Axe

    cells: Cells = {}
    axe = Axe()
    with serving(root) as server:
        for scheme in ("light", "dark"):
            with visiting(server, set(), color_scheme=scheme) as context:
                page = context.pages[0]
                for entry in PAGES:
                    address = f"{server.address}/{entry.path}"
                    page.goto(address)
                    settled(page, lambda: None, until="h1")
                    for number in range(page.locator(FOLDED).count()):
                        page.locator(FOLDED).nth(number).click()
                    settled(page, lambda: None)
                    found = axe.run(page).response["violations"]
                    told = [f for f in found if f["impact"] in ("serious", "critical")]
                    cells[f"{entry.title}, {scheme}"] = {
                        "findings": {f["id"]: len(f["nodes"]) for f in told},
                        "nodes": [n["html"][:300] for f in told for n in f["nodes"][:2]],
                    }
    return cells


MEASURES: dict[str, Callable[[Path], Cells]] = {
    "first": first,
    "clicks": clicks,
    "large": large,
    "load": load,
    "accessible": accessible,
}
