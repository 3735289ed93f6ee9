"""stanhop outliers and stanhop quantize."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.frame import read_frame
from stanhop_app.outliers import OutlierReport
from stanhop_app.runs.measures import window_outliers
from stanhop_app.runs.run import Run


def test_outliers_are_printed_with_their_modules(stanhop, trained, csv):
    code, out, err = stanhop("outliers", trained, csv, "--modules", "ffn+norm")
    assert code == 0, err
    forecaster = STanHopForecaster.load(trained)
    windows = Run(forecaster=forecaster).on(read_frame(csv)).parts["test"]
    report = window_outliers(forecaster.network_.deep, windows, "ffn+norm")
    last = out.strip().splitlines()[-1]
    assert last == (
        f"average kurtosis {report.average_kurtosis:.3f}, max norm {report.max_inf_norm:.3f} over "
        f"{len(report.rows)} modules (ffn+norm), {len(windows)} test windows"
    )
    assert len([line for line in out.splitlines() if "LayerNorm" in line]) > 5


def test_outliers_as_json_are_the_report(stanhop, trained, csv):
    code, out, _ = stanhop(
        "outliers", trained, csv, "--modules", "blocks.*.time,heads.0", "--part", "train", "--json"
    )
    assert code == 0
    report = OutlierReport.from_json(json.loads(out))
    assert [row.module for row in report.rows] == ["blocks.0.time", "blocks.1.time", "heads.0"]
    assert report.modules == "blocks.*.time, heads.0"


def test_the_page_shows_modules_histograms_and_the_training(stanhop, trained, csv, tmp_path):
    page = tmp_path / "page.html"
    assert stanhop("outliers", trained, csv, "--plot", page)[0] == 0
    html = page.read_text()
    for words in ("maximum infinity norm", "|activation|", "optimiser step", "softmax1"):
        assert words in html
    code, _, err = stanhop("outliers", trained, csv, "--plot", page)
    assert (code, "exists; choose another name, or --force" in err) == (2, True)


def test_training_kept_the_outliers_of_its_steps(trained, stored):
    steps = pd.read_csv(stored(trained, "outliers.csv"))
    assert sorted(set(steps["step"])) == [0, 2]
    assert {"(model)", "blocks.0", "readers.0.feed"} <= set(steps["module"])


def test_low_bits_are_scored_beside_float(stanhop, trained, csv):
    code, out, err = stanhop("quantize", trained, csv, "--bits", "W8A8,W2A2", "--json")
    assert code == 0
    assert "calibrated on training windows" in err
    rows = {(row["model"], row["bits"]): row for row in json.loads(out)}
    assert list(rows)[:3] == [("STanHop-Net", bits) for bits in ("float", "W8A8", "W2A2")]
    saved = json.loads((trained / "config.json").read_text())["metrics"]["scores"]
    for model in ("STanHop-Net", "deep part"):
        assert rows[model, "float"]["mse"] == pytest.approx(saved[model]["test_mse"], rel=1e-6)
    assert rows["deep part", "W2A2"]["change"] != 0
    code, out, _ = stanhop("quantize", trained, csv, "--bits", "W8A8", "--weight-range", "mse")
    assert (code, "MSE against float" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["quantize", "RUN", "CSV", "--bits", "8"], 2, "bits must be written as in W8A8"),
        (["quantize", "RUN", "CSV", "--bits", "W1A8"], 2, "weight_bits must be in 2..16, got 1"),
        (
            ["quantize", "RUN", "CSV", "--weight-range", "kl"],
            2,
            "'kl' is not one of 'minmax', 'mse'",
        ),
        (["quantize", "LAST"], 2, "name the table: stanhop quantize"),
        (["quantize", "RUN", "OTHER"], 3, "not the one that the run was trained on"),
        (["quantize", "nowhere", "CSV"], 4, "not a run"),
        (["outliers", "RUN", "CSV", "--modules", "encoder"], 2, "no module matches 'encoder'"),
        (["outliers", "RUN", "CSV", "--plot", "none/x.html"], 2, "the folder none does not exist"),
        (["outliers", "RUN", "OTHER"], 3, "not the one that the run was trained on"),
        (["outliers", "LAST"], 2, "name the table: stanhop outliers"),
        (["evaluate", "LAST"], 2, "name the table: stanhop evaluate"),
        (["theory", "memorization", "LAST"], 2, "name the table: stanhop theory memorization"),
        (["export", "LAST", "--to", "onnx-int8"], 2, "name the table: stanhop export"),
    ],
)
def test_bad_input_is_one_line(stanhop, trained, csv, tmp_path, arguments, code, message):
    other = tmp_path / "other.csv"
    read_frame(csv).iloc[5:].to_csv(other)
    # Of a table that was too large to be kept with the run, the last rows are.
    forecaster = STanHopForecaster.load(trained)
    fitted = forecaster.fitted_
    forecaster.fitted_ = replace(fitted, rows=fitted.rows.iloc[-fitted.lookback :])
    forecaster.save(tmp_path / "last")
    names = {"RUN": trained, "CSV": csv, "OTHER": other, "LAST": tmp_path / "last"}
    found, out, err = stanhop(*(names.get(a, a) for a in arguments))
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["outliers", "evaluate"])
def test_a_run_that_keeps_its_table_needs_no_other(stanhop, trained, csv, command):
    code, named, _ = stanhop(command, trained, csv, "--json")
    assert code == 0
    code, kept, err = stanhop(command, trained, "--json")
    assert (code, "rows that" in err) == (0, True)
    assert json.loads(kept) == json.loads(named)
