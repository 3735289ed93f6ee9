"""The pages Backtest and Intervals."""

import shutil

import pytest
from pages import errors, figures, open_page

from stanhop_app.runs.backtest import past
from stanhop_app.runs.backtest.backtest import backtest
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.record import Backtest
from stanhop_app.runs.run import Run


def backtest_page():
    from stanhop_app.ui import backtest

    backtest.show()


def intervals_page():
    from stanhop_app.ui import intervals

    intervals.show()


@pytest.fixture(scope="module")
def root(trained, weather, tmp_path_factory):
    """A folder with a run and a backtest of it."""
    folder = tmp_path_factory.mktemp("backtests") / "runs"
    folder.mkdir()
    shutil.copytree(trained, folder / "weather")
    run = Run.open(folder / "weather").on(weather)
    backtest(run, BacktestConfig(stride=4), output=folder / "weather.parquet")
    (folder / "junk.parquet").write_bytes(b"PAR1" * 100)
    damaged = (folder / "weather.parquet").read_bytes()
    (folder / "damaged.parquet").write_bytes(damaged[:200] + b"\0" * 2000 + damaged[2200:])
    return folder


@pytest.mark.slow
def test_a_backtest_is_shown_by_model_variate_and_group(root, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    app = open_page(backtest_page)
    assert set(app.selectbox(key="backtest").options) == {"weather.parquet", "damaged.parquet"}
    app.selectbox(key="backtest").set_value("weather.parquet").run()
    assert errors(app) == []
    told = [text.value for text in app.markdown]
    assert any(text.startswith("**STanHop-Net, updated** against ridge: ") for text in told)
    titles = [title for title, _ in figures(app)]
    assert titles[0].startswith("temperature_f: mean absolute error by cut-off")
    made = Backtest.load(root / "weather.parquet")
    first = past.Place(variate="temperature_f")
    ranked = past.worst(made, first, "STanHop-Net, updated")
    assert f"steps after {ranked.index[0]}, STanHop-Net, updated beside what came" in titles[1]
    app.selectbox(key="cutoff").set_value(str(ranked.index[3])).run()
    (title, traces) = figures(app)[1]
    assert f"steps after {ranked.index[3]}" in title
    names = [trace["name"] for trace in traces]
    assert names[:2] == ["95%", "80%"]
    assert names[-3:] == ["history", "forecast", "actual"]
    assert "ridge" in names
    app.selectbox(key="variates").set_value("humidity_pct")
    app.selectbox(key="model").set_value("ridge")
    app.selectbox(key="group").set_value("hour")
    app.toggle(key="calibration").set_value(True).run()
    assert errors(app) == []
    titles = [title for title, _ in figures(app)]
    assert "humidity_pct: " in titles[1]
    assert "ridge beside what came" in titles[1]
    assert titles[2].endswith("forecasts by ridge")
    assert titles[3:5] == ["MAE, scaled by hour", "Truths below each quantile"]
    app.selectbox(key="group").set_value("variate").run()
    assert errors(app) == []
    app.selectbox(key="backtest").set_value("damaged.parquet").run()
    (error,) = errors(app)
    assert "damaged" in error


def test_without_any_the_page_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path / "runs"))
    app = open_page(backtest_page)
    assert errors(app) == []
    assert "No backtests in" in app.info[0].value


@pytest.mark.slow
def test_intervals_paths_and_totals_of_a_run(root, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    app = open_page(intervals_page, run="weather")
    assert errors(app) == []
    (bands, drawn), (_, paths) = figures(app)
    assert bands.startswith("weather: temperature_f by residuals of ")
    assert [trace["name"] for trace in drawn] == ["95%", "80%", "history", "forecast"]
    assert len(paths) == 101
    app.multiselect(key="levels").set_value(["50"]).run()
    app.toggle(key="bounded").set_value(True).run()
    assert errors(app) == []
    code = [block.value for block in app.code]
    assert code[0].endswith("--levels 50 --lower 0")


@pytest.mark.slow
def test_what_the_intervals_page_prints_runs(root, monkeypatch, capsys):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    app = open_page(intervals_page, run="weather")
    monkeypatch.chdir(root.parent)
    lines = app.code[1].value.replace("frame = ...  # its own table", "frame = None")
    lines = lines.replace(".on(frame)", "")
    exec(compile(lines, "page", "exec"), {})
    assert "humidity_pct-hi-95" in capsys.readouterr().out
