"""The dashboard with a run that has an external memory."""

import numpy as np
import pandas as pd
import pytest
from pages import errors, figures, open_page

from stanhop_app import STanHopForecaster

NETWORK = {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16}


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


@pytest.fixture
def app(root, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    return open_page(forecast_page, run="echoes")


@pytest.fixture(scope="module")
def root(echoes, tmp_path_factory):
    """A folder with a run that reads a memory."""
    folder = tmp_path_factory.mktemp("remembering") / "runs"
    options = {"horizon": 6, "lookback": 24, "max_epochs": 1, "network": NETWORK}
    STanHopForecaster(**options, memory="plug", progress=False).fit(echoes).save(folder / "echoes")
    return folder


def values(trace):
    """A trace's numbers; Plotly packs arrays."""
    import base64

    y = trace["y"]
    if isinstance(y, dict):
        return np.frombuffer(base64.b64decode(y["bdata"]), y["dtype"])
    return np.array(y, dtype=float)


def traces(app):
    """Of the figure of analogues, by name."""
    ((_, drawn),) = [f for f in figures(app) if f[0].startswith("The past windows")]
    return {trace["name"]: values(trace) for trace in drawn}


@pytest.mark.slow
def test_the_windows_behind_a_forecast_are_drawn_and_one_is_switched_off(app, root):
    assert errors(app) == []
    assert len(figures(app)) == 1
    app.toggle(key="why").set_value(True).run()
    assert errors(app) == []
    before = traces(app)
    assert set(before) == {
        "analogues and what followed",
        "window",
        "forecast without the memory",
        "forecast",
    }
    made = STanHopForecaster.load(root / "echoes").predict()
    np.testing.assert_allclose(before["forecast"], made.iloc[:, 0], rtol=1e-4)
    first = app.multiselect(key="without").options[0]
    assert first.startswith("before 2024-0")
    (number,) = [int(n) for n in pd.Index(app.dataframe[-1].value.index)[:1]]
    app.multiselect(key="without").set_value([number]).run()
    assert errors(app) == []
    after = traces(app)
    assert not np.array_equal(after["forecast"], before["forecast"])
    np.testing.assert_allclose(
        after["forecast without the memory"], before["forecast without the memory"]
    )
    assert number not in app.dataframe[-1].value.index
    assert f"without=[{number}]" in app.code[1].value or f"without=[{number}]" in app.code[3].value


def test_a_run_without_one_says_nothing_of_it(tmp_path, monkeypatch, echoes):
    options = {"horizon": 6, "lookback": 24, "max_epochs": 1, "network": NETWORK}
    STanHopForecaster(**options, progress=False).fit(echoes).save(tmp_path / "runs" / "plain")
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path / "runs"))
    app = open_page(forecast_page, run="plain")
    assert errors(app) == []
    assert "why" not in [toggle.key for toggle in app.toggle]


@pytest.mark.slow
def test_steps_back_show_the_forecast_beside_what_came(app, echoes):
    app.number_input(key="back").set_value(30).run()
    assert errors(app) == []
    (title, drawn), *_ = figures(app)
    assert str(echoes.index[-31]) in title
    lines = {trace["name"]: values(trace) for trace in drawn}
    np.testing.assert_allclose(lines["actual"], echoes.iloc[-30:-24, 0], rtol=1e-6)
    assert {"80%", "95%", "history", "forecast"} < set(lines)
    np.testing.assert_allclose(lines["history"][-3:], echoes.iloc[-33:-30, 0], rtol=1e-6)
    assert f'--cutoff "{echoes.index[-31]}"' in app.code[0].value
    assert f'cut(run.forecaster, "{echoes.index[-31]}")' in app.code[1].value
    assert any("by the scored model" in caption.value for caption in app.caption)
