"""The dashboard's pages: with the sample, with runs, with bad uploads."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from stanhop_app.ui import runs
from stanhop_app.ui.pages import PAGES
from streamlit.testing.v1 import AppTest

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.errors import ArtefactError
from stanhop_app.forecasting.comparison import ComparisonConfig, compare
from stanhop_app.forecasting.frame import fingerprint

SMALL = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


def variants_page():
    from stanhop_app.ui import variants

    variants.show()


def outliers_page():
    from stanhop_app.ui import outliers

    outliers.show()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder: two runs of the sample with different associations, and compare results."""
    root = tmp_path_factory.mktemp("ui") / "runs"
    sample = datasets.load("sample")
    for name in ("softmax", "softmax1"):
        forecaster = STanHopForecaster(
            horizon=12,
            lookback=48,
            association=name,
            linear_skip=False,
            network=SMALL,
            training={"max_steps": 3},
            progress=False,
        )
        forecaster.fit(sample, run_folder=root / name, outlier_steps=2)
        forecaster.source_ = {"data": "sample", "options": {}, "sha256": fingerprint(sample)}
        forecaster.save(root / name)
    config = ComparisonConfig(lookback=48, network=SMALL, training={"max_steps": 3})
    frame = sample.iloc[:900]
    options = {"variants": ["softmax", "softmax1"], "horizons": [12], "seeds": [0]}
    compare(frame, config, **options, results=root / "variants.json")
    return root


@pytest.fixture
def page(folder, monkeypatch):
    """Run one page against the folder."""

    def opened(function, root=folder, **query):
        monkeypatch.setenv("STANHOP_RUNS", str(root))
        app = AppTest.from_function(function, default_timeout=120)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return opened


def figures(app):
    """Title and traces of every chart."""
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return [(spec["layout"]["title"]["text"], spec["data"]) for spec in specs]


def errors(app):
    assert not app.exception, app.exception
    return [error.value for error in app.error]


def numbers(values):
    """A trace's values; Plotly packs arrays."""
    if isinstance(values, dict):
        import base64

        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, dtype=float)


def test_a_run_is_forecast_and_drawn(page, folder):
    app = page(forecast_page, run="softmax1")
    assert errors(app) == []
    (title, traces) = figures(app)[0]
    assert "softmax1" in title
    assert "split 14/5/5" in title
    assert [trace["name"] for trace in traces] == ["history", "forecast"]
    forecaster = STanHopForecaster.load(folder / "softmax1")
    wanted = forecaster.predict()
    np.testing.assert_allclose(numbers(traces[1]["y"]), wanted.iloc[:, 0], rtol=1e-6)
    np.testing.assert_allclose(
        numbers(traces[0]["y"])[-5:], datasets.load("sample").iloc[-5:, 0], rtol=1e-6
    )


def test_other_variates_and_horizons_are_drawn(page, folder):
    app = page(forecast_page, run="softmax1")
    app.number_input(key="horizon").set_value(30)
    app.multiselect(key="variates").set_value(list(datasets.load("sample").columns[1:3]))
    app.run()
    assert errors(app) == []
    _, traces = figures(app)[0]
    assert len(traces) == 4
    wanted = STanHopForecaster.load(folder / "softmax1").predict(horizon=30)
    np.testing.assert_allclose(numbers(traces[3]["y"]), wanted.iloc[:, 2], rtol=1e-6)


def test_where_a_run_errs(page):
    app = page(forecast_page, run="softmax")
    app.toggle(key="errors").set_value(True).run()
    assert errors(app) == []
    found = figures(app)
    assert len(found) == 3
    assert "by step" in found[1][0]
    assert len(numbers(found[1][1][0]["y"])) == 12
    assert "by hour and weekday" in found[2][0]
    heat = found[2][1][0]
    assert (len(heat["y"]), len(heat["x"])) == (7, 24)


def test_an_upload_is_forecast_as_the_library_does(page, folder):
    frame = datasets.load("sample").iloc[500:700]
    app = page(forecast_page, run="softmax1")
    app.get("file_uploader")[0].set_value(("new.csv", frame.to_csv().encode(), "text/csv"))
    app.run()
    assert errors(app) == []
    wanted = STanHopForecaster.load(folder / "softmax1").predict(frame)
    _, traces = figures(app)[0]
    np.testing.assert_allclose(numbers(traces[1]["y"]), wanted.iloc[:, 0], rtol=1e-6)


SAMPLE = datasets.load("sample").iloc[:200]
BAD = {
    "wrong columns": (SAMPLE.rename(columns={SAMPLE.columns[0]: "other"}).to_csv(), "missing:"),
    "missing values": (SAMPLE.mask(SAMPLE.quantile(0.9) < SAMPLE).to_csv(), "missing"),
    "empty": ("", "empty"),
    "not a table": ("<html><body>hello</body></html>", ""),
    "too short": (SAMPLE.iloc[:20].to_csv(), "too few rows: 20"),
    "words": ("time,a\n2020-01-01,x\n2020-01-02,y\n", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_upload_is_one_line(page, name):
    content, message = BAD[name]
    app = page(forecast_page, run="softmax1")
    app.get("file_uploader")[0].set_value(("bad.csv", content.encode(), "text/csv"))
    app.run()
    (said,) = errors(app)
    assert message in said
    assert "\n" not in said.strip()


def test_nothing_is_empty_without_runs(page, tmp_path):
    """The sample is trained, once, and shown on every page."""
    app = page(forecast_page, root=tmp_path / "none")
    assert errors(app) == []
    assert len(figures(app)) == 1
    app = page(outliers_page, root=tmp_path / "none")
    assert errors(app) == []
    assert len(figures(app)) >= 2
    app = page(variants_page, root=tmp_path / "none")
    assert errors(app) == []
    assert len(figures(app)) == 2
    assert "No results" in app.info[0].value


def test_variants_show_every_table_and_figure(page):
    app = page(variants_page)
    assert errors(app) == []
    found = figures(app)
    assert len(found) == 7 + 2
    assert {trace["name"] for trace in found[3][1]} == {"softmax", "softmax1"}
    assert len(app.dataframe) == 3
    assert {"softmax", "softmax1"} <= set(app.dataframe[1].value.index)
    left = [metric.value for metric in app.metric]
    assert left[1] == "0.0%" or left[0] == "0.0%"
    assert {left[0] == "0.0%", left[1] == "0.0%"} == {True, False}


def test_attention_maps_are_the_networks(page, folder):
    app = page(variants_page)
    maps = figures(app)[-2:]
    for _, (trace,) in maps:
        z = np.array([numbers(row) for row in trace["z"]]) if isinstance(trace["z"], list) else None
        if z is None:
            z = numbers(trace["z"])
        assert ((z >= 0) & (z <= 1 + 1e-6)).all()


def test_damaged_results_are_one_line(page, folder, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    (root / "a.json").write_text('{"cells": {"x": {"modules": {}}}}')
    app = page(variants_page, root=root)
    (said,) = errors(app)
    assert said.startswith("a.json: damaged")


def test_outliers_of_a_run(page):
    app = page(outliers_page, run="softmax1")
    assert errors(app) == []
    titles = [title for title, _ in figures(app)]
    assert any("largest norm" in title for title in titles)
    assert any("during training" in title for title in titles)
    assert any(title.startswith("The window up to") for title in titles)
    assert app.metric[2].value == "512" or int(app.metric[2].value.replace(",", "")) > 100
    app.toggle(key="bits").set_value(True).run()
    assert errors(app) == []
    assert "W4A4" in app.dataframe[0].value.index.get_level_values("bits")


def test_a_run_that_is_not_there_is_said(page):
    app = page(forecast_page, run="nothing")
    assert any("'nothing' is no run" in said for said in errors(app))
    assert len(figures(app)) == 1


@pytest.mark.parametrize("name", ["../secret", "/etc", "..", ".", "", "link", "softmax/../../x"])
def test_nothing_outside_of_the_run_folder_is_opened(tmp_path, monkeypatch, name):
    root, secret = tmp_path / "runs", tmp_path / "secret"
    for path in (root, secret):
        path.mkdir()
    (secret / "config.json").write_text("{}")
    (root / "link").symlink_to(secret)
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    with pytest.raises(ArtefactError, match="outside of the run folder"):
        runs.inside(name)
    assert runs.run_names() == []


def test_names_in_tables_are_shown_and_not_run(page, folder, tmp_path):
    """A column called like a script, in a run and in a chart."""
    frame = datasets.load("sample").iloc[:600]
    frame.columns = ["<script>alert(1)</script>", *frame.columns[1:]]
    forecaster = STanHopForecaster(
        horizon=12, lookback=48, network=SMALL, training={"max_steps": 1}, progress=False
    ).fit(frame)
    forecaster.source_ = {"data": "mine.csv", "options": {}}
    forecaster.save(tmp_path / "runs" / "evil")
    app = page(forecast_page, root=tmp_path / "runs", run="evil")
    assert errors(app) == []
    assert not any(m.proto.allow_html for m in app.markdown)


def test_every_page_is_registered_once():
    assert len({page.path for page in PAGES}) == len(PAGES)
    assert all(page.title and page.icon.startswith(":material/") for page in PAGES)


def test_the_server_listens_on_loopback_and_answers(folder, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stanhop_app.cli", "dashboard", "--no-browser"]
    command += ["--port", str(port), "--runs", str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        url = f"http://127.0.0.1:{port}/_stcore/health"
        for _ in range(300):
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    assert answer.read() == b"ok"
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        else:
            pytest.fail("the server did not answer")
    finally:
        process.terminate()
        process.wait(timeout=20)
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass
    assert list(tmp_path.iterdir()) == []
