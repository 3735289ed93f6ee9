"""The fused route is the same function as explicit weights, whatever is asked of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stanhop_app.layers import associate
from stanhop_app.layers import fused as fused_module

MASKS = [None, "patterns", "pairs", "all", "heads", "queries"]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 4e-2, torch.float16: 6e-3}


def draw(seed, *shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def mask_of(kind, batch, heads, queries, stored, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "patterns": (batch, 1, 1, stored),
        "pairs": (queries, stored),
        "all": (batch, heads, queries, stored),
        "heads": (1, heads, 1, stored),
        "queries": (batch, 1, queries, 1),
    }
    if kind is None:
        return None
    return torch.rand(shapes[kind], generator=generator) < 0.6


def by_route(q, k, v, *, fused, **options):
    """Output and gradients by the fused kernel or by explicit weights."""
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    out = associate(*inputs, fused=fused, **options)
    weight = draw(9, *out.shape).to(out.dtype)
    return out.detach(), *torch.autograd.grad((out * weight).sum(), inputs)


@settings(max_examples=100)
@given(
    seed=st.integers(0, 1000),
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    queries=st.integers(1, 70),
    stored=st.integers(1, 70),
    width=st.integers(1, 9),
    is_causal=st.booleans(),
    n=st.sampled_from([0.25, 1.0, 7.0, "per head"]),
    scale=st.sampled_from([1e-5, 1.0, 1e2, 1e4]),
    dtype=st.sampled_from(list(TOLERANCE)),
)
def test_the_sigmoid_of_the_log_sum_exp_is_the_share_that_is_retrieved(
    seed, batch, heads, queries, stored, width, is_causal, n, scale, dtype
):
    """What is taken where no derivative is asked for, against explicit weights in float64."""
    q = draw(seed, batch, heads, queries, width)
    k = draw(seed + 1, batch, heads, stored, width)
    largest = (q @ k.transpose(-1, -2)).abs().max()
    room = {torch.float16: 10.0, torch.bfloat16: 3.0}.get(dtype, scale)
    q, k = (q * (min(scale, room) / max(largest, 1e-3))).to(dtype), k.to(dtype)
    v = draw(seed + 2, batch, heads, stored, width, dtype=dtype)
    log_n = draw(seed + 3, heads, 1, 1, dtype=dtype) if n == "per head" else None
    options = {"beta": 1.0, "is_causal": is_causal, "n": 1.0 if log_n is not None else n}
    inputs = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    with torch.no_grad():
        out = associate(*inputs, **options, log_n=log_n, fused=True)
    assert out.dtype == dtype
    exact = None if log_n is None else log_n.double()
    doubles = (x.double() for x in (q, k, v))
    expected = associate(*doubles, **options, log_n=exact, fused=False)
    spread = TOLERANCE[dtype] * max(1.0, scale * 1e-1 if room == scale else 1.0)
    torch.testing.assert_close(out.double(), expected, rtol=spread, atol=spread)


@pytest.mark.parametrize("log_n", [None, "learned"])
def test_where_a_derivative_is_asked_for_the_share_has_one(log_n):
    q, k, v = (draw(i, 1, 2, 6, 4) for i in range(3))
    learned = torch.zeros(2, 1, 1, requires_grad=True)
    out = associate(q, k, v, log_n=learned if log_n else None, fused=True)
    assert out.requires_grad == bool(log_n)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 1000),
    batch=st.integers(1, 3),
    groups=st.integers(1, 2),
    shared=st.integers(1, 3),
    queries=st.integers(1, 20),
    stored=st.integers(1, 20),
    widths=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kind=st.sampled_from(MASKS),
    is_causal=st.booleans(),
    n=st.sampled_from([0.0, 0.25, 1.0, 7.0, "per head"]),
    per_head=st.booleans(),
    scale=st.sampled_from([1e-5, 1e-2, 1.0, 1e2, 1e4]),
    dtype=st.sampled_from(list(TOLERANCE)),
    multiple=st.sampled_from([1, 8]),
)
def test_routes_agree(
    seed,
    batch,
    groups,
    shared,
    queries,
    stored,
    widths,
    kind,
    is_causal,
    n,
    per_head,
    scale,
    dtype,
    multiple,
):
    """The kernel in any dtype against explicit weights in float64, on the same rounded inputs."""
    heads = groups * shared
    q = draw(seed, batch, heads, queries, widths[0])
    k = draw(seed + 1, batch, groups, stored, widths[0])
    v = draw(seed + 2, batch, groups, stored, widths[1]).to(dtype)
    largest = (q @ k.repeat_interleave(shared, 1).transpose(-1, -2)).abs().max()
    # Logits of a size at which the rounding of one logit does not change the answer.
    room = {torch.float16: 10.0, torch.bfloat16: 3.0}.get(dtype, scale)
    q, k = (q * (min(scale, room) / max(largest, 1e-3))).to(dtype), k.to(dtype)
    options = {
        "mask": mask_of(kind, batch, heads, queries, stored, seed + 3),
        "is_causal": is_causal,
        "beta": torch.ones(heads, 1, 1) if per_head else 1.0,
        "n": 1.0 if n == "per head" else n,
    }
    if n == "per head":
        options["log_n"] = draw(seed + 4, heads, 1, 1).to(dtype)
    before = dict(fused_module.WIDTHS)
    fused_module.WIDTHS["cpu"] = multiple
    try:
        found = by_route(q, k, v, fused=True, **options)
    finally:
        fused_module.WIDTHS.update(before)
    if n == "per head":
        options["log_n"] = options["log_n"].double()
    wanted = by_route(q.double(), k.double(), v.double(), fused=False, **options)
    for one, other in zip(found, wanted, strict=True):
        allowed = TOLERANCE[dtype] * max(1.0, scale * 1e-1 if room == scale else 1.0)
        size = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one.double(), other, rtol=allowed, atol=allowed * size)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("association", ["softmax", "softmax1"])
def test_extreme_logits_are_finite_and_masked_patterns_stay_masked(association, is_causal, dtype):
    sign = torch.tensor([-1.0, 1.0, -1.0, -1.0])
    q = torch.full((1, 1, 4, 1), 100.0, dtype=dtype)
    k = (90.0 * sign).view(1, 1, 4, 1).to(dtype)  # logits of 9,000, the largest one masked
    v = torch.tensor([1.0, 99.0, 1.0, 1.0]).view(1, 1, 4, 1).to(dtype)
    mask = torch.tensor([True, False, True, True]).view(1, 1, 1, 4)
    options = {"association": association, "mask": mask, "is_causal": is_causal, "beta": 1.0}
    for fused in (True, False):
        out, *gradients = by_route(q, k, v, fused=fused, **options)
        assert all(x.isfinite().all() for x in gradients)
        expected = 1.0 if association == "softmax" else 0.0
        torch.testing.assert_close(out, torch.full_like(out, expected), rtol=0, atol=1e-2)


@pytest.mark.parametrize("n", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("kind", MASKS)
def test_gradients_of_the_fused_route_are_those_of_finite_differences(kind, is_causal, n):
    q, k, v = (draw(i, 1, 2, 4, 3, dtype=torch.float64).requires_grad_() for i in range(3))
    options = {"mask": mask_of(kind, 1, 2, 4, 4, 0), "is_causal": is_causal, "n": n, "fused": True}
    assert torch.autograd.gradcheck(lambda *x: associate(*x, **options), (q, k, v))


@pytest.mark.parametrize("fused", [False, True])
def test_the_number_of_no_op_classes_gets_its_gradient(fused):
    q, k, v = (draw(i, 2, 3, 5, 4, dtype=torch.float64) for i in range(3))
    log_n = draw(3, 3, 1, 1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: associate(q, k, v, log_n=x, fused=fused), (log_n,))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("level", [-90.0, 90.0])
def test_no_op_classes_may_be_very_few_or_many(level, fused):
    q, k, v = (draw(i, 1, 2, 5, 4) for i in range(3))
    log_n = torch.full((2, 1, 1), level, requires_grad=True)
    out = associate(q, k, v, log_n=log_n, fused=fused)
    out.sum().backward()
    assert log_n.grad.isfinite().all()
    wanted = associate(q, k, v, association="softmax") if level < 0 else torch.zeros_like(out)
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_beta_zero_retrieves_the_mean(fused):
    q, k, v = (draw(i, 1, 1, 5, 4, dtype=torch.float64) for i in range(3))
    out = associate(q, k, v, beta=0.0, n=3.0, fused=fused)
    torch.testing.assert_close(out, v.sum(2, keepdim=True).expand_as(out) / 8)


@pytest.mark.parametrize("fused", [False, True])
def test_dropout_keeps_the_mean(fused):
    q, k, v = (draw(i, 1, 1, 5, 4).expand(4000, -1, -1, -1) for i in range(3))
    torch.manual_seed(0)
    drawn = associate(q, k, v, dropout_p=0.5, fused=fused)
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(drawn.mean(0), associate(q, k, v)[0], rtol=0, atol=0.06)


def test_explicit_weights_have_second_derivatives_at_any_size():
    q, k, v = (
        draw(i, 1, 1, s, 2, dtype=torch.float64).requires_grad_()
        for i, s in enumerate((2, 140, 140))
    )
    out = associate(q, k, v, fused=False)
    (first,) = torch.autograd.grad(out.square().sum(), q, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), q)
    assert second.isfinite().all()
    assert second.any()


def transposed(*shape):
    return draw(0, *shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)


CASES = {
    "plain": {},
    "softmax": {"association": "softmax"},
    "causal": {"is_causal": True},
    "n": {"n": 2.0},
    "log_n": {"log_n": torch.zeros(2, 1, 1)},
    "beta": {"beta": torch.ones(2, 1, 1)},
    "patterns": {"mask": "patterns"},
    "queries": {"mask": "queries"},
    "causal patterns": {"mask": "patterns", "is_causal": True},
    "causal queries": {"mask": "queries", "is_causal": True},
    "causal patterns softmax": {"mask": "patterns", "is_causal": True, "association": "softmax"},
}


@pytest.mark.parametrize("layout", ["plain", "transposed", "groups", "wide values", "wide keys"])
@pytest.mark.parametrize("case", CASES)
def test_no_weights_are_held_for_the_backward_pass(case, layout):
    """What autograd keeps grows linearly with the number of patterns."""

    def kept(stored):
        options = dict(CASES[case])
        if "mask" in options:
            options["mask"] = mask_of(options["mask"], 1, 2, stored, stored, 0)
        groups = 1 if layout == "groups" else 2
        key_width, value_width = {"wide values": (8, 12), "wide keys": (12, 8)}.get(layout, (8, 8))
        make = transposed if layout == "transposed" else lambda *shape: draw(0, *shape)
        q, k = make(1, 2, stored, key_width), make(1, groups, stored, key_width)
        v = make(1, groups, stored, value_width)
        sizes = []

        def note(x):
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            associate(*(x.requires_grad_() for x in (q, k, v)), **options)
        return sum(sizes)

    assert kept(1024) < 2.1 * kept(512)
    assert kept(1024) < 1024 * 500
