"""Splits, scaling, windows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows, split_rows, split_windows
from stanhop_app.errors import DataError


def test_the_default_split_of_etth1():
    split = split_rows(17420, "14/5/5")
    assert (split.train, split.validation, split.test) == (10161, 13790, 17420)
    assert str(split) == "10161/3629/3630 rows"


def test_the_split_of_the_published_tables():
    split = split_rows(17420, "etth")
    assert (split.train, split.validation, split.test) == (8640, 11520, 14400)


@given(st.integers(3, 100_000), st.integers(1, 20), st.integers(1, 20), st.integers(0, 20))
def test_a_ratio_split_covers_all_rows_in_order(rows, a, b, c):
    split = split_rows(rows, f"{a}/{b}/{c}")
    assert split.train == rows * a // (a + b + c)
    assert split.validation == rows * (a + b) // (a + b + c)
    assert 0 <= split.train <= split.validation <= split.test == rows


@pytest.mark.parametrize("text", ["", "14-5-5", "0/5/5", "5/0/5", "a/b/c", "14/5", "etth9"])
def test_a_bad_split_is_answered_with_the_forms(text):
    with pytest.raises(ValueError, match="ratio A/B/C .* or one of etth"):
        split_rows(100, text)


def test_a_named_split_needs_its_rows():
    with pytest.raises(DataError, match="needs 14400 rows, the table has 100"):
        split_rows(100, "etth")


def series(rows, variates=2):
    return torch.arange(rows * variates, dtype=torch.float32).reshape(rows, variates)


@given(
    st.integers(1, 60), st.integers(0, 30), st.integers(0, 40), st.integers(1, 8), st.integers(1, 8)
)
def test_windows_are_those_of_a_loop(rows, first, length, lookback, horizon):
    last = min(first + length, rows)
    values = series(rows)
    windows = Windows(values=values, first=first, last=last, lookback=lookback, horizon=horizon)
    wanted = [
        (values[t - lookback : t], values[t : t + horizon])
        for t in range(rows)
        if t >= lookback and t >= first and t + horizon <= last
    ]
    assert len(windows) == len(wanted)
    if wanted:
        x, y = windows.gather(torch.arange(len(windows)))
        assert torch.equal(x, torch.stack([w[0] for w in wanted]))
        assert torch.equal(y, torch.stack([w[1] for w in wanted]))


def test_targets_stay_in_their_part_and_every_test_window_counts():
    values = series(100)
    train, validation, test = split_windows(
        values, Split(train=60, validation=80, test=100), lookback=10, horizon=4
    )
    assert len(train) == 60 - 10 - 4 + 1
    assert len(validation) == len(test) == 20 - 4 + 1
    x, y = validation.gather(torch.tensor([0]))
    assert torch.equal(y[0, 0], values[60])
    assert torch.equal(x[0], values[50:60])
    assert sum(len(b) for b in test.batches(3)) == len(test)


def test_a_part_that_is_too_short_says_how_many_rows_it_needs():
    split = Split(train=12, validation=80, test=100)
    with pytest.raises(DataError, match="training part has 12, .* need at least 14 there"):
        split_windows(series(100), split, lookback=10, horizon=4)
    split = Split(train=60, validation=62, test=100)
    with pytest.raises(DataError, match="validation part has 2, .* need at least 4 there"):
        split_windows(series(100), split, lookback=10, horizon=4)


def test_windows_copy_nothing_until_gathered():
    values = series(1000)
    windows = Windows(values=values, first=0, last=1000, lookback=300, horizon=100)
    assert windows.values.data_ptr() == values.data_ptr()


def test_the_scaler_standardises_and_inverts():
    rows = np.random.default_rng(0).normal([3, -900, 0], [0.01, 50, 1], (500, 3))
    rows[:, 2] = 4.0
    scaler = Scaler.fit(rows)
    scaled = scaler.transform(rows)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[:, :2].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, :2].std(0), 1, atol=1e-5)
    np.testing.assert_array_equal(scaled[:, 2], 0)
    np.testing.assert_allclose(scaler.inverse(scaled), rows, rtol=1e-5, atol=1e-4)
