"""Convex combination: closed form, folds, fall-back."""

import pytest
import torch

from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.combination import (
    Sums,
    absolute_errors,
    combine,
    sums,
    weights_from,
)


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
    found = sums(deep, [linear] * 4, windows(), batch_size)
    for weights in (torch.zeros(3, 2), torch.ones(3, 2), torch.rand(3, 2)):
        assert found.errors(weights.double()).sum().item() == pytest.approx(
            direct_error(weights, windows()), rel=1e-5
        )


def test_without_shrinkage_the_weights_are_those_of_least_squares():
    found = sums(deep, [linear] * 4, windows())
    weights = weights_from(found.covariance.sum(0), found.difference.sum(0), 0.0)
    best = direct_error(weights, windows())
    for change in (0.01, -0.01):
        assert direct_error((weights + change).clamp(0, 1), windows()) >= best - 1e-9


def test_weights_are_convex_and_shrink_to_the_best_one_for_all():
    covariance = torch.randn(3, 2, dtype=torch.float64) + 0.3
    difference = torch.rand(3, 2, dtype=torch.float64)
    for shrinkage in (0.0, 0.3, 3.0):
        weights = weights_from(100 * covariance, difference, shrinkage)
        assert ((weights >= 0) & (weights <= 1)).all()
    common = (covariance.sum() / difference.sum()).clamp(0, 1)
    weights = weights_from(covariance, difference, 1e9)
    torch.testing.assert_close(weights, common.expand(3, 2), rtol=0, atol=1e-3)


def test_equal_parts_give_finite_weights():
    zero = torch.zeros(3, 2, dtype=torch.float64)
    assert weights_from(zero, zero, 0.3).isfinite().all()


def from_folds(linear_error, covariance, difference):
    """Sums whose folds share nothing."""
    return Sums(
        linear_error=linear_error,
        covariance=covariance,
        difference=difference,
        rest_covariance=covariance.sum(0) - covariance,
        rest_difference=difference.sum(0) - difference,
    )


def of(linear_error, covariance, difference):
    def fill(numbers):
        return torch.tensor(numbers, dtype=torch.float64).view(-1, 1, 1).expand(-1, 3, 2)

    return from_folds(fill(linear_error), fill(covariance), fill(difference))


@pytest.mark.parametrize("rows", [240, 31, 12])
def test_weights_are_judged_on_targets_that_they_have_not_seen(rows):
    """Fold and rest, summed directly; at least a horizon lies between them."""
    part = windows(rows)
    found = sums(deep, [linear] * 4, part)
    x, y = part.gather(torch.arange(len(part)))
    b = linear(x)
    products = ((y - b) * (deep(x) - b)).double()
    count, folds = len(part), len(found.covariance)
    for fold in range(folds):
        start, stop = count * fold // folds, count * (fold + 1) // folds
        numbers = torch.arange(count)
        own = (numbers >= start) & (numbers < stop)
        apart = (numbers + 3 <= start) | (numbers >= stop - 1 + 3)
        torch.testing.assert_close(
            found.covariance[fold], products[own].sum(0), rtol=1e-5, atol=1e-5
        )
        torch.testing.assert_close(
            found.rest_covariance[fold], products[apart].sum(0), rtol=1e-5, atol=1e-5
        )


def test_two_parts_with_independent_errors_are_averaged():
    found = combine(of([2.0] * 4, [1.0] * 4, [2.0] * 4), 4)
    assert all(rule.startswith("shrinkage") for rule in found.rules)
    torch.testing.assert_close(found.weights, torch.full((3, 2), 0.5))


def test_the_better_part_alone_is_kept_where_combining_does_not_pay():
    assert combine(of([1.0] * 4, [-1.0] * 4, [2.0] * 4), 4).rules == ("linear",) * 4
    good = combine(of([4.0] * 4, [4.0] * 4, [4.0] * 4), 4)
    assert good.rules == ("deep",) * 4
    assert torch.equal(good.weights, torch.ones(3, 2))


def test_weights_that_fit_noise_in_every_fold_are_given_up():
    """Where the better part alone is better out of fold, it stays alone."""
    noise = torch.randn(4, 30, 20, dtype=torch.float64) - 0.2
    ones = torch.ones_like(noise)
    found = combine(from_folds(4 * ones, noise, ones), 4)
    assert found.rules == ("linear",) * 4
    assert torch.equal(found.weights, torch.zeros(30, 20))


@pytest.mark.parametrize(
    ("covariance", "mixtures"), [([-0.6, 0.6, 1.2, 0.5], 1), ([0.6, 0.3, 1.2, 0.5], 4)]
)
def test_the_choice_is_made_without_each_fold_and_averaged(covariance, mixtures):
    """Where one fold decides, the weights are in between: no jump from a mixture to a part alone."""
    sums_of = of([4.0] * 4, covariance, [2.0] * 4)
    found = combine(sums_of, 4)
    assert sum(rule != "linear" for rule in found.rules) == mixtures
    linear = sums_of.linear_error.sum((1, 2))
    shares = torch.stack([c.sum() / d.sum() for c, d in rests(sums_of)]).clamp(0, 1)
    mixed = sums_of.errors(shares[:, None, None].expand_as(sums_of.covariance))
    for fold, rule in enumerate(found.rules):
        others = [i for i in range(4) if i != fold]
        assert (rule == "linear") == bool(linear[others].sum() <= mixed[others].sum())
    whole = (sums_of.covariance.sum() / sums_of.difference.sum()).clamp(0, 1)
    torch.testing.assert_close(
        found.weights.double(), (whole * mixtures / 4).expand(3, 2), rtol=1e-5, atol=1e-6
    )


def rests(sums_of):
    return zip(sums_of.rest_covariance, sums_of.rest_difference, strict=True)


def test_a_single_window_is_combined_by_its_better_part():
    one = windows(7)
    assert len(one) == 1
    assert combine(sums(deep, [linear] * 4, one), 1).rules[0] in ("deep", "linear")


def test_absolute_errors_judge_each_rule_on_the_held_out_fold():
    of, own = windows(), torch.rand(4, 3, 2)
    rules = {"deep": torch.ones(3, 2), "linear": torch.zeros(3, 2), "by fold": own}
    made = absolute_errors(deep, [linear] * 4, of, rules)
    x, y = of.gather(torch.arange(len(of)))
    wanted = {"deep": (deep(x) - y).abs(), "linear": (linear(x) - y).abs()}
    for name, error in wanted.items():
        assert made[name].sum().item() == pytest.approx(error.sum().item(), rel=1e-5)
    edges = [len(of) * fold // 4 for fold in range(5)]
    for fold in range(4):
        part = slice(edges[fold], edges[fold + 1])
        a, b = deep(x[part]), linear(x[part])
        error = (b + own[fold] * (a - b) - y[part]).abs().sum().item()
        assert made["by fold"][fold].item() == pytest.approx(error, rel=1e-5)


def test_the_judge_decides_which_rule_is_followed():
    folds = sums(deep, [linear] * 4, windows())
    by_squares = combine(folds, len(windows()))

    def judge(rules):
        return {n: torch.full((4,), 0.0 if n == "linear" else 1.0) for n in rules}

    chosen = combine(folds, len(windows()), judge)
    assert set(chosen.rules) == {"linear"}
    assert chosen.weights.eq(0).all()
    assert set(by_squares.rules) != {"linear"}
