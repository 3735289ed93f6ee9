"""Laws of retrieval: one function, several routes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.layers import ASSOCIATIONS, associate, retrieve


def patterns(seed=0, batch=2, heads=3, queries=5, stored=7, width=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(queries, width), (stored, width), (stored, width)]
    return [torch.randn(batch, heads, *shape, generator=generator, dtype=dtype) for shape in shapes]


def test_softmax_is_scaled_dot_product_attention():
    q, k, v = patterns()
    torch.testing.assert_close(
        associate(q, k, v, association="softmax"), F.scaled_dot_product_attention(q, k, v)
    )


def test_softmax1_is_attention_on_keys_and_values_with_a_zero_row():
    q, k, v = patterns()
    wanted = F.scaled_dot_product_attention(q, F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1)))
    torch.testing.assert_close(associate(q, k, v, association="softmax1"), wanted)


@pytest.mark.parametrize("association", ["softmax", "softmax1"])
@pytest.mark.parametrize("is_causal", [False, True])
@given(
    seed=st.integers(0, 50), share=st.sampled_from([None, 0.0, 0.3, 1.0]), stored=st.integers(1, 80)
)
def test_the_fused_route_equals_explicit_weights(association, is_causal, seed, share, stored):
    q, k, v = patterns(seed, stored=stored, dtype=torch.float32)
    mask = None if share is None else torch.rand(2, 3, 5, stored) < share
    options = {"association": association, "mask": mask, "is_causal": is_causal}
    explicit, weights = associate(q, k, v, **options, return_weights=True)
    routed = associate(q, k, v, **options, fused=True)
    torch.testing.assert_close(routed, explicit, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weights @ v, explicit)


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
@pytest.mark.parametrize("fused", [False, True])
def test_a_query_that_may_retrieve_nothing_gets_zero_with_gradient_zero(association, fused):
    if fused and association not in ("softmax", "softmax1"):
        return
    q, k, v = (x.requires_grad_() for x in patterns())
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    out = associate(q, k, v, association=association, mask=mask, fused=fused)
    assert torch.equal(out[:, :, 2], torch.zeros_like(out[:, :, 2]))
    out.square().sum().backward()
    assert torch.equal(q.grad[:, :, 2], torch.zeros_like(q.grad[:, :, 2]))
    for x in (q, k, v):
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
@pytest.mark.parametrize("groups", [1, 3])
def test_an_empty_memory_gives_zero_with_gradient_zero(association, groups):
    q, k, v = (x.requires_grad_() for x in patterns(stored=0))
    mask = torch.ones(5, 0, dtype=torch.bool)
    for options in ({}, {"mask": mask}, {"is_causal": True}):
        out = associate(q, k[:, :groups], v[:, :groups], association=association, **options)
        assert torch.equal(out, torch.zeros(2, 3, 5, 4, dtype=torch.float64))
        (gradient,) = torch.autograd.grad(out.sum(), q)
        assert not gradient.any()


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
def test_masked_patterns_do_not_matter(association):
    q, k, v = patterns()
    mask = torch.ones(7, dtype=torch.bool)
    mask[3:5] = False
    out = associate(q, k, v, association=association, mask=mask)
    kept = associate(q, k[:, :, mask], v[:, :, mask], association=association)
    torch.testing.assert_close(out, kept)


@pytest.mark.parametrize("association", ["softmax", "softmax1", "entmax15"])
@pytest.mark.parametrize("shape", [(), (1,), (90,), (5, 1), (1, 90), (2, 1, 5, 90), (3, 1, 1)])
def test_masks_of_every_shape_that_broadcasts_are_taken(association, shape):
    q, k, v = patterns(stored=90)
    mask = torch.rand(shape) < 0.6
    full = mask.expand(2, 3, 5, 90)
    torch.testing.assert_close(
        associate(q, k, v, association=association, mask=mask),
        associate(q, k, v, association=association, mask=full, return_weights=True)[0],
    )


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
def test_a_causal_query_sees_no_later_pattern(association):
    q, k, v = patterns(queries=7)
    out = associate(q, k, v, association=association, is_causal=True)
    k[:, :, 4:], v[:, :, 4:] = 9.0, -9.0
    later = associate(q, k, v, association=association, is_causal=True)
    torch.testing.assert_close(out[:, :, :4], later[:, :, :4])
    assert not torch.allclose(out[:, :, 4:], later[:, :, 4:])


@pytest.mark.parametrize("clip", [None, (-0.05, 1.0)])
@pytest.mark.parametrize("association", ["softmax", "softmax1", "sparsemax", "entmax15"])
def test_gradients_are_those_of_finite_differences(association, clip):
    q, k, v = (x.requires_grad_() for x in patterns(batch=1, heads=1, queries=2, stored=3))

    def retrieve(*x):
        return associate(*x, association=association, clip=clip)

    assert torch.autograd.gradcheck(retrieve, (q, k, v))


@given(
    seed=st.integers(0, 1000),
    stored=st.integers(1, 12),
    width=st.integers(1, 8),
    beta=st.floats(1e-3, 1e2),
    n=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    size=st.sampled_from([1e-5, 1.0, 1e2]),
)
def test_retrieval_never_raises_the_energy_at_any_step(seed, stored, width, beta, n, size):
    """CCCP: x -> Xi A(beta Xi^T x) lowers -1/b log(n + sum exp(b <xi, x>)) + |x|^2 / 2."""
    generator = torch.Generator().manual_seed(seed)
    memory = size * torch.randn(stored, width, generator=generator, dtype=torch.float64)
    x = 3 * size * torch.randn(20, width, generator=generator, dtype=torch.float64)

    def energy(state):
        scores = beta * state @ memory.T
        if n:
            scores = F.pad(scores, (0, 1), value=math.log(n))
        return -torch.logsumexp(scores, -1) / beta + state.square().sum(-1) / 2

    before = energy(x)
    for steps in range(1, 8):
        after = energy(retrieve(memory, x, beta=beta, n=n, steps=steps))
        assert (after <= before + 1e-9 * (1 + before.abs())).all()
        before = after


@given(seed=st.integers(0, 200), n=st.sampled_from([0.0, 1.0, 4.0]), beta=st.floats(0.01, 10.0))
def test_the_energy_falls_towards_what_is_retrieved(seed, n, beta):
    """Grad H(x) = x - Xi A(beta Xi^T x): a fixed point of the one is a stationary point of the other."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    scores = beta * x @ memory.T
    if n:
        scores = F.pad(scores, (0, 1), value=math.log(n))
    energy = (-torch.logsumexp(scores, -1) / beta + x.square().sum(-1) / 2).sum()
    (gradient,) = torch.autograd.grad(energy, x)
    torch.testing.assert_close(gradient, x - retrieve(memory, x, beta=beta, n=n))


@pytest.mark.parametrize("seed", range(5))
def test_the_energy_is_bounded_below_by_that_of_the_longest_pattern(seed):
    """H(x) >= -log(n + S) / beta - max |xi|^2 / 2."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    x = 10 * torch.randn(100, 4, generator=generator, dtype=torch.float64)
    scores = F.pad(2.0 * x @ memory.T, (0, 1))
    energy = -torch.logsumexp(scores, -1) / 2.0 + x.square().sum(-1) / 2
    assert (energy >= -math.log(8) / 2.0 - memory.square().sum(-1).max() / 2).all()


def test_of_one_pattern_softmax1_misses_what_its_no_op_takes():
    """The bound of the paper is on the worst case: here softmax makes no error, softmax1 this one."""
    pattern, x = torch.randn(1, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    error = (retrieve(pattern, x, beta=0.5) - pattern).norm(dim=-1)
    wanted = pattern.norm() / (1 + (0.5 * x @ pattern[0]).exp())
    torch.testing.assert_close(error, wanted)
    exact = retrieve(pattern, x, beta=0.5, association="softmax")
    torch.testing.assert_close(exact, pattern.expand(3, 5))


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
def test_many_steps_come_to_a_fixed_point_and_a_tolerance_stops_there(association):
    stored, x = torch.randn(9, 6, dtype=torch.float64), torch.randn(50, 6, dtype=torch.float64)
    options = {"association": association, "beta": 1.5}
    rest = retrieve(stored, x, steps=3000, tolerance=1e-10, **options)
    torch.testing.assert_close(retrieve(stored, rest, **options), rest, rtol=0, atol=1e-8)


def test_a_query_at_rest_stays_whatever_else_is_asked():
    stored = 8 * torch.eye(4, dtype=torch.float64)
    near, far = stored[:1] + 0.1, torch.full((1, 4), 1.0, dtype=torch.float64)
    options = {"beta": 0.3, "steps": 30, "tolerance": 1e-3}
    together = retrieve(stored, torch.cat([near, far]), **options)
    apart = torch.cat([retrieve(stored, x, **options) for x in (near, far)])
    assert torch.equal(together, apart)


def test_no_steps_leave_the_query():
    stored, x = torch.randn(9, 6), torch.randn(5, 6)
    assert torch.equal(retrieve(stored, x, steps=0), x)


def test_batches_of_memories_and_masks_are_those_one_by_one():
    stored, x = torch.randn(2, 3, 9, 6), torch.randn(2, 3, 5, 6)
    mask = torch.rand(3, 1, 9) < 0.5
    found = retrieve(stored, x, mask=mask, steps=2)
    for i in range(2):
        for j in range(3):
            kept = stored[i, j, mask[j, 0]]
            torch.testing.assert_close(found[i, j], retrieve(kept, x[i, j], steps=2))


def test_an_empty_memory_is_forgotten_at_once():
    assert not retrieve(torch.zeros(0, 6), torch.randn(5, 6), steps=3).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("level", [-1e4, -100.0, 1e4])
@pytest.mark.parametrize("stored", [3, 200])
def test_extreme_logits_give_finite_outputs_and_gradients(level, stored, dtype):
    q = torch.full((1, 1, 2, 1), level, dtype=dtype).requires_grad_()
    k, v = (torch.ones(1, 1, stored, 1, dtype=dtype).requires_grad_() for _ in range(2))
    out = associate(q, k, v, beta=1.0)
    out.sum().backward()
    for x in (out, q.grad, k.grad, v.grad):
        assert x.isfinite().all()
    if level < 0:
        assert out.float().abs().max() < 1e-30  # nothing is near: nothing is retrieved


@pytest.mark.parametrize("association", list(ASSOCIATIONS))
def test_a_well_separated_pattern_is_a_fixed_point_that_draws_what_is_near(association):
    stored = 10 * torch.eye(6, dtype=torch.float64)
    options = {"association": association, "beta": 1.0}
    torch.testing.assert_close(retrieve(stored, stored, **options), stored, rtol=0, atol=1e-6)
    noisy = stored + torch.randn_like(stored)
    torch.testing.assert_close(
        retrieve(stored, noisy, steps=3, **options), stored, rtol=0, atol=1e-6
    )


def test_beta_per_head_is_beta_on_every_head():
    q, k, v = patterns()
    beta = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1)
    out = associate(q, k, v, beta=beta)
    for head in range(3):
        one = slice(head, head + 1)
        single = associate(q[:, one], k[:, one], v[:, one], beta=float(beta[head]))
        torch.testing.assert_close(out[:, one], single)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": torch.ones(5, 7)}, "mask must be bool"),
        ({"mask": torch.ones(5, 6, dtype=torch.bool)}, r"mask must broadcast to \(2, 3, 5, 7\)"),
        ({"association": "max"}, "unknown association 'max'"),
        ({"clip": (0.1, 1.0)}, "gamma <= 0"),
        ({"n": -0.5}, "n is a number of no-op classes and must be at least 0, got -0.5"),
        ({"association": "entmax", "alpha": 0.5}, "alpha must be 1 or at least 1.01, got 0.5"),
        (
            {"association": "entmax", "alpha": torch.tensor(0.5)},
            "alpha must be 1 or at least 1.01, got 0.5",
        ),
        ({"beta": -1.0}, "beta must be a number of at least 0, got -1.0"),
        ({"beta": torch.ones(4)}, r"beta must broadcast to \(2, 3, 5, 1\), got \(4,\)"),
        ({"log_n": torch.ones(2, 1, 1, 1)}, r"log_n must broadcast to \(1, 3, 1, 1\)"),
        (
            {"n": 2.0, "association": "softmax"},
            "n is an option of \"softmax1\" only, got 'softmax'",
        ),
        ({"association": "sparsemax", "fused": True}, "fused needs association"),
        ({"n": math.nan}, "at least 0, got nan"),
        ({"value": patterns(dtype=torch.float32)[2]}, "one dtype, got torch.float64"),
    ],
)
def test_bad_arguments_say_what_was_required(change, message, monkeypatch):
    q, k, v = patterns()
    arguments = {"query": q, "key": k, "value": v, **change}
    plain = getattr(associate, "__wrapped__", associate)  # below the shape checks of the tests
    with pytest.raises(ValueError, match=message):
        plain(**arguments)


def test_widths_that_do_not_fit_are_named():
    q, k, v = patterns()
    plain = getattr(associate, "__wrapped__", associate)
    for groups in (0, 2):
        with pytest.raises(ValueError, match="heads that divide"):
            plain(q, k[:, :groups], v[:, :groups])
    with pytest.raises(ValueError, match="must agree in all dimensions"):
        getattr(retrieve, "__wrapped__", retrieve)(torch.zeros(3, 4), torch.zeros(2, 5))
    with pytest.raises(ValueError, match="one width"):
        plain(q, k[..., :2], v)
    with pytest.raises(ValueError, match="must be"):
        plain(q[0], k, v)


@pytest.mark.parametrize("association", ["softmax", "softmax1", "entmax15"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_large_scores_of_half_precision_keep_their_digits(association, dtype):
    """Scores near 100: in bfloat16 they are whole quarters, in float32 they are not."""
    torch.manual_seed(0)
    query, key, value = (x.to(dtype) for x in (10 * torch.randn(3, 1, 1, 40, 16)).unbind())
    query[:] = query[:, :, :1]  # some keys are as near as each other
    key[:] = key[:, :, :1] + 0.05 * torch.randn(40, 16).to(dtype)
    exact = [x.double() for x in (query, key, value)]
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=dtype, enabled=autocast):
            made = associate(query, key, value, association=association, beta=0.1, fused=False)
        wanted = associate(*exact, association=association, beta=0.1)
        assert made.dtype == dtype
        room = {torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype] * float(value.abs().max())
        assert float((made.double() - wanted).abs().max()) < room
