"""Recall: damaged patterns, completed."""

import pytest
import torch
from stanhop_app.datasets.images import load_images

from stanhop_app.theory.recall import FAMILY, cut_windows, damage, recall, standardise


@pytest.fixture(scope="module")
def digits():
    return standardise(torch.from_numpy(load_images("digits").pixels[:20, 0]).float().flatten(1))


def test_standardised_patterns_have_mean_0_and_norm_1(digits):
    torch.testing.assert_close(digits.mean(1), torch.zeros(20), atol=1e-6, rtol=0)
    torch.testing.assert_close(digits.norm(dim=1), torch.ones(20))
    with pytest.raises(ValueError, match="pattern 2 is constant"):
        standardise(torch.tensor([[1.0, 2.0], [3.0, 3.0]]))


def test_every_association_completes_a_half_masked_digit(digits):
    query = damage(digits[3], "mask", 0.5)
    assert (query[32:] == 0).all()
    torch.testing.assert_close(query[:32], digits[3, :32])
    found = recall(digits, query, beta=100.0, steps=4)
    assert [one.association for one in found] == list(FAMILY)
    for one in found:
        assert one.nearest == 3
        assert one.states.shape == (5, 64)
        assert (one.energies.diff() <= 1e-6).all()
        torch.testing.assert_close(one.states[0], query)
        assert one.similarities[-1, 3] > 0.99


def test_softmax1_leaves_a_query_unlike_all_to_the_no_op(digits):
    dense, outeff = recall(
        digits, -5 * digits.mean(0), beta=60.0, steps=1, associations=["softmax", "softmax1"]
    )
    assert dense.no_op == pytest.approx((0,), abs=1e-6)
    assert outeff.no_op[0] > 0.5


def test_windows_are_cut_evenly_and_constant_ones_left_out():
    series = torch.cat([torch.arange(20.0), torch.full((20,), 3.0)])
    windows = cut_windows(series, 8, 5)
    assert windows[:, 0].tolist() == [0, 8, 16]
    with pytest.raises(ValueError, match="a window needs 50 rows, the series has 40"):
        cut_windows(series, 50, 5)
    with pytest.raises(ValueError, match="has 0 windows that are not constant"):
        cut_windows(torch.ones(40), 8, 5)


def test_noise_has_the_norm_that_was_asked_for(digits):
    noisy = damage(digits[0], "noise", 0.7, seed=3)
    assert (noisy - digits[0]).norm().item() == pytest.approx(0.7, rel=1e-5)
    assert torch.equal(noisy, damage(digits[0], "noise", 0.7, seed=3))


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [("burn", 0.1, "mask, noise"), ("mask", 1.5, "at most 1"), ("noise", -1, "at least 0")],
)
def test_damage_that_cannot_be_is_said(digits, kind, amount, message):
    with pytest.raises(ValueError, match=message):
        damage(digits[0], kind, amount)
