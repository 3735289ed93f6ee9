"""Memorisation of forecasters."""

import json

import numpy as np
import pandas as pd
import pytest

from stanhop_app.errors import DataError
from stanhop_app.runs.memorization import memorization_warning, run_memorization
from stanhop_app.runs.run import Run


def test_windows_of_a_run_are_compared(fitted, weather):
    report = run_memorization(Run(forecaster=fitted).on(weather), most=60)
    assert (report.members, report.others) == (60, 60)
    assert report.layer.startswith("blocks.")
    assert report.zone == fitted.lookback + fitted.horizon
    assert {space.space for space in report.spaces} == {"network", "untrained", "input", "Gaussian"}
    assert 0 <= report.loss_auc.low <= report.loss_auc.high <= 1
    again = run_memorization(Run(forecaster=fitted).on(weather), most=60)
    assert again == report
    with pytest.raises(DataError, match="not the one that the run was trained on"):
        run_memorization(Run(forecaster=fitted).on(weather + 1.0))


def test_the_command(stanhop, trained, csv):
    code, out, err = stanhop("theory", "memorization", trained, csv, "--most", "40", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["verdict"].startswith("AUC of losses")
    assert found["spaces"][0]["space"] == "network"
    code, kept, err = stanhop("theory", "memorization", trained, "--most", "40", "--json")
    assert (code, "rows that" in err) == (0, True)
    assert json.loads(kept) == found
    assert stanhop("theory", "memorization", "nowhere")[0] == 4


@pytest.mark.slow
def test_a_fit_that_memorised_is_warned_of(stanhop, fitted, weather, tmp_path):
    """White noise has nothing to learn but itself."""
    assert memorization_warning(Run(forecaster=fitted).on(weather)) is None
    noise = np.random.default_rng(0).normal(size=(400, 2))
    frame = pd.DataFrame(noise, pd.date_range("2020", periods=400, freq="h"), ["a", "b"])
    frame.to_csv(tmp_path / "noise.csv", index_label="time")
    words = [
        "--horizon",
        "12",
        "--lookback",
        "48",
        "--patch-length",
        "12",
        "--dim",
        "32",
        "--quiet",
    ]
    words += ["--num-heads", "2", "--hidden-dim", "64", "--dropout", "0", "--keep", "last"]
    words += ["--max-epochs", "40", "--patience", "1000", "--output", tmp_path / "run"]
    code, _, err = stanhop("train", tmp_path / "noise.csv", *words)
    assert code == 0, err
    assert "Warning: the deep part has memorised training windows" in err
    assert "train for fewer steps, or with more data or dropout." in err
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["metrics"]["warning"]
    assert kept in err


def test_energies_are_traced_by_the_command(stanhop, trained, csv, tmp_path):
    page = tmp_path / "trace.html"
    words = ["theory", "trace", trained, csv, "--most", "40"]
    code, out, err = stanhop(*words, "--report", page)
    assert code == 0, err
    assert out.splitlines()[1].split() == ["seen", "unseen", "corrupted"]
    assert "blocks.1" in out
    assert "Median squared step to each layer" in out
    assert "Median energies by layer" in page.read_text()
    printed = json.loads(stanhop(*words, "--json")[1])
    medians = printed["medians"]
    assert set(printed["moves"]["unseen"]) == {"blocks.0", "blocks.1"}
    assert set(medians["seen"]) == {"embedding", "blocks.0", "blocks.1", "global"}
    assert medians["corrupted"]["embedding"] > medians["seen"]["embedding"]
