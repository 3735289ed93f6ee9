"""Intervals of an export are those of the run, without torch; and a file that was changed is refused."""

import json
import struct

import numpy as np
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.data.calendar import clock
from stanhop_app.errors import ArtefactError
from stanhop_app.forecasting.intervals.carried import Carried
from stanhop_app.forecasting.intervals.intervals import Intervals
from stanhop_app.runs.carrying import write_intervals

LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]


@pytest.fixture(scope="module")
def fitted(weather, small):
    return STanHopForecaster(**small).fit(weather)


def test_every_way_of_reading_says_the_same_in_numpy(fitted, weather, tmp_path, monkeypatch):
    """Windows of the past read what had ended, as those of the future do."""
    known, record = fitted.intervals(), fitted.fitted_
    for judged in known.judged:
        one = Intervals(judged=(judged,))
        monkeypatch.setattr("stanhop_app.runs.carrying.intervals_of", lambda f, one=one: one)
        path = tmp_path / "intervals.safetensors"
        assert write_intervals(record, path)
        carried = Carried.read(path, 12, 3)
        assert carried.about["way"] == judged.pool.way.name
        for end in (880, 900):
            rows = record.scaler.transform(weather.iloc[end - 48 : end].to_numpy())
            moment = clock(weather.index[[end - 1]] + weather.index.freq, record.frequency)
            wanted = one.quantiles(torch.from_numpy(rows)[None], torch.from_numpy(moment), LEVELS)[
                0
            ]
            made = carried.quantiles(rows[None], moment, LEVELS)[0]
            np.testing.assert_allclose(made, wanted.numpy(), rtol=2e-3, atol=2e-3)


def test_a_file_that_was_changed_is_refused(fitted, tmp_path):
    path = tmp_path / "intervals.safetensors"
    write_intervals(fitted.fitted_, path)
    content = path.read_bytes()
    with pytest.raises(ArtefactError, match="of another size"):
        Carried.read(path, 24, 3)
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["about"])
    for other in (
        {**about, "key": 0},
        {**about, "steps": "x"},
        {**about, "steps": 9, "lag": None},
        {**about, "steps": 9, "lag": 9},
        {**about, "way": 1},
        [],
        {},
    ):
        changed = json.dumps({**header, "__metadata__": {"about": json.dumps(other)}}).encode()
        path.write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + size :])
        with pytest.raises(ArtefactError, match="damaged"):
            Carried.read(path, 12, 3)
    for broken in (b"", content[:100], b"\xff" * 200, content[:-5]):
        path.write_bytes(broken)
        with pytest.raises(ArtefactError, match="damaged"):
            Carried.read(path, 12, 3)
