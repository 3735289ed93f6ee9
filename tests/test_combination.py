"""Convex combination: closed form, folds, fall-back."""

import pytest
import torch

from stanhop_app.forecasting.combination import Sums, combine, sums, weights_from
from stanhop_app.forecasting.windows import Windows


def windows(rows=240):
    values = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    return Windows(values=values, first=0, last=rows, lookback=4, horizon=3)


def deep(x):
    return x[:, -3:] * 0.5


def linear(x):
    return -x[:, :3] * 0.3


def direct_error(weights, of):
    x, y = of.gather(torch.arange(len(of)))
    a, b = deep(x), linear(x)
    return (b + weights * (a - b) - y).double().square().sum().item()


@pytest.mark.parametrize("batch_size", [7, 512])
def test_the_error_from_sums_is_that_of_the_forecasts(batch_size):
    found = sums(deep, linear, windows(), batch_size)
    for weights in (torch.zeros(3, 2), torch.ones(3, 2), torch.rand(3, 2)):
        assert found.error(weights.double()) == pytest.approx(
            direct_error(weights, windows()), rel=1e-5
        )


def test_without_shrinkage_the_weights_are_those_of_least_squares():
    found = sums(deep, linear, windows())
    weights = weights_from(found.covariance.sum(0), found.difference.sum(0), 0.0)
    best = direct_error(weights, windows())
    for change in (0.01, -0.01):
        assert direct_error((weights + change).clamp(0, 1), windows()) >= best - 1e-9


def test_weights_are_convex_and_shrink_to_one_half():
    covariance = 100 * torch.randn(3, 2, dtype=torch.float64)
    difference = torch.rand(3, 2, dtype=torch.float64)
    for shrinkage in (0.0, 0.3, 3.0):
        weights = weights_from(covariance, difference, shrinkage)
        assert ((weights >= 0) & (weights <= 1)).all()
    weights = weights_from(covariance, difference, 1e9)
    torch.testing.assert_close(weights, torch.full_like(weights, 0.5), rtol=0, atol=1e-3)


def test_equal_parts_give_finite_weights():
    zero = torch.zeros(3, 2, dtype=torch.float64)
    assert weights_from(zero, zero, 0.3).isfinite().all()


def of(linear_error, covariance, difference):
    def fill(numbers):
        return torch.tensor(numbers, dtype=torch.float64).view(-1, 1, 1).expand(-1, 3, 2)

    return Sums(
        linear_error=fill(linear_error), covariance=fill(covariance), difference=fill(difference)
    )


def test_two_parts_with_independent_errors_are_averaged():
    found = combine(of([2.0] * 4, [1.0] * 4, [2.0] * 4), 4)
    assert found.rule.startswith("shrinkage")
    torch.testing.assert_close(found.weights, torch.full((3, 2), 0.5))


def test_the_better_part_alone_is_kept_where_combining_does_not_pay():
    assert combine(of([1.0] * 4, [-1.0] * 4, [2.0] * 4), 4).rule == "linear"
    good = combine(of([4.0] * 4, [4.0] * 4, [4.0] * 4), 4)
    assert good.rule == "deep"
    assert torch.equal(good.weights, torch.ones(3, 2))


def test_a_gain_in_one_fold_only_is_not_believed():
    found = combine(of([1.0] * 4, [4.0, -1.5, -1.5, -1.5], [2.0] * 4), 4)
    assert found.rule == "linear"


def test_a_single_window_is_combined_by_its_better_part():
    one = windows(7)
    assert len(one) == 1
    assert combine(sums(deep, linear, one), 1).rule in ("deep", "linear")
