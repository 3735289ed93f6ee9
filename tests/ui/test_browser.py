"""The dashboard in a real browser; skipped where there is no Chromium."""

import io
import os
import shutil
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import BROWSER, WAIT
from stanhop_app.ui.pages import PAGES

from stanhop_app import STanHopForecaster, datasets

pytestmark = BROWSER


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run folder with a run of the sample, and a later one, which is the default."""
    root = tmp_path_factory.mktemp("browser") / "runs"
    network = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    options = {"network": network, "training": {"max_steps": 3}, "progress": False}
    forecaster = STanHopForecaster(horizon=12, lookback=48, **options).fit(datasets.load("sample"))
    forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "sample", "options": {}})
    forecaster.save(root / "first")
    shutil.copytree(root / "first", root / "newest")
    os.utime(root / "newest" / "config.json", (2e9, 2e9))
    return root


def fill(page, label, value):
    """Type into a field, leave it, and wait for the page: a value that is typed before may be lost."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    page.wait_for_timeout(150)
    page.locator("[data-test-script-state=notRunning]").first.wait_for()


def settled(page, title):
    """Wait until a page has drawn itself, without an error."""
    page.get_by_role("heading", name=title, exact=True).wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    assert page.get_by_text("Page not found").count() == 0
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0


def test_every_page_opens_by_its_address_and_nothing_leaves_the_machine(page, url):
    asked = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url)))
    for entry in PAGES:
        page.goto(f"{url}/{entry.path}")
        settled(page, entry.title)
        assert page.title().endswith(f"{entry.title} · stanhop")
        # Who listens to the page instead of looking at it is told what every chart is.
        for chart in page.locator("[data-testid=stPlotlyChart]").all():
            assert chart.get_attribute("aria-label")
    hosts = {address.netloc for address in asked if address.scheme not in ("data", "blob")}
    assert hosts == {urlsplit(url).netloc}


READ = ("", "train", "variants", "memory", "suite")
"""Pages with every kind of widget; the others are read by `tests/benchmarks/dashboard`."""


def test_nobody_is_shut_out_from_a_page_light_or_dark(page, url):
    axe = Axe()
    for entry in (entry for entry in PAGES if entry.path in READ):
        page.goto(f"{url}/{entry.path}")
        settled(page, entry.title)
        for closed in page.locator("[data-testid=stExpander] summary").all():
            closed.click()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            found = axe.run(page).response["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            told = [(one["id"], node["html"]) for one in serious for node in one["nodes"]]
            assert not told, f"{entry.title}, {scheme}: {told}"


def looked_at(page):
    """What the address says."""
    return parse_qs(urlsplit(page.url).query)


def says(page, steps):
    """Wait until the field of the page says so many steps."""
    field = page.get_by_label("Horizon (steps)", exact=True)
    for _ in range(100):
        if field.input_value() == str(steps):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"it says {field.input_value()}, not {steps}")


def opened(page, title):
    """Follow a link of the sidebar."""
    page.locator("[data-testid=stPageLink-NavLink]").filter(has_text=title).click()
    page.get_by_role("heading", name=title, exact=True).wait_for()
    page.wait_for_timeout(300)
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")


def test_what_is_looked_at_is_in_the_address_and_a_link_shows_it_to_others(page, url, tmp_path):
    columns = list(datasets.load("sample").columns)
    page.goto(f"{url}/?run=first")
    page.locator(".js-plotly-plot").first.wait_for()
    fill(page, "Horizon (steps)", 30)
    page.wait_for_url("**horizon=30**")
    box = page.get_by_role("combobox", name="Variates")
    box.click()
    page.get_by_role("option", name=columns[1], exact=True).click()
    page.wait_for_url(f"**variates={columns[1]}**")
    shown = {"run": ["first"], "horizon": ["30"], "variates": columns[:2]}
    assert looked_at(page) == shown
    entries = page.evaluate("history.length")
    for number, title in enumerate(("Intervals", "Forecast", "Runs"), start=1):
        opened(page, title)
        assert looked_at(page) == shown
        assert page.evaluate("history.length") == entries + number
    page.reload()  # of a page without these widgets
    page.get_by_role("heading", name="Runs", exact=True).wait_for()
    opened(page, "Forecast")
    page.get_by_text("30 steps after").first.wait_for()
    assert looked_at(page) == shown
    page.reload()
    page.get_by_text("30 steps after").first.wait_for()
    assert looked_at(page) == shown
    link = page.url
    fill(page, "Horizon (steps)", 18)
    page.wait_for_url("**horizon=18**")
    page.go_back()
    page.get_by_text("30 steps after").first.wait_for()
    says(page, 30)
    page.go_forward()
    page.get_by_text("18 steps after").first.wait_for()
    says(page, 18)
    box = page.get_by_role("combobox", name="Run", exact=False).first
    box.click()
    page.get_by_role("option", name="newest", exact=True).click()
    page.wait_for_url("**run=newest**")
    opened(page, "Runs")
    for run in ("newest", "first"):  # back over pages, with and without a widget for the run
        page.go_back()
        page.wait_for_url(f"**/?run={run}**")
        page.get_by_text("18 steps after").first.wait_for()
        page.wait_for_function(f"document.title.startsWith('{run}')")
        assert looked_at(page)["run"] == [run]
    other = page.context.browser.new_page() if page.context.browser else page.context.new_page()
    other.set_default_timeout(WAIT)
    other.goto(link)
    other.get_by_text("30 steps after").first.wait_for()
    assert looked_at(other) == shown
    says(other, 30)
    other.close()


def test_a_link_to_what_is_gone_says_so_on_a_telephone_too(page, url):
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{url}/?run=gone&variates=nothing")
    page.get_by_text("Run: gone is not there (any more)").wait_for()
    page.get_by_text("Variates: nothing is not there (any more)").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()


def test_another_variate_is_chosen_and_the_download_is_the_forecast(page, url, root):
    page.goto(f"{url}/?run=first")
    page.locator(".js-plotly-plot").first.wait_for()
    settled(page, "Forecast")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the forecast (CSV)").click()
    found = pd.read_csv(download.value.path(), index_col=0, parse_dates=True)
    forecaster = STanHopForecaster.load(root / "first")
    wanted = forecaster.predict_interval()  # as it is drawn
    np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(), rtol=1e-6)
    assert list(found.columns) == list(wanted.columns)
    assert list(found.index) == list(wanted.index)
    other = forecaster.columns_[1]
    box = page.get_by_role("combobox", name="Variates")
    box.click()
    box.press_sequentially(other)
    box.press("Enter")
    page.locator(".js-plotly-plot .ytitle, .js-plotly-plot .y2title").filter(
        has_text=other
    ).first.wait_for()


TRAINING = {
    "Horizon (steps)": 12,
    "Lookback (steps)": 48,
    "Patch length (steps)": 12,
    "Width": 16,
    "Heads": 2,
}
VISITORS = {"left": (700, {"Epochs": 20}), "right": (800, {"Steps at most": 3})}
"""Rows that each brings, and how long it trains."""


def upload(visitor, url, name):
    """Bring a part of the sample to the page Train, and say what is trained."""
    rows, more = VISITORS[name]
    visitor.set_default_timeout(WAIT)
    visitor.goto(f"{url}/train")
    settled(visitor, "Train")
    visitor.get_by_label("Data", exact=False).first.click()
    visitor.get_by_role("option", name="an upload").click()
    content = datasets.load("sample").iloc[:rows].to_csv().encode()
    file = {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": content}
    visitor.locator("input[type=file]").set_input_files([file])
    visitor.get_by_text(f"{rows} rows").wait_for()
    for label, value in {**TRAINING, **more, "Name of the run": f"of-{name}"}.items():
        fill(visitor, label, value)


def test_two_visitors_train_and_forecast_at_once_and_see_their_own_uploads_only(page, url, root):
    """Two pages of one browser are two sessions of the server; one is loaded anew while it trains."""
    visitors = {name: page.context.new_page() for name in VISITORS}
    for name, visitor in visitors.items():
        upload(visitor, url, name)
    for name, visitor in visitors.items():
        visitor.get_by_role("button", name="Train", exact=True).click()
        visitor.get_by_text(f"of-{name} is tr").first.wait_for()
    left = visitors["left"]
    left.get_by_text("of-left is training").first.wait_for()
    left.reload()
    left.get_by_text("of-left is tr").first.wait_for()  # is training, or is trained already
    sample = datasets.load("sample")
    for name, other in (("left", "right"), ("right", "left")):
        visitor = visitors[name]
        visitor.get_by_text(f"of-{name} is trained.").wait_for()
        if name == "right":  # a page that is loaded anew has no upload
            assert f"{name}.csv" in visitor.inner_text("body")
        assert f"{other}.csv" not in visitor.inner_text("body")
        visitor.locator(".js-plotly-plot").first.wait_for()
        visitor.goto(f"{url}/?run=of-{name}")
        visitor.locator(".js-plotly-plot").first.wait_for()
        last = sample.index[VISITORS[name][0] - 1]
        forecaster = STanHopForecaster.load(root / f"of-{name}")
        assert forecaster.context_.index[-1] == last
        visitor.get_by_text(f"12 steps after {last}").wait_for()
        with visitor.expect_download() as download:
            visitor.get_by_role("button", name="Download the forecast (CSV)").click()
        found = pd.read_csv(io.BytesIO(download.value.path().read_bytes()), index_col=0)
        wanted = forecaster.predict_interval()
        assert wanted.index[0] > last
        np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(), rtol=1e-6)
