"""stanhop update: rows that came since, taken into a run."""

import io
import json

import numpy as np
import pandas as pd
import pytest

WORDS = ["--horizon", "7", "--lookback", "28", "--patch-length", "7", "--max-steps", "2", "--quiet"]


@pytest.fixture
def folder(tmp_path, stanhop):
    days = pd.date_range("2024-01-01", periods=200, freq="D")
    draws = np.random.default_rng(0)
    sold = (20 + 5 * np.sin(np.arange(200) * 2 * np.pi / 7) + draws.normal(size=200)).round(3)
    frame = pd.DataFrame({"day": days, "sold": sold})
    for name, rows in (
        ("old", frame[:190]),
        ("today", frame[190:191]),
        ("all", frame),
        ("late", frame[195:]),
    ):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    code, _, err = stanhop("train", tmp_path / "old.csv", *WORDS, "-o", tmp_path / "run")
    assert code == 0, err
    return tmp_path


@pytest.mark.slow
def test_a_gap_is_filled_as_the_training_said(stanhop, folder):
    """Four days are missing, and the first new one holds nothing."""
    late = folder / "late.csv"
    late.write_text(late.read_text().replace(late.read_text().splitlines()[1], "2024-07-14,"))
    code, _, err = stanhop("update", folder / "run", late)
    assert code == 3
    assert "missing values" in err
    kept = [folder / "kept", folder / "late.csv"]
    code, _, err = stanhop("train", folder / "old.csv", *WORDS, "--missing", "ffill", "-o", kept[0])
    assert code == 0, err
    code, _, err = stanhop("update", *kept)
    assert code == 0, err
    assert "10 new rows" in err
    code, _, err = stanhop(
        "train", folder / "old.csv", *WORDS, "--missing", "interpolate", "-o", kept[0], "--force"
    )
    assert code == 0, err
    code, out, err = stanhop("update", *kept, "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == 200


def test_a_day_and_then_the_whole_table_are_taken_in(stanhop, folder):
    run = folder / "run"
    code, _, scores = stanhop("evaluate", run, folder / "old.csv", "--json")
    code, out, err = stanhop("update", run, folder / "today.csv")
    assert code == 0, err
    assert out == ""
    assert "1 new rows; by a model whose linear part was fitted on all 191 rows" in err
    code, out, err = stanhop("update", run, folder / "all.csv", "--json", "--steps", "2", "--quiet")
    assert code == 0, err
    told = json.loads(out)
    assert (told["new_rows"], told["rows"], told["revised_values"]) == (9, 200, 0)
    code, out, err = stanhop("forecast", run)
    assert code == 0, err
    assert pd.read_csv(io.StringIO(out))["day"][0] == "2024-07-19"
    code, out, err = stanhop("verify", run)
    assert code == 0, err
    code, _, again = stanhop("evaluate", run, folder / "old.csv", "--json")
    assert (code, again) == (0, scores)


def test_what_cannot_be_taken_in_is_one_line_and_changes_nothing(stanhop, folder):
    run = folder / "run"
    before = sorted((p.name, p.read_bytes()) for p in run.iterdir())
    for words, wanted, message in (
        (["late.csv"], 3, "rows between them are missing"),
        (["old.csv"], 3, "there are no new rows"),
        (["none.csv"], 3, "none.csv"),
        (["all.csv", "--steps", "-1"], 2, "--steps"),
    ):
        code, out, err = stanhop("update", run, folder / words[0], *words[1:])
        assert (code, out) == (wanted, ""), err
        assert message in err
    code, _, err = stanhop("update", folder, folder / "all.csv")
    assert code == 4, err
    assert sorted((p.name, p.read_bytes()) for p in run.iterdir()) == before
