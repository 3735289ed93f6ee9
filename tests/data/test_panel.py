"""The panel: everything that is computed from the whole table, once."""

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.panel import Panel
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import split_rows


@pytest.fixture
def two(weather):
    """Two series of different lengths, flat."""
    frame = pd.concat([weather.iloc[:600], weather.iloc[600:900] * 3])
    return Panel.of(frame, "4/1/1", starts=(0, 600), ids=("north", "south"))


def test_one_series_is_split_and_scaled_by_its_training_rows(weather):
    panel = Panel.of(weather, "14/5/5")
    assert panel.borders == split_rows(900, "14/5/5")
    values = weather.to_numpy()
    assert panel.scaler == Scaler.fit(values[: panel.borders.train])
    np.testing.assert_array_equal(panel.scaled.numpy(), panel.scaler.transform(values))
    assert panel.fingerprint == fingerprint(weather)
    assert (panel.columns, len(panel)) == (list(weather.columns), 900)
    assert panel.train_end == str(weather.index[524])
    parts = panel.windows(48, 12)
    assert list(parts) == ["train", "validation", "test"]
    assert parts["test"].values is panel.scaled


def test_what_is_computed_of_the_whole_table_is_computed_once(weather):
    panel = Panel.of(weather)
    assert panel.scaled is panel.scaled
    assert panel.values is panel.values
    assert panel.fingerprint is panel.fingerprint


def test_several_series_lie_flat_and_are_taken_apart_again(two, weather):
    assert [s.train for s in two.splits] == [400, 200]
    south = two.series("south")
    pd.testing.assert_frame_equal(south.frame, weather.iloc[600:900] * 3)
    assert (south.borders, south.scaler) == (two.splits[1], two.scalers[1])
    assert torch.equal(two.scaled, torch.cat([two.series(i).scaled for i in two.ids]))
    # A series may be long where another is short: windows are those of each.
    assert len(two.series("north").windows(48, 12)["train"]) == 400 - 48 - 12 + 1
    assert len(south.windows(48, 12)["train"]) == 200 - 48 - 12 + 1
    assert south.fingerprint != two.fingerprint


def test_where_series_begin_and_their_names_are_part_of_the_fingerprint(two):
    moved = Panel.of(two.frame, "4/1/1", starts=(0, 500), ids=two.ids)
    named = Panel.of(two.frame, "4/1/1", starts=two.starts, ids=("north", "east"))
    assert len({two.fingerprint, moved.fingerprint, named.fingerprint}) == 3


@pytest.mark.parametrize(
    ("starts", "ids", "message"),
    [
        ((0,), ("a", "b"), "as many starts"),
        ((1, 600), ("a", "b"), "rise from 0"),
        ((0, 901), ("a", "b"), "rise from 0 within the 900 rows"),
        ((0, 600), ("a", "a"), "a name of its own"),
    ],
)
def test_series_that_do_not_fit_the_rows_are_refused(two, starts, ids, message):
    with pytest.raises(ValueError, match=message):
        Panel.of(two.frame, starts=starts, ids=ids)


def test_what_is_of_one_series_only_is_refused_of_several(two):
    for ask in (lambda: two.borders, lambda: two.scaler, lambda: two.windows(48, 12)):
        with pytest.raises(ValueError, match="the panel has 2 series"):
            ask()
    with pytest.raises(KeyError):
        two.series("west")
