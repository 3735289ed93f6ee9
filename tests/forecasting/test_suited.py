"""Short series are forecast from two seasons and a horizon on, with nothing said."""

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster, forecast
from stanhop_app.errors import DataError
from stanhop_app.forecasting.suited import (
    grouped,
    longest_lookback,
    short_patches,
    suited,
    suited_to,
)


def series(rows, frequency, season):
    index = pd.date_range("2015-01-01", periods=rows, freq=frequency, name="time")
    steps = np.arange(rows)
    return pd.DataFrame({"a": 100 + 10 * np.sin(2 * np.pi * steps / season)}, index=index)


@pytest.mark.parametrize(
    ("rows", "frequency", "season", "horizon"),
    [(36, "MS", 12, 12), (20, "YS", 5, 3), (12, "QS", 4, 4), (21, "D", 7, 7), (60, "W-SUN", 52, 4)],
)
def test_two_seasons_and_a_horizon_are_enough(rows, frequency, season, horizon):
    table = series(rows, frequency, season)
    prediction = forecast(table, horizon, progress=False)
    assert len(prediction) == horizon
    assert prediction.index[0] > table.index[-1]
    assert prediction["a"].between(60, 140).all()


def test_too_few_rows_are_one_line_that_says_how_many():
    with pytest.raises(DataError, match="has 20, and .* at least 26, better 36"):
        forecast(series(20, "MS", 12), 12)


@pytest.mark.parametrize("rows", range(26, 120))
def test_what_is_chosen_leaves_windows_to_train_and_to_validate(rows):
    chosen = suited(rows, 12, 12)
    train, validation, test = map(int, chosen["split"].split("/"))
    assert (train + validation, test) == (rows, 0)
    assert validation >= 12
    assert 2 <= chosen["lookback"] <= train - 12
    assert chosen["network"].get("patch_length", 12) <= chosen["lookback"]


def test_a_long_table_has_the_whole_lookback():
    assert longest_lookback(10_000, 24, 24) == 512
    assert longest_lookback(500, 24, 24) == 238
    assert short_patches(512) == {}


def test_training_follows_the_rows_and_says_so(stanhop, tmp_path):
    series(90, "MS", 12).to_csv(tmp_path / "a.csv")
    words = ["train", tmp_path / "a.csv", "--horizon", 6, "--max-steps", 2, "-o", tmp_path / "run"]
    code, _, err = stanhop(*words)
    assert code == 0, err
    assert "lookback 23, patches of 11: all that 52 training rows allow (--lookback" in err
    code, _, err = stanhop(*words, "--resume")
    assert (code, "finished already" in err) == (0, True)
    code, _, err = stanhop(*words[:-1], tmp_path / "other", "--lookback", 60)
    assert code == 3  # what was said is not changed
    assert "lookback 60 and horizon 6 need at least 66" in err


@pytest.mark.parametrize("rows", [40, 300, 1200, 3000])
def test_what_suits_a_table_of_any_length_is_taken_by_a_forecaster(rows):
    index = pd.date_range("2020-01-05", periods=rows, freq="W-SUN")
    table = pd.DataFrame({"y": np.sin(np.arange(rows) / 8)}, index=index)
    forecaster = STanHopForecaster(horizon=4, **grouped(suited_to(table, 4)))
    prepared = forecaster.prepare(table)
    assert len(prepared.windows["train"]) > 0
