"""A mistyped value does not carry away what is fitted on all rows and judged by nobody."""

import numpy as np
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.outlying import FARTHER, without_outlying
from stanhop_app.data.panel import Panel
from stanhop_app.errors import TableWarning


def _mistyped(frame, row, deviations=500.0):
    wrong = frame.copy()
    wrong.iloc[row, 0] = frame.iloc[:, 0].mean() + deviations * frame.iloc[:, 0].std()
    return wrong


def test_without_such_a_value_the_panel_stays_itself(weather):
    panel = Panel.of(weather)
    same, sentence = without_outlying(panel, 12)
    assert same is panel
    assert sentence == ""


def test_it_is_replaced_by_the_line_between_its_neighbours(weather):
    row = len(weather) - 300
    panel = Panel.of(_mistyped(weather, row))
    tame, sentence = without_outlying(panel, 12)
    assert tame.scaled[row, 0] == pytest.approx(
        float((panel.scaled[row - 1, 0] + panel.scaled[row + 1, 0]) / 2), rel=1e-5
    )
    assert (tame.scaled != panel.scaled).sum() == 1
    assert f"{weather.columns[0]!r} at {weather.index[row]}" in sentence
    assert tame.fingerprint == panel.fingerprint


def test_what_lies_within_the_training_rows_is_what_the_others_are_measured_by(weather):
    panel = Panel.of(_mistyped(weather, 100))
    assert without_outlying(panel, 12)[0] is panel
    limit = FARTHER * float(panel.scaled[: panel.borders.train, 0].abs().max())
    assert float(panel.scaled[100, 0]) < limit


@pytest.mark.parametrize("final", ["linear", "all"])
def test_the_final_model_forecasts_as_without_it(small, weather, final):
    """The value lies among rows that only the final model sees, and not in those it forecasts from."""
    options = {**small, "final": final}
    right = STanHopForecaster(**options).fit(weather)
    row = len(weather) - right.lookback - 10
    assert row >= right.borders_.validation
    with pytest.warns(TableWarning, match="as far out as all training rows: 1, first"):
        wrong = STanHopForecaster(**options).fit(_mistyped(weather, row))
    forecasts = [forecaster.predict() for forecaster in (right, wrong)]
    difference = (forecasts[0] - forecasts[1]) / np.array(right.scaler_.scale)
    assert float(difference.abs().to_numpy().max()) < 0.05


def test_an_update_is_not_fitted_on_it(small, weather):
    day = weather[-24:].copy()
    fitted = STanHopForecaster(**{**small, "final": "linear"}).fit(weather[:-24])
    other = STanHopForecaster(**{**small, "final": "linear"}).fit(weather[:-24])
    fitted.update(day)
    day.iloc[5, 1] += 1e4 * weather.iloc[:, 1].std()
    with pytest.warns(TableWarning, match=f"{weather.columns[1]!r} at {day.index[5]}"):
        other.update(day)
    weights = [f.fitted_.forecasting.linear.weight for f in (fitted, other)]
    scale = float(weights[0].abs().max())
    assert float((weights[0] - weights[1]).abs().max()) < 0.05 * scale
    assert np.isfinite(weights[1].numpy()).all()
