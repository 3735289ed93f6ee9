"""What a memory is sure to store, beside what it does."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stanhop_app.errors import OptionError
from stanhop_app.theory.energy import retrieve
from stanhop_app.theory.storage import (
    STARTS,
    least_angle,
    log_capacity,
    published_base,
    random_patterns,
    settles,
    storage,
)


@given(
    dim=st.integers(3, 12),
    count=st.integers(2, 12),
    norm=st.floats(1.0, 8.0),
    share=st.floats(0.1, 0.9),
    n=st.sampled_from([0.0, 1.0, 16.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_no_start_in_a_ball_errs_more_than_is_said(dim, count, norm, share, n, seed):
    """The bounds on error and slope hold at random points of the balls; the slope by autograd."""
    patterns = random_patterns(count, dim, norm, seed=seed)
    told = storage(patterns, 1.0, n=n, share=share)
    ways = random_patterns(count, dim, told.radius, seed=seed + 1)

    def step(x):
        weights = (x @ patterns.T).exp()
        return weights @ patterns / (n + weights.sum())

    for number, (pattern, way) in enumerate(zip(patterns, ways, strict=True)):
        start = pattern + way
        error = float((step(start) - pattern).norm())
        assert error <= float(told.error[number]) * (1 + 1e-9) + 1e-13 * norm
        slope = torch.autograd.functional.jacobian(step, start)
        norm_of = float(torch.linalg.matrix_norm(slope, ord=2))
        assert norm_of <= float(told.slope[number]) * (1 + 1e-9) + 1e-13 * norm**2


@given(
    dim=st.integers(4, 24),
    count=st.integers(2, 20),
    norm=st.floats(3.0, 12.0),
    share=st.floats(0.2, 0.8),
    n=st.sampled_from([0.0, 1.0, 16.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_what_is_sure_is_so(dim, count, norm, share, n, seed):
    patterns = random_patterns(count, dim, norm, seed=seed)
    sure = storage(patterns, 1.0, n=n, share=share).stored
    found = settles(patterns, 1.0, n=n, share=share, seed=seed)
    assert not bool((sure & ~found).any())


def test_most_of_what_is_tried_says_something():
    """Some patterns are sure, some are stored without, some are not: the tests above see all three."""
    few, many = (random_patterns(count, 8, 4.0, seed=0) for count in (4, 250))
    assert bool(storage(few, 1.0).stored.all())
    assert float(storage(many, 1.0).stored.double().mean()) < 0.1
    assert bool(settles(random_patterns(24, 8, 4.0, seed=0), 1.0).all())
    assert not bool(settles(many, 1.0).all())


@pytest.mark.parametrize("energy", ["mchn", "outeff"])
def test_it_is_the_memory_of_the_energies(energy):
    """Starts end where the dynamics of the energy take them."""
    patterns = random_patterns(6, 8, 4.0, seed=1)
    n = 1.0 if energy == "outeff" else 0.0
    assert bool(settles(patterns, 1.0, n=n).all())
    told = storage(patterns, 1.0, n=n)
    starts = patterns + random_patterns(6, 8, told.radius, seed=2)
    ends = retrieve(starts, patterns, 1.0, energy, steps=200)
    fixed = retrieve(ends, patterns, 1.0, energy)
    torch.testing.assert_close(ends, fixed)
    assert bool(((ends - patterns).norm(dim=1) <= told.radius).all())


def test_the_middle_of_two_patterns_lies_in_both_of_the_papers_balls():
    """At a share of 1 the two nearest patterns are not stored, however cold the memory is."""
    pair = torch.tensor([[3.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    middle = retrieve(pair.mean(0, keepdim=True), pair, 1e4, "mchn", steps=50)
    torch.testing.assert_close(middle, pair.mean(0, keepdim=True))
    with pytest.raises(OptionError, match="0 < share < 1"):
        storage(pair, 1.0, share=1.0)
    assert bool(settles(pair, 50.0, share=0.9).all())


def test_a_no_op_takes_short_patterns_away():
    """Where scores are near 0 a query retrieves nothing; the dense memory has no such choice."""
    short = random_patterns(2, 4, 1.7, seed=0)
    assert bool(settles(short, 2.0, n=0.0).all())
    assert not bool(settles(short, 2.0, n=1000.0).any())


def test_capacities_as_published():
    """The examples of theorem 3 of Ramsauer et al.: c = 3.1546 and 1.3718."""
    assert published_base(20, beta=1, scale=3, failure=0.001) == pytest.approx(3.1546, abs=5e-5)
    assert published_base(75, beta=1, scale=1, failure=0.001) == pytest.approx(1.3718, abs=1e-4)


def test_angles_in_space_are_those_of_caps():
    """In three dimensions a cap of angle t is (1 - cos t) / 2 of the sphere."""
    pairs = 100 * 99 / 2
    angle = least_angle(3, math.log(100), 0.01)
    assert (1 - math.cos(angle)) / 2 == pytest.approx(0.01 / pairs, rel=1e-9)
    for seed in range(20):
        points = random_patterns(100, 3, 1.0, seed=seed)
        cosines = (points @ points.T).fill_diagonal_(-1)
        assert float(cosines.max()) < math.cos(least_angle(3, math.log(100), 1e-3))


def test_angles_of_more_patterns_than_a_float_holds():
    """Beyond the cap's own function a bound goes on below it, and on the sure side."""
    angles = [least_angle(3000, count, 0.5) for count in (250, 300, 303, 400, 500)]
    assert all(one > other > 0.5 for one, other in pairwise(angles))
    # sin t is about exp(-2 ln M / (d - 1)) there.
    assert math.sin(angles[-1]) == pytest.approx(math.exp(-1000 / 2999), rel=0.01)
    small, large = (
        log_capacity(dim, norm=1.5 * (dim - 1) ** 0.5, beta=1.0, failure=0.5)
        for dim in (2000, 2500)
    )
    assert large - small == pytest.approx(small / 4, rel=0.05)


def test_a_capacity_is_kept():
    """As many random patterns as are said to be sure are sure by themselves, set by set."""
    for dim, norm in ((8, 8.0), (16, 12.0)):
        count = int(math.exp(log_capacity(dim, norm=norm, beta=1.0, failure=0.05)))
        assert count > 2
        for seed in range(10):
            patterns = random_patterns(count, dim, norm, seed=seed)
            # The radius of these is larger than that of the worst case: their own conditions say it too.
            assert bool(storage(patterns, 1.0).stored.all())


def test_capacities_rise_with_dimension_temperature_and_norm_and_fall_with_the_no_op():
    usual = {"dim": 16, "norm": 6.0, "beta": 1.0, "n": 1.0}

    def log(**other):
        return log_capacity(**{**usual, **other})

    assert log(dim=32) > log() > log(dim=8)
    assert log(beta=2.0) > log() > log(beta=0.7)
    assert log(norm=9.0) > log() > log(norm=5.0)
    short = {"dim": 4, "norm": 1.5 * 3**0.5, "failure": 0.5}
    assert log(n=0.0, **short) > log(n=1.0, **short) > log(n=16.0, **short)
    assert log(norm=0.1) == -math.inf
    # Exponential: twice the dimensions at the same cosines more than square it.
    assert log(dim=64, norm=12.0) > 2 * log(dim=32, norm=12.0 / 2**0.5)


def test_what_cannot_be_is_said():
    two = random_patterns(2, 4, 1.0, seed=0)
    with pytest.raises(OptionError, match="two patterns are one"):
        storage(torch.cat([two, two[:1]]), 1.0)
    with pytest.raises(OptionError, match="needs two at least"):
        settles(two[:1], 1.0)
    with pytest.raises(OptionError, match="beta > 0"):
        storage(two, 0.0)
    with pytest.raises(OptionError, match="dim >= 2"):
        log_capacity(1, norm=1.0, beta=1.0)
    assert STARTS >= 2
