"""stanhop backtest: scores on a terminal and as JSON, the file, the page, and what cannot be."""

import json

import pandas as pd
import pytest

from stanhop_app.runs.backtest.record import Backtest
from stanhop_app.runs.backtest.scores import scores


@pytest.mark.slow
def test_scores_a_file_and_a_page(stanhop, trained, csv, tmp_path):
    file, page = tmp_path / "made.parquet", tmp_path / "page.html"
    words = ["backtest", trained, csv, "--stride", "4", "--quiet"]
    code, out, err = stanhop(*words, "--by", "step", "-o", file, "--report", page)
    assert code == 0, err
    assert "cut-offs 1 to " in err
    assert "STanHop-Net, updated against ridge: " in out
    assert "Scores by step" in out
    made = Backtest.load(file)
    told = scores(made)
    assert f"{told.loc['ridge', 'mse']:.4f}" in out
    for heading in ("Gain of STanHop-Net, updated in CRPS", "Calibration", "Error by hour"):
        assert heading in page.read_text()
    code, kept, err = stanhop("backtest", trained, "--stride", "4", "--quiet", "--by", "step")
    assert (code, kept) == (0, out), err  # the run keeps the rows of its table
    code, _, err = stanhop(*words, "-o", file)
    assert (code, "exists; choose another name, or --force" in err) == (2, True)
    code, out, err = stanhop(*words, "-o", file, "--force", "--json", "--by", "cutoff")
    content = json.loads(out)
    assert content["scores"][0]["model"] == "STanHop-Net"
    assert content["scores"][0]["mse"] == pytest.approx(told["mse"].iloc[0])
    assert set(content["gains"]) == set(told.index) - {"STanHop-Net, updated"}
    assert content["by_cutoff"][0]["cutoff"].startswith("2013-")
    plain = pd.read_parquet(file)  # any reader of Parquet files reads it
    assert {"cutoff", "time", "step", "model", "actual", "forecast", "ql0.975"} <= set(plain)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--origins", "0"], 2, "origins must be at least 1, got 0"),
        (["--origins", "5000"], 2, "cut-offs 12 rows apart; take fewer"),
        (["--by", "colour"], 2, "scores are told by step, variate, hour, weekday, cutoff"),
        (["--refit", "-1"], 2, "refit must be at least 0, got -1"),
        (["--output", "/nowhere/x.parquet"], 2, "the folder /nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_one_line(stanhop, trained, csv, words, code, message):
    made, _, err = stanhop("backtest", trained, csv, *words)
    assert made == code
    assert message in err
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err
