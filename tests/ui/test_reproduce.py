"""Every line under "Reproduce this" runs, command and Python, of every kind of run and table."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import OPTIONS, errors, open_page
from stanhop_app.cli.group import run as stanhop

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import read_any
from stanhop_app.forecasting import fit
from stanhop_app.runs.exporting import export_run
from stanhop_app.runs.run import Run

pytestmark = pytest.mark.slow


def forecast():
    from stanhop_app.ui import forecast

    forecast.show()


def intervals():
    from stanhop_app.ui import intervals

    intervals.show()


def outliers():
    from stanhop_app.ui import outliers

    outliers.show()


def memory():
    from stanhop_app.ui import memory

    memory.show()


def backtest():
    from stanhop_app.ui import backtest

    backtest.show()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs of a data set, of a file (named with blanks, kept and not), of many series, and an export."""
    folder = tmp_path_factory.mktemp("lines and blanks")
    root, frame = folder / "my runs", datasets.load("sample").iloc[:700]
    frame.to_csv(folder / "new table.csv")
    frame.to_csv(folder / "-x.csv")

    def save(folder, forecaster, **source):
        forecaster.fitted_ = replace(forecaster.fitted_, source={"options": {}, **source})
        forecaster.save(root / folder)

    save("sample run", STanHopForecaster(**OPTIONS).fit(datasets.load("sample")), data="sample")
    file = STanHopForecaster(**OPTIONS).fit(Panel.of(frame, "14/5/5"))
    save("of a file", file, data="-", name="new table.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "KEPT", 0)
        large = STanHopForecaster(**OPTIONS).fit(Panel.of(frame, "14/5/5"))
    save("not kept", large, data="new table.csv")
    long = frame.iloc[:200, :1].assign(shop="x y").reset_index()
    long = pd.concat([long, long.assign(shop="a,b")])
    long.to_csv(folder / "shops.csv", index=False)
    table = read_any(folder / "shops.csv", id_column="shop")
    save("shops", STanHopForecaster(**OPTIONS, split="2/1/1").fit(table), data="shops.csv")
    export_run(Run.open(root / "of a file"), root / "exported", to="onnx")
    return root


def lines(app):
    """Commands and Python that a page shows."""
    assert errors(app) == []
    shown = [block.value for block in app.code]
    python = [block for block in shown if "import " in block]
    commands = [line for block in shown if block not in python for line in block.splitlines()]
    return [line for line in commands if line.startswith("stanhop ")], python


def run_all(app, capsys):
    """Run every line; the last numbers that a command and that Python printed."""
    commands, python = lines(app)
    assert commands or python
    for command in commands:
        assert stanhop(shlex.split(command)[1:]) == 0, command
    told = capsys.readouterr().out
    for block in python:
        exec(compile(block, "shown", "exec"), {})
    return told, capsys.readouterr().out


CASES = [
    *((forecast, name) for name in ("sample run", "of a file", "not kept", "shops", "exported")),
    (intervals, "of a file"),
    (intervals, "shops"),
    (outliers, "of a file"),
    (outliers, "sample run"),
    (memory, "of a file"),
]


@pytest.mark.parametrize(
    ("show", "name"), CASES, ids=[f"{show.__name__}-{name}" for show, name in CASES]
)
def test_every_line_runs(root, monkeypatch, tmp_path, capsys, show, name):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    app = open_page(show, run=name)
    (tmp_path / root.name).symlink_to(root)
    for file in root.parent.glob("*.csv"):
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    run_all(app, capsys)


@pytest.mark.parametrize("series", ["x y", "a,b"])
def test_a_series_is_named_whatever_it_is_called(root, monkeypatch, tmp_path, capsys, series):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    (tmp_path / root.name).symlink_to(root)
    app = open_page(forecast, run="shops", series=series)
    monkeypatch.chdir(tmp_path)
    told, printed = run_all(app, capsys)
    assert series in told
    assert series in printed


@pytest.mark.parametrize("file", ["new table.csv", "-x.csv"])
@pytest.mark.parametrize("name", ["sample run", "exported"])
def test_a_table_that_was_brought_is_in_the_lines(root, monkeypatch, tmp_path, capsys, file, name):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    content = (root.parent / file).read_bytes()
    (tmp_path / root.name).symlink_to(root)
    (tmp_path / file).write_bytes(content)
    app = open_page(forecast, run=name)
    app.get("file_uploader")[0].set_value((file, content, "text/csv"))
    app.run()
    (chart,) = app.get("plotly_chart")
    assert f"of {file}: " in chart.proto.alt
    monkeypatch.chdir(tmp_path)
    told, printed = run_all(app, capsys)
    wanted = STanHopForecaster.load(root / name if name != "exported" else root / "of a file")
    prediction = wanted.predict(read_any(root.parent / file))
    values = np.array([line.split(",")[1:] for line in told.strip().splitlines()[1:]], dtype=float)
    np.testing.assert_allclose(values, prediction.to_numpy(), rtol=1e-4)
    assert str(prediction.index[0]) in printed


def test_the_sample_that_is_shown_where_there_is_nothing_can_be_made(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path / "runs"))
    app = open_page(forecast)
    monkeypatch.chdir(tmp_path)
    run_all(app, capsys)
    assert (tmp_path / "runs" / "sample-shown" / "config.json").exists()


def test_where_the_lines_run_is_said(root, monkeypatch, tmp_path):
    monkeypatch.setenv("STANHOP_RUNS", str(root))
    said = [caption.value for caption in open_page(forecast, run="of a file").caption]
    assert any(text.startswith("To be run in ") for text in said)
    monkeypatch.chdir(root.parent)
    said = [caption.value for caption in open_page(forecast, run="of a file").caption]
    assert not any(text.startswith("To be run in ") for text in said)
