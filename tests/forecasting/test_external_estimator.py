"""An external memory on forecasters that were fitted elsewhere."""

import numpy as np
import pandas as pd
import pytest

from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.external.estimator import ExternalMemory

HORIZON, LOOKBACK = 6, 24


class Daily:
    """What was a day before."""

    horizon, lookback = HORIZON, LOOKBACK

    def predict(self, frame):
        return frame.to_numpy()[-24 : -24 + HORIZON]


@pytest.fixture(scope="module")
def pulses():
    """A daily shape, and pulses of either sign, each followed by a bump that is always up."""
    draws, rows = np.random.default_rng(0), 1500
    values = np.sin(np.arange(rows) * 2 * np.pi / 24) + 0.1 * draws.normal(size=rows)
    for start in np.sort(draws.choice(np.arange(20, rows - 40), 150, replace=False)):
        values[start] += draws.choice([-3, 3])
        values[start + 2 : start + 6] += 3
    index = pd.date_range("2024-01-01", periods=rows, freq="h", name="hour")
    return pd.DataFrame({"load": values}, index=index)


@pytest.fixture(scope="module")
def memory(pulses):
    return ExternalMemory(Daily()).fit(pulses[:-200])


def test_what_it_corrects_comes_nearer(memory, pulses):
    errors = {"base": 0.0, "memory": 0.0}
    for end in range(len(pulses) - 190, len(pulses) - HORIZON, 3):
        seen, came = pulses[:end], pulses["load"].to_numpy()[end : end + HORIZON]
        errors["base"] += float(((Daily().predict(seen)[:, 0] - came) ** 2).sum())
        errors["memory"] += float(((memory.predict(seen)["load"] - came) ** 2).sum())
    assert memory.memory_.gain > 0.1
    assert errors["memory"] < 0.8 * errors["base"]


def test_it_forecasts_the_steps_after_the_table(memory, pulses):
    made = memory.predict()
    assert list(made.index) == list(pulses.index[-200 : -200 + HORIZON])
    pd.testing.assert_frame_equal(memory.predict(pulses[:-200]), made)


def test_without_a_gain_the_base_forecasts_itself(pulses):
    noise = pd.DataFrame({"x": np.random.default_rng(0).normal(size=600)}, index=pulses.index[:600])

    class Zero(Daily):
        def predict(self, frame):
            return pd.DataFrame({"x": np.zeros(HORIZON)})

    memory = ExternalMemory(Zero()).fit(noise)
    assert memory.memory_ is None
    assert (memory.predict().to_numpy() == 0).all()


def test_what_cannot_be(pulses):
    class Silent(Daily):
        horizon = None

    class Short(Daily):
        def predict(self, frame):
            return super().predict(frame)[:3]

    with pytest.raises(OptionError, match="horizon: neither the memory nor its base says"):
        ExternalMemory(Silent()).fit(pulses)
    with pytest.raises(DataError, match=r"the base forecasts \(3, 1\) values, and not 6 steps"):
        ExternalMemory(Short()).fit(pulses)
    with pytest.raises(DataError, match="too few rows: 5"):
        ExternalMemory(Daily()).fit(pulses[:600]).predict(pulses[:5])
