"""Closed forms against the computation that they abbreviate."""

import pytest
import torch
from sklearn.linear_model import Ridge

from stanhop_app.forecasting import linear as linear_module
from stanhop_app.forecasting import windows as windows_module
from stanhop_app.forecasting.linear import (
    fit_linear,
    fit_pooled,
    mean_squared_error,
    moments,
    ridge,
)
from stanhop_app.forecasting.windows import Windows


def windows(first=0, last=150, lookback=6, horizon=3, variates=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(200, variates, generator=generator).cumsum(0) / 3
    return Windows(values=values, first=first, last=last, lookback=lookback, horizon=horizon)


def stacked(of):
    x, y = of.gather(torch.arange(len(of)))
    last = x[:, -1:]
    return (x - last).double(), (y - last).double()


def test_moments_are_sums_over_all_windows(monkeypatch):
    monkeypatch.setattr(windows_module, "BATCH_FLOATS", 500)  # several batches
    x, y = stacked(windows())
    found = moments(windows())
    torch.testing.assert_close(found.gram, torch.einsum("btc,bsc->cts", x, x), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(
        found.cross, torch.einsum("btc,blc->ctl", x, y), rtol=1e-5, atol=1e-4
    )
    torch.testing.assert_close(found.energy, y.square().sum((0, 1)), rtol=1e-5, atol=1e-4)
    pooled = moments(windows(), pooled=True)
    torch.testing.assert_close(pooled.gram, found.pooled().gram, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(pooled.cross, found.pooled().cross, rtol=1e-5, atol=1e-4)
    assert pooled.count == found.pooled().count == 3 * len(windows())


def test_ridge_is_that_of_scikit_learn():
    x, y = stacked(windows(variates=1))
    (weight,) = ridge(moments(windows(variates=1)), (0.01,))
    reference = Ridge(alpha=0.01 * len(x), fit_intercept=False).fit(x[..., 0], y[..., 0])
    torch.testing.assert_close(weight[0], torch.from_numpy(reference.coef_.T), rtol=1e-4, atol=1e-5)


def test_the_error_from_moments_is_that_of_the_forecasts():
    fit = fit_linear(windows(), windows(150, 200))
    x, y = windows(150, 200).gather(torch.arange(len(windows(150, 200))))
    direct = (fit.module()(x) - y).square().mean().item()
    assert mean_squared_error(fit.weight, moments(windows(150, 200))) == pytest.approx(
        direct, rel=1e-4
    )
    assert fit.validation_mse == pytest.approx(direct, rel=1e-4)


def test_partial_pooling_is_never_worse_on_validation_than_one_map_for_all():
    train, validation = windows(), windows(150, 200)
    assert (
        fit_linear(train, validation).validation_mse <= fit_pooled(train, validation).validation_mse
    )


def test_variates_that_differ_get_maps_of_their_own():
    """One variate trends on, the other returns: no shared map serves both."""
    steps = torch.arange(400.0)
    wave = torch.sin(steps / 3)
    values = torch.stack([wave, wave.roll(1) * torch.sin(steps / 50)], 1) + torch.randn(400, 2) / 50
    train = Windows(values=values, first=0, last=300, lookback=12, horizon=6)
    validation = Windows(values=values, first=300, last=400, lookback=12, horizon=6)
    own, shared = fit_linear(train, validation), fit_pooled(train, validation)
    assert own.pooling is not None
    assert own.weight.shape == (2, 12, 6)
    assert own.validation_mse < 0.9 * shared.validation_mse


def test_very_many_variates_share_one_map(monkeypatch):
    monkeypatch.setattr(linear_module, "LARGEST_MOMENTS", 100)
    fit = fit_linear(windows(), windows(150, 200))
    assert fit.pooling is None
    assert fit.weight.shape == (1, 6, 3)
    assert fit.module()(torch.randn(4, 6, 3)).shape == (4, 3, 3)


def test_a_linear_recurrence_is_found_exactly():
    """x_t = x_{t-1} + (x_{t-1} - x_{t-2}): a straight line, in the span of the map."""
    values = torch.arange(200.0)[:, None] / 50
    train = Windows(values=values, first=0, last=150, lookback=4, horizon=5)
    fit = fit_pooled(train, Windows(values=values, first=150, last=200, lookback=4, horizon=5))
    assert fit.validation_mse < 1e-4


def test_a_map_that_reads_less_has_zero_weights_for_the_rest():
    """Of a long window the choice on validation may be to read the latest steps only."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(700, 2, generator=generator)
    values[1:] += 0.9 * values[:-1]  # only the last steps tell anything
    train = Windows(values=values, first=0, last=400, lookback=150, horizon=3)
    fit = fit_linear(train, Windows(values=values, first=400, last=700, lookback=150, horizon=3))
    assert fit.lookback == 96
    assert fit.weight.shape[1:] == (150, 3)
    assert not fit.weight[:, :54].any()
    assert fit.weight[:, 54:].any()
