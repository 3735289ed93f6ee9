"""The dashboard in a real browser; skipped where there is no Chromium."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from stanhop_app.ui.pages import PAGES

from stanhop_app import STanHopForecaster, datasets

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--no-first-run"]
WAIT = 60_000

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's package chromium"),
    # Playwright's own server thread closes its pipes when Python ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run folder with one run of the sample."""
    root = tmp_path_factory.mktemp("browser") / "runs"
    network = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    options = {"network": network, "training": {"max_steps": 3}, "progress": False}
    forecaster = STanHopForecaster(horizon=12, lookback=48, **options).fit(datasets.load("sample"))
    forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "sample", "options": {}})
    forecaster.save(root / "first")
    return root


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


def fill(page, label, value):
    """Type into a field, and leave it."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    page.wait_for_timeout(150)


def settled(page, title):
    """Wait until a page has drawn itself, without an error."""
    page.get_by_role("heading", name=title, exact=True).wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    assert page.get_by_text("Page not found").count() == 0
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0


def test_every_page_opens_by_its_address(page, url):
    for entry in PAGES:
        page.goto(f"{url}/{entry.path}")
        settled(page, entry.title)


def test_another_variate_is_chosen_and_the_download_is_the_forecast(page, url, root):
    page.goto(f"{url}/?run=first")
    page.locator(".js-plotly-plot").first.wait_for()
    settled(page, "Forecast")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the forecast (CSV)").click()
    found = pd.read_csv(download.value.path(), index_col=0, parse_dates=True)
    wanted = STanHopForecaster.load(root / "first").predict()
    np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(), rtol=1e-6)
    assert list(found.columns) == list(wanted.columns)
    assert list(found.index) == list(wanted.index)
    other = wanted.columns[1]
    box = page.get_by_role("combobox", name="Variates")
    box.click()
    box.press_sequentially(other)
    box.press("Enter")
    page.locator(".js-plotly-plot .ytitle, .js-plotly-plot .y2title").filter(
        has_text=other
    ).first.wait_for()


def test_two_visitors_train_and_forecast_at_once_and_see_their_own_uploads_only(page, url, root):
    """Two pages of one browser are two sessions of the server."""
    sample = datasets.load("sample")
    visitors = {}
    for name, rows in (("left", 700), ("right", 800)):
        visitor = page.context.new_page()
        visitor.set_default_timeout(WAIT)
        visitors[name] = visitor
        visitor.goto(f"{url}/train")
        settled(visitor, "Train")
        visitor.get_by_label("Data", exact=False).first.click()
        visitor.get_by_role("option", name="an upload").click()
        content = sample.iloc[:rows].to_csv().encode()
        file = {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": content}
        visitor.locator("input[type=file]").set_input_files([file])
        visitor.get_by_text(f"{rows} rows").wait_for()
        for label, value in (
            ("Horizon (steps)", 12),
            ("Lookback (steps)", 48),
            ("Patch length (steps)", 12),
            ("Width", 16),
            ("Heads", 2),
            ("Steps at most", 3),
            ("Name of the run", f"of-{name}"),
        ):
            fill(visitor, label, value)
    for name, visitor in visitors.items():
        visitor.get_by_role("button", name="Train", exact=True).click()
        visitor.get_by_text(f"of-{name} is tr").first.wait_for()
    for name, other in (("left", "right"), ("right", "left")):
        visitor = visitors[name]
        visitor.get_by_text(f"of-{name} is trained.").wait_for()
        assert f"{name}.csv" in visitor.inner_text("body")
        assert f"{other}.csv" not in visitor.inner_text("body")
        visitor.goto(f"{url}/?run=of-{name}")
        visitor.locator(".js-plotly-plot").first.wait_for()
        last = sample.index[{"left": 699, "right": 799}[name]]
        assert STanHopForecaster.load(root / f"of-{name}").context_.index[-1] == last
        visitor.get_by_text(f"12 steps after {last}").wait_for()


def test_an_upload_is_trained_on_across_a_reload_and_forecast(page, url, root):
    frame = datasets.load("sample").iloc[:1500]
    page.goto(f"{url}/train")
    settled(page, "Train")
    page.get_by_label("Data", exact=False).first.click()
    page.get_by_role("option", name="an upload").click()
    file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": frame.to_csv().encode()}
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_text("1,500 rows").wait_for()
    for label, value in (
        ("Horizon (steps)", 12),
        ("Lookback (steps)", 48),
        ("Patch length (steps)", 12),
        ("Width", 16),
        ("Heads", 2),
        ("Epochs", 20),
        ("Name of the run", "mine"),
    ):
        fill(page, label, value)
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("mine is training").first.wait_for()
    page.reload()
    page.get_by_text("mine is tr").first.wait_for()  # is training, or is trained already
    page.get_by_text("mine is trained.").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    page.goto(f"{url}/?run=mine")
    page.locator(".js-plotly-plot").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the forecast (CSV)").click()
    found = pd.read_csv(io.BytesIO(download.value.path().read_bytes()), index_col=0)
    wanted = STanHopForecaster.load(root / "mine").predict()
    assert wanted.index[0] > frame.index[-1]
    np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(), rtol=1e-6)
