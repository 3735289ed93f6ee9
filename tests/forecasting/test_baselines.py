"""Baselines against their definitions."""

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Windows
from stanhop_app.errors import ArtefactError
from stanhop_app.files import find_hashed
from stanhop_app.forecasting.baselines import (
    DLinear,
    fit_baselines,
    fit_dlinear,
    fit_ridge,
    last_value,
    load_baselines,
    save_baselines,
    seasonal_naive,
)
from stanhop_app.forecasting.evaluation import score
from stanhop_app.training.checkpoint import save_tensors


def wave_windows(first, last):
    steps = torch.arange(900.0)
    values = (
        torch.stack([torch.sin(steps / 4), torch.cos(steps / 7)], 1)
        + torch.randn(900, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    )
    return Windows(values=values, first=first, last=last, lookback=48, horizon=5)


def test_last_value_repeats_it():
    x = torch.randn(3, 7, 2)
    assert torch.equal(last_value(4).predict(x), x[:, [-1] * 4])


@pytest.mark.parametrize(("season", "horizon"), [(1, 3), (4, 3), (4, 10), (7, 7)])
def test_seasonal_naive_repeats_the_last_season(season, horizon):
    x = torch.randn(3, 9, 2)
    forecast = seasonal_naive(horizon, season).predict(x)
    for step in range(horizon):
        assert torch.equal(forecast[:, step], x[:, 9 - season + step % season])


def test_a_season_is_at_least_one():
    with pytest.raises(ValueError, match="season must be at least 1, got 0"):
        seasonal_naive(3, 0)


def test_dlinear_is_a_linear_map_of_trend_and_rest():
    model = DLinear(30, 4)
    x = torch.randn(2, 30, 3)
    series = x[0, :, 1]
    padded = torch.cat([series[:1].expand(12), series, series[-1:].expand(12)])
    trend = padded.unfold(0, 25, 1).mean(-1)
    wanted = model.trend(trend) + model.season(series - trend)
    torch.testing.assert_close(model(x)[0, :, 1], wanted)


def test_fitted_baselines_beat_the_naive_ones_on_waves():
    train, validation = wave_windows(0, 600), wave_windows(600, 900)
    scaler = Scaler(mean=(0.0, 0.0), scale=(1.0, 1.0))

    def error(baseline):
        return score(baseline, replace(validation, lookback=baseline.lookback), scaler).mse

    naive = error(last_value(5))
    assert error(fit_ridge(train, validation)) < 0.2 * naive
    assert error(fit_dlinear(train, validation)) < 0.3 * naive


def test_ridge_chooses_lookback_and_penalty_on_validation():
    train, validation = wave_windows(0, 600), wave_windows(600, 900)
    baseline = fit_ridge(train, validation)
    assert baseline.lookback in (48, 96, 336)
    assert baseline.note.startswith(f"lookback {baseline.lookback}, penalty ")
    weight = baseline.predict.weight
    assert weight.shape == (1, baseline.lookback, 5)
    penalty = float(baseline.note.split()[-1])
    windows = Windows(values=train.values, first=0, last=600, lookback=baseline.lookback, horizon=5)
    x, y = windows.gather(torch.arange(len(windows)))
    last = x[:, -1:]
    flat_x = (x - last).transpose(1, 2).reshape(-1, baseline.lookback)
    flat_y = (y - last).transpose(1, 2).reshape(-1, 5)
    reference = Ridge(alpha=penalty * len(flat_x), fit_intercept=False).fit(flat_x, flat_y)
    torch.testing.assert_close(
        weight[0].double(), torch.from_numpy(reference.coef_.T).double(), rtol=1e-2, atol=1e-3
    )


def test_saved_baselines_predict_the_same(tmp_path):
    train, validation = wave_windows(0, 600), wave_windows(600, 900)
    fitted = fit_baselines(train, validation, season=24)
    path = tmp_path / "baselines.safetensors"
    digest = save_baselines(fitted, path)
    loaded = load_baselines(find_hashed(path, digest), horizon=5, season=24)
    assert list(loaded) == list(fitted) == ["last value", "seasonal naive", "ridge", "DLinear"]
    x = torch.randn(3, 400, 2)
    with torch.no_grad():
        for name, baseline in fitted.items():
            again = loaded[name]
            assert again.lookback == baseline.lookback
            recent = x[:, -baseline.lookback :]
            assert torch.equal(again.predict(recent), baseline.predict(recent))
    path.write_bytes(find_hashed(path, digest).read_bytes()[:50])
    with pytest.raises(ArtefactError, match="damaged"):
        load_baselines(path, horizon=5, season=24)
    save_tensors(path, {"x": torch.ones(1)}, {})
    with pytest.raises(ArtefactError, match="no baselines in it"):
        load_baselines(path, horizon=5, season=24)
