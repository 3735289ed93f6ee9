"""Closed forms against the computation that they abbreviate."""

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge

from stanhop_app.data import windows as windows_module
from stanhop_app.data.folds import pieces
from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.linear import fit as fit_module
from stanhop_app.forecasting.linear import shares as shares_module
from stanhop_app.forecasting.linear.fit import LinearFit, fit_linear, fit_pooled
from stanhop_app.forecasting.linear.moments import held_out_moments, moments
from stanhop_app.forecasting.linear.ridge import as_module, ridge, squared_errors
from stanhop_app.forecasting.linear.shares import choose_shares
from stanhop_app.forecasting.linear.sliding import whole_moments
from stanhop_app.models.stanhop import from_last


def windows(first=0, last=150, lookback=6, horizon=3, variates=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(200, variates, generator=generator).cumsum(0) / 3
    return Windows(values=values, first=first, last=last, lookback=lookback, horizon=horizon)


def stacked(of):
    x, y = of.gather(torch.arange(len(of)))
    return from_last(x).double(), (y - x[:, -1:]).double()


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(
    ("first", "lookback", "horizon"), [(0, 6, 3), (40, 6, 1), (0, 1, 5), (3, 30, 9)]
)
def test_moments_of_sliding_windows_are_those_of_all_windows(first, lookback, horizon, pooled):
    own = windows(first=first, lookback=lookback, horizon=horizon)
    quick, slow = whole_moments(own, pooled=pooled), moments(own, pooled=pooled)
    assert quick.count == slow.count
    for name in ("gram", "cross", "energy"):
        torch.testing.assert_close(getattr(quick, name), getattr(slow, name), rtol=1e-5, atol=1e-4)


def test_moments_of_windows_with_holes_are_those_of_all_windows():
    own = windows()
    own.values[50] = torch.nan
    torch.testing.assert_close(whole_moments(own).gram, moments(own).gram, rtol=0, atol=0)


@pytest.mark.parametrize("anchored", [True, False])
def test_one_penalty_is_solved_as_among_several(anchored):
    (alone,) = ridge(moments(windows()), (0.1,), anchored=anchored)
    among = ridge(moments(windows()), (0.01, 0.1), anchored=anchored)[1]
    torch.testing.assert_close(alone, among, rtol=1e-4, atol=1e-5)


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


def test_anchored_ridge_is_that_of_scikit_learn_on_differences():
    x, y = stacked(windows(variates=1))
    (weight,) = ridge(moments(windows(variates=1)), (0.01,))
    reference = Ridge(alpha=0.01 * len(x), fit_intercept=False).fit(x[:, :-1, 0], y[..., 0])
    wanted = torch.from_numpy(reference.coef_.T)
    torch.testing.assert_close(weight[0, :-1], wanted, rtol=1e-4, atol=1e-5)
    assert not weight[0, -1].any()


def test_free_ridge_is_that_of_scikit_learn_on_values():
    x, y = windows(variates=1).gather(torch.arange(len(windows(variates=1))))
    (weight,) = ridge(moments(windows(variates=1)), (0.01,), anchored=False)
    reference = Ridge(alpha=0.01 * len(x), fit_intercept=False).fit(x[..., 0], y[..., 0])
    part = as_module(weight)
    wanted = torch.from_numpy(reference.predict(x[..., 0])).float()
    torch.testing.assert_close(part(x)[..., 0], wanted, rtol=1e-4, atol=1e-4)


def test_penalties_draw_an_anchored_map_to_the_last_value_and_a_free_one_to_zero():
    x, _ = windows().gather(torch.arange(10))
    for anchored, wanted in ((True, x[:, -1:].expand(-1, 3, -1)), (False, torch.zeros(10, 3, 3))):
        (weight,) = ridge(moments(windows()), (1e9,), anchored=anchored)
        torch.testing.assert_close(as_module(weight)(x), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["anchored", "free"])
def test_the_error_from_moments_is_that_of_the_forecasts(kind, seed):
    fit = getattr(fit_linear(windows(seed=seed), windows(150, 200, seed=seed))[0], kind)
    held_out = windows(150, 200, seed=seed)
    x, y = held_out.gather(torch.arange(len(held_out)))
    direct = (fit.module()(x) - y).square().mean((0, 1)).double()
    found = squared_errors(fit.weight, moments(held_out))
    torch.testing.assert_close(found, direct, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(fit.errors, direct, rtol=1e-4, atol=1e-6)
    assert fit.validation_mse == pytest.approx(direct.mean().item(), rel=1e-4)


def levels(returning, seed=0, shift=0.0):
    """Variates around levels that move on for good, or that come back to 0 after a shock."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.zeros(1200, len(returning))
    noise = torch.randn(1200, len(returning), generator=generator)
    keep = torch.tensor([0.9 if back else 1.0 for back in returning])
    for t in range(1, 1200):
        values[t] = keep * values[t - 1] + 0.3 * noise[t]
    values[700:, 0] += shift
    parts = (0, 700), (700, 1200)
    return [Windows(values=values, first=a, last=b, lookback=8, horizon=24) for a, b in parts]


def test_variates_whose_level_returns_are_averaged_more_often_than_those_that_drift():
    chosen = torch.stack([fit_linear(*levels([True, False], seed))[0].shares for seed in range(12)])
    returning, drifting = (chosen > 0).sum(0).tolist()
    assert returning >= 10
    assert drifting <= 6


def test_the_forecast_of_a_variate_is_the_average_or_the_anchored_one():
    train, validation = levels([True, False, True])
    fit = fit_linear(train, validation)[0]
    assert isinstance(fit, LinearFit)
    assert (fit.shares > 0).tolist() == [True, False, True]
    assert fit.summary()["free_shares"] == fit.shares.tolist()
    x, _ = validation.gather(torch.arange(20))
    anchored, free, both = (part.module()(x) for part in (fit.anchored, fit.free, fit))
    torch.testing.assert_close(both[..., 1], anchored[..., 1])
    average = (anchored + fit.shares.float() * (free - anchored))[..., ::2]
    torch.testing.assert_close(both[..., ::2], average, rtol=1e-4, atol=1e-5)
    moved = fit.module()(x + 5)
    torch.testing.assert_close(moved[..., 1], both[..., 1] + 5, rtol=1e-4, atol=1e-4)


def test_a_variate_that_drifts_does_not_decide_for_the_others():
    quiet, drifting = (fit_linear(*levels([True, True], shift=shift))[0] for shift in (0.0, 10.0))
    assert (quiet.shares > 0).tolist() == [True, True]
    assert (drifting.shares > 0).tolist() == [False, True]


def test_variates_that_share_a_map_share_the_choice_that_is_better_in_the_mean():
    train, validation = levels([True, True], shift=10.0)
    fit = fit_linear(train, validation)[0]
    parts = fit.anchored.module(), fit.free.module()
    assert (choose_shares(*parts, validation) > 0).tolist() == [False, True]
    assert choose_shares(*parts, validation, shared=True).tolist() == [0.0, 0.0]


def test_a_short_lookback_is_fitted_on_all_of_its_windows():
    """Of a table hardly longer than the window, the long map knows a few windows, the short one many."""
    values = levels([True, True])[0].values
    train = Windows(values=values, first=0, last=530, lookback=512, horizon=6)
    validation = Windows(values=values, first=530, last=900, lookback=512, horizon=6)
    anchored = fit_linear(train, validation)[0].anchored
    short = [
        Windows(values=values, first=w.first, last=w.last, lookback=96, horizon=6)
        for w in (train, validation)
    ]
    assert anchored.options[0].lookback == 96
    torch.testing.assert_close(anchored.weight[:, 416:], fit_linear(*short)[0].anchored.weight)


def test_equal_maps_and_a_single_window_keep_the_level():
    train, validation = levels([True])
    fit = fit_linear(train, validation)[0]
    anchored, free = fit.anchored.module(), fit.free.module()
    assert not choose_shares(anchored, anchored, validation).any()
    single = Windows(values=validation.values, first=700, last=724, lookback=8, horizon=24)
    assert len(single) == 1
    assert not choose_shares(anchored, free, single).any()


def test_a_window_of_one_step_has_a_map():
    train, validation = (
        Windows(values=w.values, first=w.first, last=w.last, lookback=1, horizon=4)
        for w in levels([True, True])
    )
    fit = fit_linear(train, validation)[0]
    assert fit.weight.isfinite().all()
    assert not fit.anchored.weight.any()
    assert fit.free.weight.any()


def test_partial_pooling_is_never_worse_on_validation_than_one_map_for_all():
    train, validation = windows(), windows(150, 200)
    own, shared = fit_linear(train, validation)[0].anchored, fit_pooled(train, validation)
    assert own.validation_mse <= shared.validation_mse + 1e-9


def test_variates_that_differ_get_maps_of_their_own():
    """One variate trends on, the other returns: no shared map serves both."""
    steps = torch.arange(400.0)
    wave = torch.sin(steps / 3)
    values = torch.stack([wave, wave.roll(1) * torch.sin(steps / 50)], 1) + torch.randn(400, 2) / 50
    train = Windows(values=values, first=0, last=300, lookback=12, horizon=6)
    validation = Windows(values=values, first=300, last=400, lookback=12, horizon=6)
    own, shared = fit_linear(train, validation)[0].anchored, fit_pooled(train, validation)
    assert own.options[0].pooling is not None
    assert own.weight.shape == (2, 12, 6)
    assert own.validation_mse < 0.9 * shared.validation_mse


def test_very_many_variates_share_one_map(monkeypatch):
    monkeypatch.setattr(fit_module, "LARGEST_MOMENTS", 100)
    fit = fit_linear(windows(), windows(150, 200))[0]
    assert fit.anchored.options[0].pooling is None
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
    validation = Windows(values=values, first=400, last=700, lookback=150, horizon=3)
    fit = fit_linear(train, validation)[0].anchored
    assert fit.options[0].lookback == 96
    assert fit.weight.shape[1:] == (150, 3)
    assert not fit.weight[:, :54].any()
    assert fit.weight[:, 54:].any()


def test_for_every_fold_there_is_a_fit_that_does_not_know_it():
    """New targets in the last fold, which no other window reads, change all fits but its own."""
    train, validation = levels([True, False])
    _, *before = fit_linear(train, validation)
    values = validation.values.clone()
    values[validation.first + len(validation) * 3 // 4 :] *= -3
    _, *after = fit_linear(replace(train, values=values), replace(validation, values=values))
    same = [torch.equal(a.free.errors, b.free.errors) for a, b in zip(before, after, strict=True)]
    assert same == [False, False, False, True]
    assert torch.equal(before[3].weight, after[3].weight)


def test_held_out_moments_are_of_all_windows_and_of_the_rests():
    _, validation = levels([True, False])
    found = held_out_moments(validation)
    torch.testing.assert_close(found[0].gram, moments(validation).gram, rtol=1e-4, atol=1e-3)
    for fold, rest in enumerate(found[1:]):
        numbers = [n for p in pieces(validation) if fold in p.rests for n in range(p.start, p.stop)]
        x, y = validation.gather(torch.tensor(numbers))
        x, y = from_last(x).double(), (y - x[:, -1:]).double()
        assert rest.count == len(numbers)
        torch.testing.assert_close(
            rest.cross, torch.einsum("btc,blc->ctl", x, y), rtol=1e-4, atol=1e-3
        )
    short = replace(validation, last=validation.first + 30)
    assert all(m.count == len(short) for m in held_out_moments(short))


def test_a_share_is_that_of_least_squares_drawn_towards_one_half(monkeypatch):
    train, validation = levels([True, True, False])
    fit = fit_linear(train, validation)[0]
    parts = fit.anchored.module(), fit.free.module()
    x, y = validation.gather(torch.arange(len(validation)))
    anchored, free = (part(x).double() for part in parts)
    best = ((y - anchored) * (free - anchored)).sum((0, 1)) / (free - anchored).square().sum((0, 1))
    for strength in (0.0, 1.0, 10.0, 1e6):
        monkeypatch.setattr(shares_module, "TOWARDS_HALF", strength)
        wanted = ((best + strength / 2) / (1 + strength)).clamp(0, 1)
        found = choose_shares(*parts, validation)
        torch.testing.assert_close(found[:2], wanted[:2], rtol=1e-3, atol=1e-3)
        assert found[2] == 0
