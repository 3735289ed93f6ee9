"""Metrics against hand-made values and against the streaming scores."""

import numpy as np
import pytest
import torch

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Split, Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.baselines import last_value, seasonal_naive
from stanhop_app.forecasting.evaluation import score, score_all, score_table, variate_table
from stanhop_app.forecasting.metrics import METRICS, Metric, Units, percentage, seasonal_error

TRUTH = np.array([[1.0, 10.0], [2.0, 0.0], [3.0, -10.0]])
FORECAST = np.array([[2.0, 10.0], [2.0, 0.0], [1.0, 10.0]])


def pointwise(name, truth, forecast):
    """Errors of one metric, of values that were never scaled."""
    truth, forecast = (torch.tensor(x, dtype=torch.float64) for x in (truth, forecast))
    units = Units(mean=torch.zeros(truth.shape[-1]), scale=torch.ones(truth.shape[-1]))
    return METRICS[name].error(truth, forecast, units).numpy()


def mse(truth, forecast):
    return pointwise("mse", truth, forecast).mean()


def mae(truth, forecast):
    return pointwise("mae", truth, forecast).mean()


def smape(truth, forecast):
    return pointwise("smape", truth, forecast).mean()


def mase(truth, forecast, history, season):
    """Mean over variates whose history is not constant."""
    error = pointwise("mase", truth, forecast)
    ones = np.ones(truth.shape[-1])
    found = METRICS["mase"].by_variate(error, ones, seasonal_error(history, season))
    return np.nan if np.isnan(found).all() else np.nanmean(found)


def test_golden_values():
    assert mse(TRUTH, FORECAST) == pytest.approx((1 + 4 + 400) / 6)
    assert mae(TRUTH, FORECAST) == pytest.approx((1 + 2 + 20) / 6)
    assert smape(TRUTH, FORECAST) == pytest.approx((200 / 3 + 400 / 4 + 200) / 6)
    assert smape(np.zeros((1, 1)), np.zeros((1, 1))) == 0
    history = np.array([[0.0, 5.0], [2.0, 5.0], [1.0, 5.0], [4.0, 5.0]])
    np.testing.assert_allclose(seasonal_error(history, 1), [2.0, 0.0])
    np.testing.assert_allclose(seasonal_error(history, 2), [1.5, 0.0])
    assert mase(TRUTH, FORECAST, history, 1) == pytest.approx(1.0 / 2.0)
    assert np.isnan(mase(TRUTH, FORECAST, np.ones((4, 2)), 1))


def test_seasonal_naive_on_its_own_history_has_mase_one():
    history = np.random.default_rng(0).normal(size=(500, 3))
    assert mase(history[24:], history[:-24], history, 24) == pytest.approx(1.0)


def test_a_history_no_longer_than_the_season_is_refused():
    with pytest.raises(ValueError, match="longer than season=24, got 24 rows"):
        seasonal_error(np.ones((24, 1)), 24)


def table(rows=90):
    array = np.random.default_rng(1).normal([100, -3, 0], [20, 1, 1], (rows, 3))
    scaler = Scaler.fit(array)
    return array, scaler, torch.from_numpy(scaler.transform(array))


@pytest.mark.parametrize("batch_size", [5, 512])
def test_streamed_scores_are_those_of_all_windows_at_once(batch_size):
    _, scaler, values = table()
    windows = Windows(values=values, first=0, last=90, lookback=6, horizon=4)
    found = score(last_value(4), windows, scaler, batch_size)
    x, y = windows.gather(torch.arange(len(windows)))
    truth, forecast = y.numpy().astype(float), x[:, -1:].expand(-1, 4, -1).numpy().astype(float)
    assert found.mse == pytest.approx(mse(truth, forecast), rel=1e-6)
    assert found.mae == pytest.approx(mae(truth, forecast), rel=1e-6)
    original = scaler.inverse(truth), scaler.inverse(forecast)
    assert found.errors[percentage].mean() == pytest.approx(smape(*original), rel=1e-6)
    assert found.windows == len(windows)


def whole_of(values):
    return Windows(values=values, first=0, last=len(values), lookback=6, horizon=4)


def test_all_predictors_are_scored_on_the_same_targets():
    _, scaler, values = table()
    predictors = {"last": last_value(4), "season": seasonal_naive(4, 24)}
    whole = score_all(predictors, whole_of(values), None, scaler)["all"]
    assert whole["last"].windows == whole["season"].windows == 90 - 24 - 4 + 1
    split = Split(train=40, validation=60, test=90)
    parts = score_all(predictors, whole_of(values), split, scaler)
    assert parts["validation"]["last"].windows == 20 - 4 + 1
    assert parts["test"]["season"].windows == 30 - 4 + 1
    columns = ["validation_mse", "validation_mae", "test_mse", "test_mae"]
    assert list(score_table(parts).columns) == columns


def test_errors_of_variates_are_in_their_own_units():
    array, scaler, values = table()
    windows = Windows(values=values, first=0, last=90, lookback=1, horizon=1)
    found = variate_table(
        score(last_value(1), windows, scaler), scaler, ["a", "b", "c"], seasonal_error(array, 1)
    )
    step = np.abs(np.diff(array, axis=0))
    np.testing.assert_allclose(found["mae"], step.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["rmse"], np.sqrt((step**2).mean(0)), rtol=1e-5)
    np.testing.assert_allclose(found["mase"], 1.0, rtol=1e-5)


def test_a_table_too_short_to_score_says_how_many_rows_it_needs():
    _, scaler, values = table(8)
    with pytest.raises(DataError, match=r"too few rows: 8, .* at least 28 \(lookback 24"):
        score_all({"season": seasonal_naive(4, 24)}, whole_of(values), None, scaler)


def test_a_new_metric_is_one_entry(monkeypatch, weather, small):
    """Registered from outside, it stands in the table of models and in that of variates."""

    def over(truth, forecast, units):
        return (forecast > truth).double()

    share = Metric(error=over, overall=True, by_variate=lambda e, scale, season: e.mean(0))
    monkeypatch.setitem(METRICS, "over", share)
    _, scaler, values = table()
    scores = score_all({"last": last_value(4)}, whole_of(values), None, scaler)
    found = score_table(scores)
    assert list(found.columns) == ["all_mse", "all_mae", "all_over"]
    windows = Windows(values=values, first=0, last=90, lookback=1, horizon=4)
    x, y = windows.gather(torch.arange(len(windows)))
    assert found.loc["last", "all_over"] == pytest.approx((x > y).double().mean().item())
    by_variate = variate_table(scores["all"]["last"], scaler, ["a", "b", "c"], np.ones(3))
    assert by_variate["over"].mean() == pytest.approx(found.loc["last", "all_over"])
