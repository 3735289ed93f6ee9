"""An association from outside is one entry: retrieval and energy follow its definition and its laws."""

import math
from functools import partial

import pytest
import torch

from stanhop_app.layers.association import ASSOCIATIONS, Association, entmax
from stanhop_app.layers.hopfield import Hopfield
from stanhop_app.layers.retrieval import associate, retrieve
from stanhop_app.theory.energy import association_energy

BIAS = 3.0


def lazy(scores, dim=-1):
    """A rule of somebody's: softmax with no-op classes of total weight e^3; it is not invariant to shifts."""
    top = scores.amax(dim, keepdim=True).clamp_min(BIAS)
    weights = (scores - top).exp()
    return weights / (weights.sum(dim, keepdim=True) + (BIAS - top).exp())


def lazy_conjugate(scores):
    return torch.logaddexp(torch.logsumexp(scores, -1), torch.tensor(BIAS, dtype=scores.dtype))


def sharp_conjugate(scores, alpha=1.3):
    weights = entmax(scores, alpha=alpha)
    entropy = (1 - weights.pow(alpha).sum(-1)) / (alpha * (alpha - 1))
    return (weights * scores).sum(-1) + entropy


NEW = {
    "lazy": Association(function=lazy, conjugate=lazy_conjugate, shift_invariant=False),
    "sharp": Association(
        function=lambda z, dim=-1: entmax(z, alpha=1.3, dim=dim),
        conjugate=sharp_conjugate,
        shift_invariant=True,
    ),
}


@pytest.fixture(params=NEW)
def name(request, monkeypatch):
    monkeypatch.setitem(ASSOCIATIONS, request.param, NEW[request.param])
    return request.param


@pytest.fixture
def given():
    generator = torch.Generator().manual_seed(4)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    return draw(2, 2, 5, 8), draw(2, 2, 7, 8), draw(2, 2, 7, 3)


def test_retrieval_is_the_definition(name, given):
    query, key, value = given
    weights = NEW[name].function(2.0 * query @ key.transpose(-1, -2))
    found, used = associate(*given, association=name, beta=2.0, return_weights=True)
    torch.testing.assert_close(used, weights)
    torch.testing.assert_close(found, weights @ value)


def test_a_mask_that_hides_nothing_changes_nothing(name, given):
    """A rule that is not invariant to shifts must not be shifted."""
    everything = torch.ones(2, 2, 5, 7, dtype=torch.bool)
    plain = associate(*given, association=name)
    torch.testing.assert_close(associate(*given, association=name, mask=everything), plain)


def test_what_is_hidden_is_as_if_it_were_not_stored(name, given):
    query, key, value = given
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    mask[..., 4:] = False
    hidden = associate(*given, association=name, mask=mask)
    without = associate(query, key[:, :, :4], value[:, :, :4], association=name)
    torch.testing.assert_close(hidden, without)
    nothing = associate(*given, association=name, mask=torch.zeros_like(mask))
    assert (nothing == 0).all()


def test_its_energy_has_the_gradient_of_the_definition(name):
    generator = torch.Generator().manual_seed(1)
    stored = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    energy = association_energy(x, stored, 1.7, association=name)
    definition = x.square().sum(-1) / 2 - NEW[name].conjugate(1.7 * x @ stored.T) / 1.7
    torch.testing.assert_close(energy, definition)
    (gradient,) = torch.autograd.grad(energy.sum(), x)
    moved = NEW[name].function(1.7 * x @ stored.T) @ stored
    torch.testing.assert_close(gradient, x - moved, rtol=1e-5, atol=1e-6)


def test_its_steps_never_raise_its_energy(name):
    generator = torch.Generator().manual_seed(2)
    stored, state = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (6, 9))
    for _ in range(6):
        after = retrieve(stored, state, association=name, beta=1.5)
        change = association_energy(after, stored, 1.5, association=name) - association_energy(
            state, stored, 1.5, association=name
        )
        assert change.max() < 1e-9
        state = after


def test_a_layer_learns_with_it(name):
    layer = Hopfield(8, 2, association=name)
    layer(torch.randn(2, 5, 8)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_the_laws_that_stand_in_the_registry_hold(name):
    """Of those that come with the package: shifts, and the conjugate's gradient."""
    known = ASSOCIATIONS[name]
    own = known.own(alpha=1.4, n=2.0, log_n=None)
    z = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    weights = known(z, **own)
    shifted = (known(z + 1.5, **own) - weights).abs().max().item()
    assert (shifted < 1e-9) == known.shift_invariant
    (gradient,) = torch.autograd.grad(known.conjugate(z, **own).sum(), z)
    torch.testing.assert_close(gradient, weights, rtol=1e-5, atol=1e-6)
    if known.fused:
        more = torch.full((4, 1), math.log(2.0), dtype=z.dtype)
        scores = torch.cat([more, z], -1) if "n" in known.options else z
        torch.testing.assert_close(torch.softmax(scores, -1)[:, -6:], weights)


def test_no_op_classes_of_one_that_takes_them_may_be_none(monkeypatch, given):
    """By its options, not by its name."""
    monkeypatch.setitem(ASSOCIATIONS, "mine", ASSOCIATIONS["softmax1"])
    for fused in (True, False):
        found = associate(*given, association="mine", n=0.0, fused=fused)
        torch.testing.assert_close(found, associate(*given, association="softmax"))
    with pytest.raises(ValueError, match='n is an option of "softmax1", "mine" only'):
        associate(*given, association="softmax", n=2.0)
