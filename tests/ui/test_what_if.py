"""The dashboard with a run that reads covariates."""

import base64

import numpy as np
import pandas as pd
import pytest
from pages import errors, figures, open_page
from stanhop_app.cli.group import run
from stanhop_app.ui import runs, what_if

from stanhop_app.runs.run import Run

WORDS = ["--horizon", "7", "--max-steps", "2", "--dim", "16", "--quiet", "--future-covariates"]


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


def outliers_page():
    from stanhop_app.ui import outliers

    outliers.show()


def shop(number, rows=120, ahead=7):
    draws = np.random.default_rng(number)
    promo = draws.random(rows + ahead) < 0.2
    sold = 20 + 10 * promo + draws.normal(size=rows + ahead)
    return pd.DataFrame(
        {
            "shop": f"0{number}",
            "day": pd.date_range("2024-01-01", periods=rows + ahead),
            "sold": np.where(np.arange(rows + ahead) < rows, sold, np.nan),
            "promo": promo.astype(int),
            "event": np.where(draws.random(rows + ahead) < 0.1, "fair", ""),
        }
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a run of many series and one of a wide table, both with covariates."""
    folder = tmp_path_factory.mktemp("known") / "runs"
    pd.concat([shop(n) for n in range(3)]).to_csv(folder.parent / "shops.csv", index=False)
    shop(0).drop(columns="shop").to_csv(folder.parent / "one.csv", index=False)
    for name, words in (
        ("shops", ["--id-column", "shop"]),
        ("one", ["--lookback", "28", "--patch-length", "7"]),
    ):
        table = folder.parent / f"{name}.csv"
        words = [*WORDS, "promo,event", *words, "-o", str(folder / name)]
        assert run(["train", str(table), *words]) == 0
    return folder


@pytest.fixture
def opened(root, monkeypatch):
    monkeypatch.setattr(runs, "root", lambda: root)
    return open_page


@pytest.mark.parametrize("name", ["shops", "one"])
def test_the_covariates_to_come_can_be_seen_beside_the_forecast(opened, name):
    app = opened(forecast_page, run=name)
    assert errors(app) == []
    assert len(figures(app)) == 1
    shown = next(d.value for d in app.dataframe if "promo" in d.value)
    told = shop(0)[-7:]
    assert shown["promo"].tolist() == told["promo"].tolist()
    assert shown["event"].tolist() == told["event"].tolist()
    assert any("What if" in expander.label for expander in app.expander)


def test_a_longer_forecast_than_is_known_says_from_when_on(opened):
    app = opened(forecast_page, run="one")
    app.number_input(key="horizon").set_value(9).run()
    (message,) = [error.value for error in app.error]
    assert "'promo' is known for 7 of 9 steps, not from 2024-05-07" in message


def test_outliers_of_runs_with_covariates_are_measured(opened):
    app = opened(outliers_page, run="one")
    assert errors(app) == []
    assert any(title.startswith("The window up to 2024-") for title, _ in figures(app))


def test_what_is_not_told_is_empty(root):
    opened = Run.open(root / "one")
    rows = what_if.ahead(opened.fitted.outlook.kept(), opened, 9)
    assert rows["promo"].notna().tolist() == [True] * 7 + [False] * 2
    assert pd.isna(rows["event"].iloc[-1])
    assert str(rows.index[-1]) == "2024-05-08 00:00:00"


def test_a_changed_value_is_forecast_beside_what_the_table_tells(opened, monkeypatch):
    import streamlit as st

    monkeypatch.setattr(st, "data_editor", lambda frame, **_: frame.assign(promo=1))
    app = opened(forecast_page, run="shops")
    assert errors(app) == []
    ((_, traces),) = figures(app)
    lines = {str(trace["name"]): trace for trace in traces}
    drawn = ["history", "forecast", "as the table tells"]
    assert [name for name in lines if not name.endswith("%")] == drawn
    forecast, told = (
        np.frombuffer(base64.b64decode(trace["y"]["bdata"]), dtype=trace["y"]["dtype"])
        for trace in (lines[name] for name in drawn[1:])
    )
    promo = shop(0)["promo"].to_numpy()[-7:]
    assert (forecast - told)[promo == 0] == pytest.approx(10, abs=4)
    assert (forecast - told)[promo == 1] == pytest.approx(0, abs=1e-3)
