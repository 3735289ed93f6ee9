"""The dashboard's pages: with the sample, with runs, with bad uploads."""

import csv
import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from pages import OPTIONS, errors, figures, open_page
from stanhop_app.cli.group import run
from stanhop_app.ui import jobs, runs
from stanhop_app.ui.fields import key_of
from stanhop_app.ui.pages import PAGES

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.errors import ArtefactError
from stanhop_app.forecasting import fit
from stanhop_app.runs.measures import window_occupancy
from stanhop_app.runs.run import Run
from stanhop_app.studies.suite import compare_suite
from stanhop_app.studies.variants import ComparisonConfig, compare
from stanhop_app.suite.config import SuiteConfig

SMALL = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


def train_page():
    from stanhop_app.ui import train

    train.show()


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
        forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "sample", "options": {}})
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
        return open_page(function, **query)

    return opened


def numbers(values):
    """A trace's values; Plotly packs arrays."""
    if isinstance(values, dict):
        import base64

        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, dtype=float)


@pytest.mark.slow
def test_a_run_is_forecast_and_drawn(page, folder):
    app = page(forecast_page, run="softmax1")
    assert errors(app) == []
    (title, traces) = figures(app)[0]
    assert "softmax1" in title
    assert "split 14/5/5" in title
    assert [trace["name"] for trace in traces] == ["95%", "80%", "history", "forecast"]
    forecaster = STanHopForecaster.load(folder / "softmax1")
    wanted = forecaster.predict()
    np.testing.assert_allclose(numbers(traces[3]["y"]), wanted.iloc[:, 0], rtol=1e-6)
    name, ends = wanted.columns[0], forecaster.predict_interval(levels=(80,))
    band = numbers(traces[1]["y"])
    np.testing.assert_allclose(band[:12], ends[f"{name}-lo-80"], rtol=1e-6)
    np.testing.assert_allclose(band[:11:-1], ends[f"{name}-hi-80"], rtol=1e-6)
    np.testing.assert_allclose(
        numbers(traces[2]["y"])[-5:], datasets.load("sample").iloc[-5:, 0], rtol=1e-6
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


@pytest.mark.slow
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
    app = page(memory_page, root=tmp_path / "none")
    assert errors(app) == []
    assert len(figures(app)) == 2


def test_variants_show_every_table_and_figure(page):
    app = page(variants_page)
    assert errors(app) == []
    found = figures(app)
    assert len(found) == 7 + 2
    assert {trace["name"] for trace in found[3][1]} == {"softmax", "softmax1"}
    assert len(app.dataframe) == 4
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


def test_attention_maps_of_two_runs_are_of_one_window_and_one_scale(page, folder):
    app = page(variants_page)
    left, right = (traces[0] for _, traces in figures(app)[-2:])
    assert (left["zmin"], left["zmax"]) == (right["zmin"], right["zmax"])
    assert max(np.max(numbers(m["z"])) for m in (left, right)) == left["zmax"]
    last = Run.open(folder / "softmax").fitted.rows.index[-1]
    assert any(str(last) in caption.value for caption in app.caption)


def test_two_runs_that_cannot_read_one_window_are_refused_with_the_reason(page, folder, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(folder, root)
    frame = datasets.load("sample").iloc[:200, :2]
    STanHopForecaster(**OPTIONS).fit(frame).save(root / "two columns")
    app = page(variants_page, root=root, **{"run-0": "softmax", "run-1": "two columns"})
    (said,) = errors(app)
    assert said == "it was trained on other columns; choose two runs of one table."
    assert len(figures(app)) == 7 + 1


def test_damaged_results_are_one_line(page, folder, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    (root / "a.json").write_text(
        '{"kind": "variants", "version": 1, "cells": {"x": {"modules": {}}}}'
    )
    app = page(variants_page, root=root)
    (said,) = errors(app)
    assert said.startswith("a.json: damaged")


@pytest.mark.slow
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
    assert errors(app) == []
    (said,) = [warning.value for warning in app.warning]
    assert said == "Run: nothing is not there (any more); shown is softmax1."
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
    forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "mine.csv", "options": {}})
    forecaster.save(tmp_path / "runs" / "evil")
    app = page(forecast_page, root=tmp_path / "runs", run="evil")
    assert errors(app) == []
    assert not any(m.proto.allow_html for m in app.markdown)


def choose(app, **values):
    """Set widgets by key, those of options by the names of these."""
    kinds = {"data": "selectbox", "association": "selectbox", "gate": "selectbox"}
    kinds |= {"name": "text_input", "split": "text_input", "seeds": "text_input"}
    for key, value in values.items():
        getattr(app, kinds.get(key, "number_input"))(
            key=key if key in ("data", "name", "seeds") else key_of(key)
        ).set_value(value)
    return app


TINY = {"horizon": 12, "lookback": 48, "patch_length": 12, "dim": 16, "num_heads": 2}


@pytest.mark.slow
def test_a_training_runs_shows_its_losses_and_is_what_the_command_writes(
    page, tmp_path, stored, monkeypatch
):
    root = tmp_path / "runs"
    app = page(train_page, root=root)
    assert errors(app) == []
    choose(app, data="sample", name="mine", gate="linear", max_steps=25, **TINY).run()
    command = app.code[0].value
    assert command == (
        "stanhop train sample --output runs/mine --horizon 12 --lookback 48 --gate linear "
        "--patch-length 12 --dim 16 --num-heads 2 --max-steps 25"
    )
    app.button(key="train").click().run()
    assert errors(app) == []
    assert app.selectbox(key="training").value == "mine"
    job = jobs.find("mine")
    assert job.running
    with pytest.raises(ValueError, match="running already"):
        jobs.start("mine", ["--version"])
    for _ in range(600):
        if not job.running:
            break
        time.sleep(0.1)
    again = page(train_page, root=root)  # a page that is loaded anew
    assert errors(again) == []
    assert [said.value for said in again.success] == ["mine is trained."]
    assert again.button(key="forecast-mine").label == "Forecast with it"
    (title, traces), *_ = figures(again)
    assert title.startswith("mine: loss")
    assert [trace["name"] for trace in traces] == ["training", "validation"]
    with (root / "mine" / "steps.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    np.testing.assert_allclose(numbers(traces[0]["y"]), [float(r["train_loss"]) for r in rows])
    scores = again.dataframe[0].value
    assert {"STanHop-Net", "ridge"} <= set(scores.index)

    (tmp_path / "same").mkdir()
    monkeypatch.chdir(tmp_path / "same")
    assert run(shlex.split(command)[1:]) == 0
    for name in ("model.safetensors", "baselines.safetensors"):
        same = stored(tmp_path / "same" / "runs" / "mine", name)
        assert same.name == stored(root / "mine", name).name
    choose(again, data="sample", name="mine").run()
    again.button(key="train").click().run()
    assert errors(again) == [
        f"{root / 'mine'}: holds a finished run; choose another “Name of the run”, or --force of the "
        "command line."
    ]


@pytest.mark.slow
def test_a_training_is_stopped_and_goes_on(page, tmp_path):
    root = tmp_path / "runs"
    app = page(train_page, root=root)
    choose(app, data="sample", name="long", max_epochs=50, **TINY).run()
    app.button(key="train").click().run()
    assert errors(app) == []
    for _ in range(600):
        if (root / "long" / "steps.csv").exists():
            break
        time.sleep(0.1)
    app.run()
    assert len(figures(app)) == 1
    app.button(key="stop").click().run()
    for _ in range(600):
        if not jobs.find("long").running:
            break
        time.sleep(0.1)
    app.run()
    assert errors(app) == []
    assert app.warning[0].value.startswith("long was stopped. It said last: stanhop: interrupted")
    steps = len((root / "long" / "steps.csv").read_text().splitlines())
    # Whatever the form says now, it goes on with the command that it was started by.
    choose(app, max_epochs=60).run()
    app.button(key="resume").click().run()
    assert errors(app) == []
    assert "--resume" in jobs.find("long").command
    assert "50" in jobs.find("long").command
    for _ in range(600):
        if len((root / "long" / "steps.csv").read_text().splitlines()) > steps + 2:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it did not go on")
    jobs.find("long").stop()


@pytest.mark.slow
def test_an_upload_is_trained_on_and_nowhere_kept(page, tmp_path):
    root = tmp_path / "runs"
    app = page(train_page, root=root)
    choose(app, data="an upload").run()
    assert app.button(key="train").disabled
    content = datasets.load("sample").iloc[:700].to_csv().encode()
    app.get("file_uploader")[0].set_value(("mine.csv", content, "text/csv"))
    choose(app, name="upload", max_steps=3, **TINY).run()
    app.button(key="train").click().run()
    assert errors(app) == []
    for _ in range(600):
        if not jobs.find("upload").running:
            break
        time.sleep(0.1)
    app.run()
    assert [said.value for said in app.success] == ["upload is trained."]
    assert (
        STanHopForecaster.load(root / "upload").context_.index[-1]
        == (datasets.load("sample").index[699])
    )
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files >= {"upload.json", "upload.log", "config.json"}
    assert not any(
        name.endswith(".csv") and name not in ("history.csv", "steps.csv") for name in files
    )
    assert "read_any('mine.csv')" in app.code[1].value
    assert app.code[0].value.startswith("stanhop train mine.csv --output")
    run = Run.open(root / "upload")
    assert run.source["data"] == "-"
    assert run.table_name == "mine.csv"


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", ".jobs", "-o", "a" * 200])
def test_a_run_cannot_be_called_anything(page, tmp_path, name):
    app = page(train_page, root=tmp_path / "runs")
    choose(app, data="sample", name=name).run()
    assert app.button(key="train").disabled
    (said,) = errors(app)
    assert "a name has letters" in said
    assert not (tmp_path / "runs").exists()


def test_a_table_of_300_mb_is_refused(page, tmp_path):
    app = page(train_page, root=tmp_path / "runs")
    choose(app, data="an upload").run()
    app.get("file_uploader")[0].set_value(("big.csv", b"0," * (150 * 2**20), "text/csv"))
    app.run()
    assert errors(app) == [
        "big.csv: has 300 MB, more than the 200 MB that the dashboard takes; use the command line."
    ]
    assert not any(button.key == "train" for button in app.button)


def test_every_page_is_registered_once():
    assert len({page.path for page in PAGES}) == len(PAGES)
    assert all(page.title and page.icon.startswith(":material/") for page in PAGES)


def handshake(port, host, origin):
    """Status of the answer to a WebSocket's beginning: everything of a page goes through one."""
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        f"Origin: {origin}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(100).split()[1])


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.3, 0.7, 1.5, 6.0])
def test_a_signal_ends_the_dashboard_as_every_command(tmp_path, after):
    """Before Streamlit takes signals, too, and while the command becomes its server."""
    code = "import os, sys; os.write(1, b'.'); from stanhop_app.cli import main; main(sys.argv[1:])"
    words = ["dashboard", "--no-browser", "--port", "0", "--runs", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, *words], **pipes)
    process.stdout.read(1)
    time.sleep(after)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.decode().splitlines()[-1] == "stanhop: interrupted."
    assert "Traceback" not in said.decode()


@pytest.mark.slow
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
        hosts = {"127.0.0.1": 101, "localhost": 101, "[::1]": 101, "rebound.example": 403}
        for host, wanted in hosts.items():
            assert handshake(port, f"{host}:{port}", f"http://{host}:{port}") == wanted
        assert handshake(port, f"127.0.0.1:{port}", "http://rebound.example") == 403
    finally:
        process.terminate()
        process.wait(timeout=20)
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass
    assert list(tmp_path.iterdir()) == []


def trained(root, name, frame, **options):
    """A run of a frame in a folder."""
    network = {**SMALL, **options.pop("network", {})}
    forecaster = STanHopForecaster(
        horizon=12,
        lookback=options.pop("lookback", 48),
        network=network,
        training={"max_steps": 1},
        progress=False,
        **options,
    ).fit(frame)
    forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "mine.csv", "options": {}})
    forecaster.save(root / name, force=True)


@pytest.mark.slow
def test_results_belong_to_the_table_and_to_the_run_as_it_is_now(page, tmp_path, monkeypatch):
    """The same name may stand for another table, of another visitor, or for a run that was trained anew."""
    monkeypatch.setattr(fit, "KEPT", 0)  # of a table too large to be kept with the run
    root, frame = tmp_path / "runs", datasets.load("sample").iloc[:900]
    trained(root, "mine", frame, network={"feed_forward": "memory"})
    good, bad = (("t.csv", f.to_csv().encode(), "text/csv") for f in (frame, frame + 1.0))

    def upload(content):
        app = page(memory_page, root=root, run="mine")
        app.get("file_uploader")[0].set_value(content)
        return app.run()

    before = upload(good)
    assert errors(before) == []
    assert "not the one that the run was trained on" in errors(upload(bad))[0]
    trained(root, "mine", frame, network={"feed_forward": "memory", "num_layers": 1})
    after = upload(good)
    assert errors(after) == []
    assert int(after.metric[2].value) < int(before.metric[2].value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "5/1/0", "network": {"feed_forward": "memory"}}, "holds no window"),
        ({"lookback": 24}, "a window needs 48 rows, the series has 24"),
    ],
    ids=["no test part", "short"],
)
def test_memories_that_cannot_be_are_one_line(page, tmp_path, options, message):
    root, frame = tmp_path / "runs", datasets.load("sample").iloc[:900]
    trained(root, "mine", frame, **options)
    app = page(memory_page, root=root, run="mine")
    app.selectbox(key="patterns").set_value("windows of the run's table").run()
    assert any(message in said for said in errors(app))


def test_a_narrow_network_has_no_memory_layers(page, tmp_path):
    narrow = {"dim": 3, "num_heads": 1}
    trained(tmp_path / "runs", "mine", datasets.load("sample").iloc[:900], network=narrow)
    app = page(memory_page, root=tmp_path / "runs", run="mine")
    assert errors(app) == []
    assert "at least bits" in app.dataframe[0].value.loc["both", "not possible"]


@pytest.mark.parametrize("function", ["memory_page", "outliers_page"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_upload_is_one_line_on_other_pages_too(page, tmp_path, function, name, one_run):
    app = page(globals()[function], root=one_run, run="mine")
    app.get("file_uploader")[0].set_value(("bad.csv", BAD[name][0].encode(), "text/csv"))
    app.run()
    (said,) = errors(app)
    assert "\n" not in said.strip()


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """A run of a file that was too large to be kept, with memory layers."""
    root = tmp_path_factory.mktemp("one") / "runs"
    frame = datasets.load("sample").iloc[:900]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "KEPT", 0)
        trained(root, "mine", frame, network={"feed_forward": "memory"})
    return root


def test_a_run_that_keeps_its_table_is_not_asked_for_it(page, tmp_path):
    root = tmp_path / "runs"
    trained(root, "mine", datasets.load("sample").iloc[:900])
    app = page(outliers_page, root=root, run="mine")
    assert errors(app) == []
    assert len(app.get("file_uploader")) == 0
    assert len(figures(app)) > 2
    app = page(forecast_page, root=root, run="mine")
    assert len(figures(app)[0][1][-2]["x"]) == 14 * 24  # more than the lookback
    app.toggle(key="errors").set_value(True).run()
    assert errors(app) == []
    assert "by step" in figures(app)[1][0]


def test_a_comparison_is_not_led_out_of_the_folder_by_a_link(page, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    (root / "link.json").symlink_to(tmp_path / "secret.json")
    for function, key in ((variants_page, "start"), (suite_page, "compare")):
        app = page(function, root=root)
        choose(app, name="link").run()
        app.button(key=key).click().run()
        assert "outside of the run folder" in errors(app)[0]
    assert (tmp_path / "secret.json").read_text() == "{}"


def test_a_name_left_empty_follows_what_is_chosen(page, tmp_path):
    app = page(suite_page, root=tmp_path / "runs")
    assert "runs/bert-python-docs.json" in app.code[-2].value
    app.selectbox(key="model").set_value("vit").run()
    assert "runs/vit-digits.json" in app.code[-2].value


@pytest.mark.slow
def test_the_command_shown_is_that_of_the_results(page, folder, suite_folder):
    shown = page(variants_page).code[0].value
    assert shown.startswith("stanhop compare DATA ")  # the first 900 rows of the sample
    assert "--variants softmax,softmax1 --horizons 12 --seeds 0" in shown
    assert "--max-steps 3" in shown
    shown = page(suite_page, root=suite_folder).code[0].value
    assert shown.startswith("stanhop suite compare vit --max-steps 3 ")
    assert "--clip -0.0294" in shown
    assert shown.endswith("--variants softmax,softmax1 --seeds 0 --output runs/suite.json")


def memory_page():
    from stanhop_app.ui import memory

    memory.show()


def test_memory_layers_of_a_run_and_the_use_of_their_buckets(page, tmp_path, monkeypatch, capsys):
    forecaster = STanHopForecaster(
        horizon=12,
        lookback=48,
        linear_skip=False,
        network={**SMALL, "feed_forward": "memory"},
        training={"max_steps": 2},
        progress=False,
    ).fit(datasets.load("sample"))
    forecaster.fitted_ = replace(forecaster.fitted_, source={"data": "sample", "options": {}})
    forecaster.save(tmp_path / "runs" / "tables")
    app = page(memory_page, root=tmp_path / "runs", run="tables")
    assert errors(app) == []
    titles = [title for title, _ in figures(app)]
    assert titles[0].startswith("tables: share of buckets")
    assert titles[1].startswith("tables: hits of every bucket")
    assert "512 test windows, split 14/5/5" in titles[0]
    hits = sum(numbers(trace["y"]).sum() for trace in figures(app)[1][1])
    assert hits == 2 * 512 * 4 * 4  # both tables: windows x variates x patches
    windows = Run(forecaster=forecaster).on(datasets.load("sample")).parts["test"]
    found = window_occupancy(forecaster.network_.deep, windows, 512)
    assert app.metric[0].value == f"{100 * np.mean([o.dead for o in found]):.1f}%"
    assert app.metric[1].value == f"{np.mean([o.entropy for o in found]):.3f}"
    lines = [block.value for block in app.code if "window_occupancy" in block.value]
    monkeypatch.chdir(tmp_path)
    exec(lines[0], {})
    assert len(capsys.readouterr().out.splitlines()) == len(found)


def test_a_dense_run_shows_what_memory_layers_would_cost(page):
    app = page(memory_page, run="softmax1")
    assert errors(app) == []
    assert "has no memory layers" in app.info[0].value
    costs = app.dataframe[0].value
    assert list(costs.index) == ["dense", "memory feed-forward", "memory projections", "both"]
    column = "multiply-adds of a window"
    assert costs.loc["both", column] < costs.loc["dense", column]
    assert costs.loc["dense", "look-ups of a window"] == 0


def test_an_associative_memory_completes_what_was_damaged(page, capsys):
    app = page(memory_page, run="softmax1")
    assert errors(app) == []
    app.select_slider(key="beta").set_value(100)
    app.run()
    (pictures, pixels), (title, traces) = figures(app)[-2:]
    assert "50 handwritten digits, damage: mask 0.5, beta 100" in pictures
    assert len(pixels) == 1 + 4 * 6
    assert title.startswith("Energy of each association")
    assert {t["name"] for t in traces} == {"softmax", "softmax1", "entmax15", "sparsemax"}
    for trace in traces:
        assert (np.diff(numbers(trace["y"])) <= 1e-6).all()
    table = app.dataframe[-1].value
    assert table["right"].all()
    app.selectbox(key="patterns").set_value("windows of the run's table").run()
    assert errors(app) == []
    names = {trace["name"] for trace in figures(app)[-2][1]}
    assert names >= {"stored", "damaged", "softmax1"}
    before = {t["name"]: numbers(t["y"]) for t in figures(app)[-2][1]}
    np.testing.assert_allclose(before["softmax1"], before["stored"], atol=0.05)
    app.slider(key="at").set_value(0).run()
    now = {t["name"]: numbers(t["y"]) for t in figures(app)[-2][1]}
    np.testing.assert_allclose(now["softmax1"], now["damaged"])
    for kind in ("handwritten digits", "windows of the run's table"):
        app.selectbox(key="patterns").set_value(kind).run()
        exec(app.code[-1].value, {})
        said = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in said] == [
            "softmax",
            "softmax1",
            "entmax15",
            "sparsemax",
        ]


@pytest.mark.slow
def test_activations_before_and_after_quantisation(page):
    app = page(outliers_page, run="softmax")
    app.toggle(key="bits").set_value(True).run()
    app.radio(key="before-after").set_value("W4A4").run()
    assert errors(app) == []
    for title, traces in figures(app)[-3:]:
        assert "float and W4A4" in title
        assert [trace["name"] for trace in traces] == ["float", "W4A4"]
        one, two = (numbers(trace["y"]) for trace in traces)
        assert len(one) != len(two) or not np.allclose(one, two, rtol=1e-3)


@pytest.mark.slow
def test_a_comparison_is_started_from_its_page(page, tmp_path):
    root = tmp_path / "runs"
    app = page(variants_page, root=root)
    app.multiselect(key="variants").set_value(["softmax", "softmax1+gate"])
    choose(app, data="sample", seeds="0", lookback=48, max_steps=2, name="both").run()
    app.button(key="start").click().run()
    assert errors(app) == []
    for _ in range(1200):
        if not jobs.find("both.compare").running:
            break
        time.sleep(0.1)
    again = page(variants_page, root=root)
    assert errors(again) == []
    content = json.loads((root / "both.json").read_text())
    assert {cell["variant"] for cell in content["cells"].values()} == {"softmax", "softmax1+gate"}
    assert any(caption.value.startswith("both.compare ended") for caption in again.caption)
    choose(again, name="../evil").run()
    again.button(key="start").click().run()
    assert "a name has letters" in errors(again)[0]


def suite_page():
    from stanhop_app.ui import suite

    suite.show()


@pytest.fixture(scope="module")
def suite_folder(tmp_path_factory):
    """A run folder with results of the suite."""
    root = tmp_path_factory.mktemp("suite") / "runs"
    root.mkdir()
    size = {"dim": 16, "num_heads": 2, "num_layers": 2, "hidden_dim": 16}
    config = SuiteConfig(model="vit", max_steps=3, network=size)
    variants = ["softmax", "softmax1"]
    compare_suite(config, variants=variants, seeds=[0], results=root / "suite.json")
    return root


def test_results_of_the_suite_are_shown(page, suite_folder):
    app = page(suite_page, root=suite_folder)
    assert errors(app) == []
    found = figures(app)
    assert len(found) == 4 + 3
    assert {trace["name"] for trace in found[4][1]} == {"softmax", "softmax1"}
    assert "vit on digits" in found[4][0]
    assert len(app.dataframe) == 3  # variants, pairs, the first token
    assert app.dataframe[0].value["the paper"].iloc[0].startswith("37.10")
    assert "attention" in app.dataframe[2].value
    app.radio(key="modules").set_value("layer-outputs").run()
    assert errors(app) == []
    assert page(variants_page, root=suite_folder).info  # of another kind: not shown there


@pytest.mark.slow
def test_the_suite_trains_and_compares_from_its_page(page, tmp_path):
    root = tmp_path / "runs"
    app = page(suite_page, root=root)
    assert errors(app) == []
    assert "No results" in app.info[0].value
    app.selectbox(key="model").set_value("vit").run()
    choose(app, name="small", dim=16, num_heads=2, num_layers=1, max_steps=25, seeds="0")
    app.multiselect(key="variants").set_value(["softmax1"])
    app.run()
    app.button(key="train").click().run()
    assert errors(app) == []
    for name, key in (("small", None), ("small.compare", "compare")):
        if key is not None:
            app.button(key=key).click().run()
            assert errors(app) == []
        for _ in range(1200):
            if not jobs.find(name).running:
                break
            time.sleep(0.1)
    again = page(suite_page, root=root)
    assert errors(again) == []
    assert [said.value for said in again.success] == ["small is trained."]
    titles = [title for title, _ in figures(again)]
    assert titles[-1].startswith("small: loss in nats")
    assert "accuracy" in again.dataframe[-1].value.index
    assert any(caption.value.startswith("small.compare ended") for caption in again.caption)
    assert len(titles) == 7 + 1
    app = page(forecast_page, root=root)  # a run of the suite is none that forecasts
    assert errors(app) == []
    choose(again, name="../evil").run()
    again.button(key="train").click().run()
    assert "a name has letters" in errors(again)[0]
    choose(again, name="small").run()  # finished: refused, not shown as trained anew
    again.button(key="train").click().run()
    assert "holds a finished run" in errors(again)[0]


def test_damaged_results_of_the_suite_are_one_line(page, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    (root / "a.json").write_text(
        '{"kind": "suite", "version": 1, "cells": {"x": {"model": "opt", "modules": {}}}}'
    )
    (said,) = errors(page(suite_page, root=root))
    assert said.startswith("a.json: damaged")
