"""What all tests of the dashboard share."""

import functools
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from browser import CHROMIUM, FLAGS, WAIT
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(autouse=True, scope="session")
def _installed_packages_are_read_once():
    """Streamlit reads the metadata of every installed package for every page that a test opens."""
    scan = manifest_scanner.scan_component_manifests
    manifest_scanner.scan_component_manifests = functools.cache(scan)
    yield
    manifest_scanner.scan_component_manifests = scan


@pytest.fixture(scope="module")
def url(root):
    """Address of a dashboard of this run folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stanhop_app.cli", "dashboard", "--no-browser"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--runs", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
            break
        except OSError:
            assert server.poll() is None
            time.sleep(0.2)
    yield address
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture
def page(tmp_path):
    """A fresh browser with nothing in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "user"), executable_path=CHROMIUM, args=FLAGS
        )
        page = context.pages[0]
        page.set_default_timeout(WAIT)
        yield page
        context.close()
