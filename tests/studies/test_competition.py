"""Many series as forecasting competitions judge them."""

import json

import numpy as np
import pandas as pd
import pytest

from stanhop_app.data.series import to_series
from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.studies.competition import (
    competition_table,
    held_out,
    judged,
    run_competition,
    seasonal_naive,
)

TINY = {
    "network": {"dim": 8, "num_heads": 2, "num_layers": 1, "hidden_dim": 16, "patch_length": 7},
    "training": {"max_steps": 3},
    "lookback": 28,
}


def table(lengths=(80, 100, 60)):
    parts = []
    for number, length in enumerate(lengths):
        days = pd.date_range("2024-01-01", periods=length, freq="D")
        y = 10 + np.sin(np.arange(length) * 2 * np.pi / 7) * (1 + number) + number
        y = y + 0.1 * np.random.default_rng(number).normal(size=length)
        parts.append(pd.DataFrame({"id": f"S{number}", "day": days, "y": y}))
    return to_series(pd.concat(parts), id_column="id")


def test_the_last_horizon_of_each_series_is_held_out():
    whole = table()
    known, truth = held_out(whole, 7)
    assert [b - a for a, b in known.spans()] == [73, 93, 53]
    for number, (first, last) in enumerate(whole.spans()):
        own = whole.frame.iloc[first:last]
        pd.testing.assert_frame_equal(
            known.frame.iloc[slice(*known.spans()[number])], own[:-7], check_freq=False
        )
        np.testing.assert_array_equal(truth[number], own[-7:])
    with pytest.raises(DataError, match="series 'S2' has 60 rows, and the last 60 are held out"):
        held_out(whole, 60)


def test_measures_are_those_of_the_definitions():
    known, truth = held_out(table(), 7)
    forecast = seasonal_naive(known, 7, 7)
    found = judged(known, truth, forecast, 7, (20.0, 2.0))
    smapes, mases = [], []
    for number, (first, last) in enumerate(known.spans()):
        own = known.frame["y"].to_numpy()[first:last]
        np.testing.assert_array_equal(forecast[number, :, 0], own[-7:])
        error = np.abs(truth[number] - forecast[number])
        smapes.append(np.mean(200 * error / (np.abs(truth[number]) + np.abs(forecast[number]))))
        mases.append(error.mean() / np.abs(own[7:] - own[:-7]).mean())
    assert found["smape"] == pytest.approx(np.mean(smapes))
    assert found["mase"] == pytest.approx(np.mean(mases))
    assert found["owa"] == pytest.approx((np.mean(smapes) / 20 + np.mean(mases) / 2) / 2)
    assert judged(known, truth, truth, 7) == {"smape": 0.0, "mase": 0.0}


def test_a_series_that_never_changes_has_no_mase():
    whole = table()
    whole.frame.iloc[slice(*whole.spans()[1])] = 5.0
    known, truth = held_out(whole, 7)
    found = judged(known, truth, seasonal_naive(known, 7, 7), 7)
    assert np.isfinite(found["mase"])


def test_cells_are_kept_and_averaged_over_the_seeds(tmp_path):
    said = []
    given = {"horizons": [7], "season": 7, "naive2": None, "options": TINY, "say": said.append}
    path = tmp_path / "made.json"
    run_competition(table(), seeds=[0], results=path, **given)
    content = run_competition(table(), seeds=[0, 1], results=path, **given)
    assert said == ["horizon 7, seed 0", "horizon 7, seed 1"]
    made = competition_table(content)
    cells = json.loads(path.read_text())["cells"].values()
    mases = [cell["models"]["STanHop-Net"]["mase"] for cell in cells]
    assert made.loc[(7, "STanHop-Net"), "mase"] == pytest.approx(np.mean(mases))
    assert made.loc[(7, "STanHop-Net"), "seeds"] == 2
    with pytest.raises(ArtefactError):
        run_competition(table((80, 90)), seeds=[0], results=path, **given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say how many steps of each series are held out"),
        (["--horizons", "7", "--splits", "14/5/5"], "leave --splits out"),
        (["--horizons", "500"], "and the last 500 are held out"),
    ],
)
def test_the_command_says_what_it_needs(stanhop, tmp_path, words, message):
    table().long().to_csv(tmp_path / "long.csv", index=False)
    given = ["benchmark", tmp_path / "long.csv", "--id-column", "id", "-o", tmp_path / "b.json"]
    code, out, err = stanhop(*given, *words)
    assert code in (2, 3)
    assert message in err
    assert out == ""


def test_the_command_prints_a_table(stanhop, tmp_path):
    table((40, 50)).long().to_csv(tmp_path / "long.csv", index=False)
    words = ["--id-column", "id", "--horizons", "3", "--max-epochs", "1", "-o", tmp_path / "b.json"]
    code, out, err = stanhop("benchmark", tmp_path / "long.csv", *words)
    assert code == 0, err
    assert "seasonal naive" in out
    assert "smape" in out
