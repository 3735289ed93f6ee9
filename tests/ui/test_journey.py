"""A newcomer's path in a real browser: a messy table, understood, trained, forecast, backtested, shared.

Skipped where there is no Chromium. ``JOURNEY=FOLDER`` writes a picture of every station there.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import BROWSER, WAIT

pytestmark = BROWSER

MOST_CLICKS = 8
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run folder with nothing in it."""
    return tmp_path_factory.mktemp("journey") / "runs"


def messy():
    """Daily sales as a German spreadsheet writes them: a mark of order, semicolons, commas, day first."""
    rng, days = np.random.default_rng(0), pd.date_range("2023-01-01", periods=420, freq="D")
    week = np.array([1.0, 0.9, 0.9, 1.0, 1.3, 1.6, 0.4])[days.day_of_week]
    lines = ["Datum;Umsatz in €;Kunden"]
    for day, factor in zip(days, week, strict=True):
        sales = 1500 * factor + 80 * rng.normal()
        words = f"{sales:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
        lines.append(f"{day:%d.%m.%Y};{words};{90 * factor + 5 * rng.normal():.0f}")
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


class Visitor:
    """Somebody with a mouse: every click is counted, and nothing can be typed."""

    def __init__(self, page):
        self.page, self.clicks, self.stations = page, 0, 0

    def click(self, target):
        target.click()
        self.clicks += 1

    def settled(self):
        self.page.wait_for_timeout(400)
        self.page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
        assert self.page.locator("[data-testid=stException]").count() == 0
        assert self.page.locator("[data-testid=stAlertContentError]").count() == 0

    def picture(self, name):
        """Of what is seen now, at both widths."""
        folder = os.environ.get("JOURNEY")
        if folder is None:
            return
        self.stations += 1
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.wait_for_timeout(800)
            path = Path(folder) / f"{self.stations}-{name}-{width}.png"
            self.page.screenshot(path=str(path), full_page=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})


def charts(page):
    """What the charts of a page are called, for who listens to it."""
    drawn = page.locator("[data-testid=stPlotlyChart]").all()
    return [chart.get_attribute("aria-label") for chart in drawn]


def test_from_a_messy_table_to_a_link_to_the_worst_day(page, url, tmp_path):
    page.set_viewport_size({"width": 1280, "height": 900})
    visitor = Visitor(page)
    page.goto(url)
    page.locator(".js-plotly-plot").first.wait_for()
    visitor.settled()
    visitor.click(page.locator("[data-testid=stPageLink-NavLink]").filter(has_text="Train"))
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    with page.expect_file_chooser() as chooser:
        visitor.click(page.locator("[data-testid=stFileUploader] button").first)
    chooser.value.set_files(
        [{"name": "Umsätze 2023.csv", "mimeType": "text/csv", "buffer": messy()}]
    )
    page.get_by_text("420 rows x 2 columns from 2023-01-01").wait_for()
    visitor.settled()
    visitor.picture("understood")
    visitor.click(page.get_by_role("button", name="Train", exact=True))
    page.get_by_text("is trained.").wait_for(timeout=2 * WAIT)
    visitor.settled()
    visitor.picture("trained")
    visitor.click(page.get_by_role("button", name="Forecast with it"))
    page.get_by_text("14 steps after 2024-02-24").first.wait_for()
    visitor.settled()
    assert "trained on Umsätze 2023.csv" in page.inner_text("body")
    visitor.picture("forecast")
    visitor.click(page.locator("[data-testid=stPageLink-NavLink]").filter(has_text="Backtest"))
    visitor.click(page.get_by_role("button", name="Start, or go on"))
    page.get_by_role("heading", name="One cut-off").wait_for(timeout=2 * WAIT)
    visitor.settled()
    page.get_by_text("beside what came").first.wait_for()
    visitor.picture("worst")
    assert visitor.clicks <= MOST_CLICKS
    page.wait_for_function("() => location.search.includes('backtest=')")
    seen, link = charts(page), page.url
    assert len(seen) >= 3
    other = page.context.new_page()
    other.set_default_timeout(WAIT)
    other.goto(link)
    other.get_by_role("heading", name="One cut-off").wait_for()
    other.get_by_text("beside what came").first.wait_for()
    other.locator("[data-testid=stPlotlyChart]").nth(len(seen) - 1).wait_for()
    Visitor(other).settled()
    assert charts(other) == seen
