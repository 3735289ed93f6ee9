"""The dashboard with a run of many series."""

import re

import numpy as np
import pandas as pd
import pytest
from pages import errors, figures, open_page
from stanhop_app.cli.group import run
from stanhop_app.ui import runs


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


def outliers_page():
    from stanhop_app.ui import outliers

    outliers.show()


def theory_page():
    from stanhop_app.ui import theory

    theory._memorisation()


def memory_page():
    from stanhop_app.ui import memory

    memory.show()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with one run of many series."""
    folder = tmp_path_factory.mktemp("many") / "runs"
    parts = []
    for number in range(4):
        days = pd.date_range("2024-01-01", periods=80 + 30 * number)
        sold = np.random.default_rng(number).gamma(2.0, 5.0, size=len(days)).round(2)
        parts.append(pd.DataFrame({"shop": f"0{number}", "day": days, "sold": sold}))
    table = folder.parent / "shops.csv"
    pd.concat(parts).to_csv(table, index=False)
    words = ["--horizon", "7", "--id-column", "shop", "--max-steps", "2", "--dim", "16", "--quiet"]
    assert run(["train", str(table), *words, "-o", str(folder / "shops")]) == 0
    return folder


@pytest.fixture
def opened(root, monkeypatch):
    monkeypatch.setattr(runs, "root", lambda: root)
    return lambda function: open_page(function, run="shops")


def test_a_series_is_chosen_by_its_name_and_drawn(opened):
    app = opened(forecast_page)
    assert errors(app) == []
    assert list(app.selectbox(key="series").options) == ["00", "01", "02", "03"]
    app.selectbox(key="series").set_value("02").run()
    assert errors(app) == []
    ((title, traces),) = figures(app)
    assert title.startswith("02: 7 steps after 2024-05-19")
    names = [trace["name"] for trace in traces]
    assert [n for n in names if n in ("history", "forecast")] == ["history", "forecast"]
    assert {"80%", "95%"} <= set(names)
    assert any(
        "4 series; by a model whose linear part was fitted on all 500 rows" in caption.value
        for caption in app.caption
    )
    codes = [code.value for code in app.code]
    assert "--ids 02 --horizon 7" in codes[0]


def test_the_worst_series_come_first_and_all_can_be_downloaded(opened):
    app = opened(forecast_page)
    (table,) = [each.value for each in app.dataframe if "mase" in each.value]
    assert list(table.columns) == ["mae", "smape", "mase", "rmsse"]
    assert table["mase"].is_monotonic_decreasing
    app.toggle(key="all").set_value(True).run()
    assert errors(app) == []
    assert len(app.get("download_button")) == 4  # of the series that is shown three


def test_the_window_of_an_outlier_is_told_with_its_series(opened):
    app = opened(outliers_page)
    assert errors(app) == []
    titles = [title for title, _ in figures(app)]
    (cause,) = [title for title in titles if title.startswith("The window up to 2024-")]
    assert re.search(r" of 0[0-3], its forecast and what came$", cause)


def test_memorisation_and_memory_are_looked_at_too(opened):
    app = opened(theory_page)
    assert errors(app) == []
    app.toggle(key="compare").set_value(True).run()
    assert errors(app) == []
    assert "AUC of losses" in app.success[0].value
    app = opened(memory_page)
    app.selectbox(key="patterns").set_value("windows of the run's table").run()
    assert errors(app) == []


def test_the_lines_shown_measure_what_the_page_does(opened, root, monkeypatch, capsys):
    app = opened(outliers_page)
    (python,) = [c.value for c in app.code if "window_outliers" in c.value]
    monkeypatch.chdir(root.parent)
    exec(python, {})
    printed = capsys.readouterr().out
    assert "kurtosis" in printed
