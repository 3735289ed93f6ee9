"""Memorisation of forecasters."""

import json

import pytest

from stanhop_app.errors import DataError
from stanhop_app.forecasting.membership import run_memorization


def test_windows_of_a_run_are_compared(fitted, weather):
    report = run_memorization(fitted, weather, most=60)
    assert (report.members, report.others) == (60, 60)
    assert report.layer.startswith("blocks.")
    assert report.zone == fitted.lookback + fitted.horizon
    assert {space.space for space in report.spaces} == {"network", "untrained", "input", "Gaussian"}
    assert 0 <= report.loss_auc.low <= report.loss_auc.high <= 1
    again = run_memorization(fitted, weather, most=60)
    assert again == report
    with pytest.raises(DataError, match="not the one that the run was trained on"):
        run_memorization(fitted, weather + 1.0)


def test_the_command(stanhop, trained, csv):
    code, out, err = stanhop("theory", "memorization", trained, csv, "--most", "40", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["verdict"].startswith("AUC of losses")
    assert found["spaces"][0]["space"] == "network"
    code, out, err = stanhop("theory", "memorization", trained)
    assert code == 2
    assert "name the table: stanhop theory memorization" in err
    assert stanhop("theory", "memorization", "nowhere")[0] == 4


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
