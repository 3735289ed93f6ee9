"""stanhop memory, and the commands that read a run with an external memory."""

import io
import json

import numpy as np
import pandas as pd
import pytest

WORDS = ["--horizon", "6", "--lookback", "24", "--patch-length", "6", "--dim", "16"]
FAST = ["--max-steps", "2", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pulses of either sign, each followed by a bump that is always up."""
    from stanhop_app.cli.group import run

    folder = tmp_path_factory.mktemp("memory")
    draws = np.random.default_rng(0)
    values = 0.1 * draws.normal(size=1500)
    for start in np.sort(draws.choice(np.arange(20, 1450), 190, replace=False)):
        values[start] += draws.choice([-3, 3])
        values[start + 2 : start + 6] += 3
    hours = pd.date_range("2024-01-01", periods=1500, freq="h", name="hour")
    table = pd.DataFrame({"load": values.round(4)}, index=hours)
    table[:-6].to_csv(folder / "old.csv")
    table.to_csv(folder / "all.csv")
    for name, kind in (("plug", "plug"), ("none", "none")):
        words = [*WORDS, *FAST, "--memory", kind, "-o", str(folder / name)]
        assert run(["train", str(folder / "old.csv"), *words]) == 0
    return folder


@pytest.mark.slow
def test_training_says_what_it_is_worth_and_scores_it_with_and_without(stanhop, folder, tmp_path):
    command = [
        "train",
        folder / "old.csv",
        *WORDS,
        *FAST,
        "--memory",
        "plug",
        "-o",
        tmp_path / "run",
    ]
    code, out, err = stanhop(*command)
    assert code == 0, err
    assert "external memory: 1" in err
    assert "of the squared error on validation" in err
    rows = {line[:20].strip(): line.split() for line in out.splitlines()}
    whole, alone = rows["STanHop-Net"], rows["without memory"]
    assert float(whole[-2]) < float(alone[-2])


@pytest.mark.slow
def test_a_run_is_given_one_later_and_forecasts_as_if_trained_with_it(stanhop, folder):
    code, before, err = stanhop("forecast", folder / "none")
    code, _, err = stanhop("memory", "info", folder / "none")
    assert code == 4
    assert "has no external memory; stanhop memory add" in err
    code, _, err = stanhop("memory", "add", folder / "none")
    assert code == 0, err
    made = [pd.read_csv(io.StringIO(stanhop("forecast", folder / n)[1])) for n in ("plug", "none")]
    np.testing.assert_allclose(made[0]["load"], made[1]["load"], rtol=1e-3, atol=1e-4)
    assert not np.allclose(made[1]["load"], pd.read_csv(io.StringIO(before))["load"], atol=1e-3)
    assert stanhop("verify", folder / "none")[0] == 0


@pytest.mark.slow
def test_it_is_explained_updated_and_pruned(stanhop, folder):
    page = folder / "explained.html"
    code, out, err = stanhop("forecast", folder / "plug", "--explain", "--plot", page)
    assert code == 0, err
    assert "the window is newer than" in err
    for line in ("analogues and what followed", "forecast without the memory"):
        assert line in page.read_text()
    assert "the external memory moves the forecast" in err
    assert "(weight " in err
    code, out, err = stanhop("memory", "info", folder / "plug", "--json")
    windows = json.loads(out)["windows"]
    code, _, err = stanhop("update", folder / "plug", folder / "all.csv")
    assert code == 0, err
    code, out, _ = stanhop("memory", "info", folder / "plug", "--json")
    told = json.loads(out)
    assert told["windows"] == windows + 6
    assert told["from_to"][1] == "2024-03-03 11:00:00"
    code, _, err = stanhop("memory", "prune", folder / "plug", "--windows", "50")
    assert code == 0, err
    code, out, _ = stanhop("memory", "info", folder / "plug")
    assert "windows                         50" in out
    assert stanhop("forecast", folder / "plug")[0] == 0


@pytest.mark.slow
def test_an_export_says_that_it_goes_without(stanhop, folder, tmp_path):
    code, _, err = stanhop("export", folder / "plug", "-o", tmp_path / "export")
    assert code == 0, err
    assert "the external memory is not exported" in err
