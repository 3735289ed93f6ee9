"""The dashboard in a real browser: how long charts take, what it holds, who can read it.

    python tests/benchmarks/dashboard/dashboard.py [MEASURE ...] [--folder FOLDER] [--output FILE]
    python tests/benchmarks/dashboard/dashboard.py --shots FOLDER

Measures: ``first`` (command to first chart), ``clicks`` (to settled pages), ``large`` (200 columns, 300,000
rows, 5,000 series), ``load`` (40 interactions, 50 reloads, five visitors), ``accessible`` (axe, all pages).
Runs are trained in the folder once. Needs Debian's Chromium, and ``axe-playwright-python`` for the last.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from browsing import serving, visiting
from measures import MEASURES
from stanhop_app.ui.pages import PAGES
from tables_of_runs import ready

from stanhop_app.studies.cells import keep, read_results

HERE = Path(__file__).parent


def shots(root: Path, folder: Path) -> None:
    """A picture of every page, light and dark, 1280 and 400 wide."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving(root) as server:
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                size = {"width": width, "height": 900}
                with visiting(server, set(), viewport=size, color_scheme=scheme) as context:
                    page = context.pages[0]
                    for entry in PAGES:
                        page.goto(f"{server.address}/{entry.path}")
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


def main(names: list[str], folder: Path, output: Path) -> None:
    """Measure, and write every measure when it is there."""
    root, content = ready(folder), {"kind": "dashboard", "version": 1, "cells": {}}
    if output.exists():
        content = dict(read_results(output))
    for name in names:
        cells: dict[str, Any] = MEASURES[name](root)
        kept = {k: v for k, v in content["cells"].items() if v["part"] != name}
        content["cells"] = kept | {k: {"part": name, **v} for k, v in cells.items()}
        output.unlink(missing_ok=True)
        keep(content, output)
        for cell, told in cells.items():
            print(name, cell, told, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", choices=[*MEASURES, []], default=[])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "dashboard")
    parser.add_argument("--output", type=Path, default=HERE / "dashboard.json")
    parser.add_argument("--shots", type=Path)
    given = parser.parse_args()
    if given.shots:
        shots(ready(given.folder), given.shots)
    else:
        main(given.measures or list(MEASURES), given.folder, given.output)
