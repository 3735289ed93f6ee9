"""Runs: the table of all runs, and what can be done with their folders."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace

import psutil
import pytest
from pages import OPTIONS, errors, open_page
from stanhop_app.ui import home, jobs, runs, shelf

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.errors import ArtefactError, StanhopError
from stanhop_app.files import write_json
from stanhop_app.runs.exporting import export_run
from stanhop_app.runs.making import make_run
from stanhop_app.runs.run import Run


def runs_page():
    from stanhop_app.ui import home

    home.show()


def forecast_page():
    from stanhop_app.ui import forecast

    forecast.show()


def outliers_page():
    from stanhop_app.ui import outliers

    outliers.show()


def one_run():
    from stanhop_app.ui import home

    home._one("scored")


def two_runs():
    from stanhop_app.ui import home

    home._compare(["scored", "plain"])


@pytest.fixture
def root(tmp_path, monkeypatch, made, request):
    """A run folder of a scored run, one without scores, an export if asked for, and a damaged one."""
    root = tmp_path / "runs"
    root.mkdir()
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    names = ["plain", "scored"]
    if "exported" in request.fixturenames:
        request.getfixturevalue("exported")
        names += ["exported"]
    for name in names:
        shutil.copytree(made / name, root / name)
    (root / "broken").mkdir()
    (root / "broken" / "config.json").write_text('{"format": "stanhop-forecaster"')
    for number, name in enumerate((*names, "broken")):
        os.utime(root / name / "config.json", (1e9 + number, 1e9 + number))
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the run folders of all tests are copied from."""
    folder = tmp_path_factory.mktemp("made")
    frame = datasets.load("sample").iloc[:900]
    from stanhop_app.data.panel import Panel

    forecaster = STanHopForecaster(**OPTIONS)
    make_run(
        forecaster,
        Panel.of(frame, "14/5/5"),
        folder / "scored",
        source={"data": "-", "name": "my.csv"},
    )
    plain = STanHopForecaster(**OPTIONS).fit(frame)
    plain.fitted_ = replace(plain.fitted_, source={"data": "sample", "options": {}})
    plain.save(folder / "plain")
    return folder


@pytest.fixture(scope="module")
def exported(made):
    """An export beside them, which takes ten seconds."""
    export_run(Run.open(made / "plain"), made / "exported", to="onnx")


@pytest.mark.slow
def test_every_run_has_a_row_with_its_scores_beside_the_best_baseline(root, exported):
    table = home.listed([*runs.run_names(), *runs.export_names()]).set_index("run")
    assert list(table.index) == ["broken", "scored", "plain", "exported"]
    assert list(table["kind"]) == ["damaged", "run", "run", "export"]
    assert "damaged" in table.loc["broken", "warning"]
    scores = json.loads((root / "scored" / "config.json").read_text())["metrics"]["scores"]
    row = table.loc["scored"]
    assert row["MSE"] == scores["STanHop-Net"]["test_mse"]
    others = {n: s["test_mse"] for n, s in scores.items() if n not in shelf.OF_OURS}
    assert row["best baseline"] == min(others, key=others.get)
    assert row["baseline MSE"] == min(others.values())
    assert row["gain"] == 1 - row["MSE"] / row["baseline MSE"]
    assert row["data"] == "my.csv"
    assert row["until"] == str(datasets.load("sample").index[899])
    assert row["horizon"] == 12
    assert table.loc["plain", "best baseline"] == ""
    app = open_page(runs_page)
    assert errors(app) == []
    assert list(app.dataframe[0].value["run"]) == list(table.index)
    app.text_input(key="search").set_value("my.csv").run()
    assert errors(app) == []
    assert list(app.dataframe[0].value["run"]) == ["scored"]


@pytest.mark.slow
def test_the_newest_run_that_opens_is_shown_and_exports_forecast(root, exported):
    app = open_page(forecast_page)
    assert errors(app) == []
    assert app.sidebar.selectbox(key="run").value == "scored"
    app = open_page(forecast_page, run="exported")
    assert errors(app) == []
    (chart,) = app.get("plotly_chart")
    assert "exported, onnx, trained on sample" in chart.proto.alt
    app = open_page(outliers_page, run="exported")
    assert errors(app) == []
    assert "exported is exported" in app.info[0].value
    assert app.sidebar.selectbox(key="run").value == "exported"
    assert "exported" not in open_page(outliers_page).sidebar.selectbox(key="run").options


def test_a_run_is_renamed_with_its_note_and_discarded_so_that_it_can_be_taken_back(root):
    before = STanHopForecaster.load(root / "scored").predict()
    shelf.set_note("scored", "the good one")
    shelf.rename("scored", "best")
    assert not (root / "scored").exists()
    assert (shelf.note("scored"), shelf.note("best")) == ("", "the good one")
    assert STanHopForecaster.load(root / "best").predict().equals(before)
    assert not (root / "best" / ".writer.json").exists()
    gone = shelf.discard("best")
    assert gone.parent == root / ".trash"
    assert "best" not in runs.run_names()
    assert STanHopForecaster.load(gone).predict().equals(before)
    assert (gone / "note.txt").read_text() == "the good one"
    assert shelf.note("best") == ""  # of the next run of that name


def test_what_is_known_of_a_training_follows_its_run(root):
    job = jobs.start("scored", ["--version"])
    while job.running:
        time.sleep(0.05)
    with pytest.raises(StanhopError, match="is training"), jobs_that_run("scored"):
        shelf.rename("scored", "best")
    with pytest.raises(StanhopError, match="a training of that name runs"), jobs_that_run("best"):
        shelf.rename("scored", "best")
    shelf.rename("scored", "best")
    assert jobs.find("scored") is None
    assert jobs.find("best").command == ("--version",)
    shelf.discard("best")
    assert jobs.find("best") is None


@contextlib.contextmanager
def jobs_that_run(name):
    """A job of this name that runs meanwhile."""
    earlier = jobs.find(name)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command) as process:
        born = psutil.Process(process.pid).create_time()
        job = jobs.Job(name=name, command=("train",), pid=process.pid, started=0.0, born=born)
        write_json(runs.root() / ".jobs" / f"{name}.json", asdict(job))
        try:
            yield
        finally:
            process.kill()
            jobs.forget(name)
            if earlier is not None:
                write_json(runs.root() / ".jobs" / f"{name}.json", asdict(earlier))


@pytest.mark.parametrize("new", ["plain", "../x", "a/b", "", ".hidden"])
def test_a_run_keeps_its_name_where_the_new_one_cannot_be(root, new):
    with pytest.raises(StanhopError):
        shelf.rename("scored", new)
    assert (root / "scored" / "config.json").exists()


def test_a_run_that_is_written_or_only_linked_to_stays_where_it_is(root, tmp_path):
    (root / ".trash").symlink_to(tmp_path)
    with pytest.raises(ArtefactError, match="outside of the run folder"):
        shelf.discard("scored")
    (root / ".trash").unlink()
    descriptor = os.open(root / "scored", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(StanhopError, match="writes into it"):
            shelf.discard("scored")
    finally:
        os.close(descriptor)
    (root / "link").symlink_to(root / "plain")
    with pytest.raises(ArtefactError, match="no folder of its own"):
        shelf.discard("link")
    assert (root / "plain").exists()


def test_what_can_be_done_with_one_run_is_done_from_its_page(root):
    app = open_page(one_run)
    assert errors(app) == []
    app.text_area(key="note-scored").set_value("for Monday").run()
    assert shelf.note("scored") == "for Monday"
    shelf.set_note("scored", "of somebody else")  # meanwhile
    app.run()
    assert app.text_area(key="note-scored").value == "of somebody else"
    app.text_area(key="note-scored").set_value(" ").run()
    assert errors(app) == []
    assert shelf.note("scored") == ""
    app.text_input(key="new-scored").set_value("plain").run()
    app.button(key="rename-scored").click().run()
    assert errors(app) == ["plain: is there already; choose another name."]


def test_runs_of_unlike_tables_are_not_compared_in_silence(root):
    app = open_page(two_runs)
    assert errors(app) == []
    assert "cannot be compared" in app.warning[0].value
    assert list(app.dataframe[0].value.columns) == ["scored", "plain"]
