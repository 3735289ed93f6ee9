"""What tests in a real browser share."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--no-first-run"]
WAIT = 60_000

BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's package chromium"),
    # Playwright's own server thread closes its pipes when Python ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""Marks of tests in a browser: they are skipped where there is none."""
