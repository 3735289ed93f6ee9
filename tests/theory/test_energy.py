"""Energies: the papers' inequalities, golden numbers, and dynamics that go down."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.layers.association import ASSOCIATIONS
from stanhop_app.layers.retrieval import retrieve as retrieve_by_association
from stanhop_app.theory import energy as energies
from stanhop_app.theory.energy import (
    ENERGIES,
    association_energy,
    distance_energy,
    global_energy,
    mchn_energy,
    outeff_energy,
    retrieve,
)

PAPER = torch.tensor([[-2, -0.5], [0.2, -0.3], [1.5, 1.5]], dtype=torch.float64)
"""The patterns of the paper's figure 1."""

cases = given(
    seed=st.integers(0, 2**16),
    stored=st.integers(1, 12),
    width=st.integers(1, 6),
    beta=st.floats(0.05, 20),
    size=st.floats(0.1, 5),
)


def draw(seed, stored, width, size, inputs=5):
    generator = torch.Generator().manual_seed(seed)
    patterns = size * torch.randn(stored, width, generator=generator, dtype=torch.float64)
    x = size * torch.randn(inputs, width, generator=generator, dtype=torch.float64)
    return x, patterns


def nearest(x, patterns):
    return (x[:, None] - patterns).square().sum(-1).amin(-1)


def test_golden_numbers_of_the_paper():
    zero = torch.zeros(2, dtype=torch.float64)

    def near(found, wanted):
        torch.testing.assert_close(
            found, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=5e-7
        )

    near(distance_energy(PAPER, PAPER), [-0.007568, -0.014715, -0.007201])
    near(distance_energy(zero, PAPER), 0.101514)
    near(mchn_energy(PAPER, PAPER, 1.0), [1.212233, 2.391760, 1.088837])
    near(mchn_energy(zero, PAPER, 1.0), 2.25)
    near(mchn_energy(PAPER, PAPER, 2.0), [0.674244, 2.378107, 0.549260])


@cases
def test_proposition_1_for_every_beta(seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)
    found, g = distance_energy(x, patterns, beta), nearest(x, patterns)
    assert (found <= g + 1e-9).all()
    assert (found >= g - math.log(stored) / beta - 1e-9).all()


@cases
def test_propositions_2_and_3_with_the_corrected_sign(seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)
    norms = patterns.square().sum(-1)
    spread = norms.max() - norms.min()
    twice = 2 * mchn_energy(x, patterns, 2 * beta)
    gap = twice - math.log(stored) / beta - distance_energy(x, patterns, beta)
    assert (gap >= -1e-9).all()
    assert (gap <= spread + 1e-9).all()
    above = twice - nearest(x, patterns)
    assert (above >= -1e-9).all()
    assert (above <= spread + math.log(stored) / beta + 1e-9).all()


@cases
def test_on_a_sphere_the_two_energies_are_one(seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)
    patterns = size * patterns / patterns.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    if not torch.allclose(patterns.norm(dim=-1), patterns.norm(dim=-1)[0]):
        return
    gap = 2 * mchn_energy(x, patterns, 2 * beta) - distance_energy(x, patterns, beta)
    torch.testing.assert_close(gap, torch.full_like(gap, math.log(stored) / beta))


@cases
def test_soft_minimum_and_its_lipschitz_constant(seed, stored, width, beta, size):
    x, other = draw(seed, stored, width, size, inputs=stored)
    found = global_energy(x)
    assert (found <= x.amin(0) + 1e-12).all()
    assert (found >= x.amin(0) - math.log(stored) - 1e-12).all()
    assert ((found - global_energy(other)).abs() <= (x - other).abs().amax(0) + 1e-12).all()


@cases
def test_distances_do_not_depend_on_the_origin(seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)
    torch.testing.assert_close(
        distance_energy(x + 3, patterns + 3, beta), distance_energy(x, patterns, beta)
    )


@pytest.mark.parametrize("name", ENERGIES)
@cases
def test_no_step_raises_an_energy(name, seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)
    before = ENERGIES[name](x, patterns, beta)
    for _ in range(4):
        x = retrieve(x, patterns, beta, name)
        after = ENERGIES[name](x, patterns, beta)
        assert (after <= before + 1e-9 * (1 + before.abs())).all()
        before = after


@pytest.mark.parametrize("association", ASSOCIATIONS)
@cases
def test_no_step_raises_the_energy_of_an_association(association, seed, stored, width, beta, size):
    x, patterns = draw(seed, stored, width, size)

    def of(state):
        return association_energy(state, patterns, beta, association=association)

    before = of(x)
    for _ in range(3):
        x = retrieve_by_association(patterns, x, association=association, beta=beta)
        after = of(x)
        assert (after <= before + 1e-6 * (1 + before.abs())).all()
        before = after


@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_gradients_are_the_step(association):
    x, patterns = draw(3, 5, 4, 1.0)
    x.requires_grad_()
    energy = association_energy(x, patterns, 1.7, association=association).sum()
    (gradient,) = torch.autograd.grad(energy, x)
    step = retrieve_by_association(patterns, x, association=association, beta=1.7)
    torch.testing.assert_close(gradient, x - step, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ENERGIES)
def test_gradients_are_the_dynamics(name):
    """A gradient step of length 1 (of 1/2 for squared distances) is a retrieval step."""
    x, patterns = draw(4, 5, 4, 1.0)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(ENERGIES[name](x, patterns, 0.8).sum(), x)
    factor = 2 if name == "distance" else 1
    wanted = factor * (x - retrieve(x, patterns, 0.8, name))
    torch.testing.assert_close(gradient, wanted)


def test_far_from_all_patterns_outeff_is_half_the_squared_norm():
    x, patterns = torch.zeros(3), -10 * torch.eye(3)
    assert outeff_energy(x, patterns, 50.0).item() == pytest.approx(-math.log(4) / 50)
    far = torch.full((3,), 1.0)
    assert outeff_energy(far, patterns, 50.0).item() == pytest.approx(1.5)


def test_chunks_do_not_change_the_result(monkeypatch):
    x, patterns = draw(5, 7, 3, 1.0, inputs=50)
    x = x.reshape(5, 10, 3)
    whole = [e(x, patterns, 2.0) for e in ENERGIES.values()] + [retrieve(x, patterns, 2.0)]
    monkeypatch.setattr(energies, "LARGEST_CHUNK", 14)
    parts = [e(x, patterns, 2.0) for e in ENERGIES.values()] + [retrieve(x, patterns, 2.0)]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_no_inputs_have_no_energy():
    assert distance_energy(torch.zeros(0, 2), torch.zeros(3, 2)).shape == (0,)


@pytest.mark.parametrize(
    ("x", "patterns", "beta", "message"),
    [
        (torch.zeros(2), torch.zeros(3, 4), 1.0, "one width"),
        (torch.zeros(2), torch.zeros(0, 2), 1.0, "at least one"),
        (torch.zeros(2), torch.zeros(2), 1.0, "stored, width"),
        (torch.zeros(2), torch.zeros(3, 2), 0.0, "beta must be above 0"),
        (torch.zeros(2), torch.full((3, 2), float("nan")), 1.0, "patterns holds values"),
        (torch.full((2,), float("inf")), torch.zeros(3, 2), 1.0, "x holds values"),
    ],
)
def test_what_cannot_be_is_said(x, patterns, beta, message):
    for energy in ENERGIES.values():
        with pytest.raises(ValueError, match=message):
            energy(x, patterns, beta)
    with pytest.raises(ValueError, match=message):
        retrieve(x, patterns, beta)


def test_unknown_names_are_said():
    with pytest.raises(ValueError, match="distance, mchn, outeff"):
        retrieve(torch.zeros(2), torch.zeros(3, 2), energy="other")
    with pytest.raises(ValueError, match="steps must be"):
        retrieve(torch.zeros(2), torch.zeros(3, 2), steps=-1)
