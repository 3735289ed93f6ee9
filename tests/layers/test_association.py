"""Laws of the associations."""

import math

import entmax as peer
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.layers import ASSOCIATIONS, clip, entmax, entmax15, softmax, softmax1, sparsemax
from stanhop_app.layers.association import find_association

NAMES = [name for name in ASSOCIATIONS if name != "entmax"]
SCALES = [1e-5, 0.5, 10.0, 1e4]


def scores(seed: int, shape: tuple[int, ...], scale: float, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def direct_softmax1(z: torch.Tensor, n: float = 1.0) -> torch.Tensor:
    """The defining formula, safe only for moderate scores."""
    return z.exp() / (n + z.exp().sum(-1, keepdim=True))


@given(st.integers(0, 99), st.integers(0, 7), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_softmax1_is_its_defining_formula(seed, size, n):
    z = scores(seed, (3, size), 3.0)
    if n == 0 and size == 0:
        return
    torch.testing.assert_close(softmax1(z, n=n), direct_softmax1(z, n))


@given(st.integers(0, 99), st.sampled_from(SCALES))
def test_softmax1_is_softmax_with_a_zero_score_dropped(seed, scale):
    z = scores(seed, (4, 6), scale)
    zero = torch.zeros(4, 1, dtype=z.dtype)
    assert torch.equal(softmax1(z), torch.softmax(torch.cat([zero, z], -1), -1)[:, 1:])


def test_softmax1_is_softmax_shrunk_by_its_mass():
    z = scores(0, (4, 6), 2.0)
    mass = torch.sigmoid(torch.logsumexp(z, -1, keepdim=True))
    torch.testing.assert_close(softmax1(z), mass * softmax(z))


@given(st.integers(0, 99), st.sampled_from([0.3, 1.0, 5.0]))
def test_the_jacobian_of_softmax1_has_the_form_of_that_of_softmax(seed, n):
    z = scores(seed, (6,), 2.0)
    p = softmax1(z, n=n)
    jacobian = torch.autograd.functional.jacobian(lambda x: softmax1(x, n=n), z)
    torch.testing.assert_close(jacobian, torch.diag(p) - torch.outer(p, p))


def test_n_per_row_is_n_on_every_row():
    z = scores(3, (2, 3, 6), 2.0)
    n = torch.tensor([0.2, 1.0, 7.0], dtype=torch.float64).view(3, 1)
    found = softmax1(z, log_n=n.log())
    for row in range(3):
        torch.testing.assert_close(found[:, row], softmax1(z[:, row], n=float(n[row])))


def test_softmax1_without_no_op_is_softmax():
    z = scores(1, (4, 6), 2.0)
    assert torch.equal(softmax1(z, n=0.0), softmax(z))


def test_softmax1_refuses_a_negative_number_of_no_ops():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        softmax1(torch.zeros(2), n=-1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("level", [-1e4, -100.0, -89.0, 0.0, 1e4])
def test_softmax1_is_finite_with_finite_gradients_at_any_level(dtype, level):
    """The papers' code gives NaN gradients below -89."""
    z = torch.full((2, 5), level, dtype=dtype, requires_grad=True)
    weights = softmax1(z)
    weights.float().square().sum().backward()
    assert weights.isfinite().all()
    assert z.grad.isfinite().all()


def test_softmax1_of_a_fully_masked_row_is_zero_with_gradient_zero():
    z = torch.full((1, 4), -math.inf, requires_grad=True)
    weights = softmax1(z)
    weights.sum().backward()
    assert torch.equal(weights, torch.zeros(1, 4))
    assert torch.equal(z.grad, torch.zeros(1, 4))


def test_softmax1_is_not_invariant_to_shifts_and_the_others_are():
    z = scores(2, (3, 5), 1.0)
    assert not torch.allclose(softmax1(z + 1), softmax1(z))
    for name in NAMES:
        if name != "softmax1":
            torch.testing.assert_close(ASSOCIATIONS[name](z + 1), ASSOCIATIONS[name](z))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 99), scale=st.sampled_from(SCALES), dim=st.sampled_from([0, 1, -1]))
def test_weights_are_non_negative_and_sum_to_at_most_one(name, seed, scale, dim):
    weights = ASSOCIATIONS[name](scores(seed, (4, 5, 6), scale), dim)
    total = weights.sum(dim)
    assert (weights >= 0).all()
    assert (total <= 1 + 1e-9).all()
    if name != "softmax1":
        torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    z = scores(3, (3, 5), 1.0).requires_grad_()
    for dim in (0, 1):
        assert torch.autograd.gradcheck(lambda x, d=dim: ASSOCIATIONS[name](x, d), (z,))


def test_entmax_has_a_gradient_in_scores_and_alpha():
    z = scores(4, (2, 3, 4), 1.0).requires_grad_()
    alpha = torch.tensor([1.3, 1.7], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, a: entmax(x, a), (z, alpha))


def test_entmax_meets_softmax_entmax15_and_sparsemax():
    z = scores(5, (4, 6), 2.0)
    torch.testing.assert_close(entmax(z, 1.0), softmax(z))
    for alpha, rule in ((1.5, entmax15), (2.0, sparsemax)):  # a tensor is bisected
        torch.testing.assert_close(entmax(z, torch.tensor(alpha)), rule(z), rtol=0, atol=1e-6)
        assert torch.equal(entmax(z, alpha), rule(z))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_weights_are_those_of_the_package_entmax(dim):
    z = 3 * scores(6, (7, 9, 5), 1.0).float()
    assert torch.equal(sparsemax(z, dim), peer.sparsemax(z, dim))
    assert torch.equal(entmax15(z, dim), peer.entmax15(z, dim))
    for alpha in (1.01, 1.2, 1.7, 3.0):
        wanted = peer.entmax_bisect(z.double(), alpha, dim)
        torch.testing.assert_close(entmax(z, alpha, dim).double(), wanted, rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of forward mode
@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_are_the_same_in_every_order_of_modes(name):
    z = scores(8, (6,), 0.5)
    forward, reverse = torch.func.jacfwd, torch.func.jacrev
    modes = [(forward, reverse), (reverse, forward), (reverse, reverse)]
    made = [outer(inner(ASSOCIATIONS[name]))(z) for outer, inner in modes]
    if name in ("sparsemax", "entmax15"):
        with pytest.raises(NotImplementedError, match="forward mode of forward mode"):
            forward(forward(ASSOCIATIONS[name]))(z)
    assert made[0].abs().max() > 1e-3 or name == "sparsemax"  # which is made of straight pieces
    for other in made[1:]:
        torch.testing.assert_close(other, made[0])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_spreads_and_stops_nothing(name):
    z = scores(9, (2, 4), 1.0)
    z[0, 1] = float("nan")
    weights = ASSOCIATIONS[name](z)
    assert weights[0].isnan().any()
    assert torch.equal(weights[1], ASSOCIATIONS[name](z[1]))


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_are_those_of_finite_differences(name):
    """Also where weights are exact zeros, whose powers are none."""
    z = scores(7, (3, 6), 2.0).requires_grad_()
    assert torch.autograd.gradgradcheck(ASSOCIATIONS[name], (z,))
    if name == "entmax":
        alpha = torch.tensor([[1.2], [1.4], [1.9]], dtype=torch.float64, requires_grad=True)
        assert (entmax(z, alpha) == 0).any()
        assert torch.autograd.gradcheck(entmax, (z, alpha), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(entmax, (z, alpha))


@pytest.mark.parametrize("alpha", [0.5, 1.001, float("nan"), torch.tensor([1.5, 1.0])])
def test_entmax_refuses_alpha_below_one_and_too_near_to_it(alpha):
    with pytest.raises(ValueError, match="alpha must be 1 or at least 1.01, got"):
        entmax(torch.zeros(2, 2), alpha)


SPARSE = {"sparsemax": sparsemax, "entmax15": entmax15, "entmax": lambda z: entmax(z, 1.3)}


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("level", [0.0, 100.0, -1e3, 1e4])
@pytest.mark.parametrize(
    ("dtype", "room"), [(torch.float32, 2e-3), (torch.float16, 2e-3), (torch.bfloat16, 8e-3)]
)
def test_sparse_rules_are_exact_at_any_level_in_any_dtype(name, level, dtype, room):
    z = (scores(6, (64, 32), 1.0) + level).to(dtype).requires_grad_()
    weights = SPARSE[name](z)
    wanted = SPARSE[name](z.detach().double())
    torch.testing.assert_close(weights.double(), wanted, rtol=room, atol=room)
    weights.float().square().sum().backward()
    assert z.grad.isfinite().all()


def test_clip_gives_exact_zeros_and_ones():
    weights = torch.tensor([0.0, 0.02, 0.5, 0.99, 1.0])
    clipped = clip(weights, gamma=-0.1, zeta=1.1)
    assert clipped[0] == 0
    assert clipped[1] == 0
    assert clipped[-1] == 1
    torch.testing.assert_close(clipped[2], torch.tensor(0.5))
    torch.testing.assert_close(clip(weights, 0.0), weights)


@pytest.mark.parametrize("bounds", [(0.1, 1.0), (-0.1, 0.9)])
def test_clip_refuses_bounds_inside_the_unit_interval(bounds):
    with pytest.raises(ValueError, match="gamma <= 0 and zeta >= 1"):
        clip(torch.zeros(2), *bounds)


def test_an_unknown_association_is_answered_with_the_list():
    with pytest.raises(ValueError, match="softmax, softmax1, sparsemax, entmax15, entmax"):
        find_association("softmax2")
