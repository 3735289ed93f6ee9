"""The fused route is the same function as explicit weights, whatever is asked of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stanhop_app.layers import associate
from stanhop_app.layers import retrieval as retrieval_module

MASKS = [None, "patterns", "pairs", "all", "heads"]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


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
    }
    if kind is None:
        return None
    return torch.rand(shapes[kind], generator=generator) < 0.6


def both_routes(q, k, v, **options):
    """Output and gradients by the fused kernel and by explicit weights."""
    results = []
    before = retrieval_module.SMALL_MEMORY
    for border in (-1, 10**9):
        retrieval_module.SMALL_MEMORY = border
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        try:
            out = associate(*inputs, **options)
        finally:
            retrieval_module.SMALL_MEMORY = before
        weight = draw(9, *out.shape, dtype=out.dtype)
        results.append((out.detach(), *torch.autograd.grad((out * weight).sum(), inputs)))
    return results


@settings(max_examples=120)
@given(
    seed=st.integers(0, 1000),
    batch=st.integers(1, 3),
    groups=st.integers(1, 2),
    shared=st.integers(1, 3),
    queries=st.integers(1, 20),
    stored=st.integers(1, 20),
    width=st.integers(1, 9),
    kind=st.sampled_from(MASKS),
    is_causal=st.booleans(),
    n=st.sampled_from([0.0, 0.25, 1.0, 7.0, "per head"]),
    scale=st.sampled_from([1e-5, 1e-2, 1.0, 1e2, 1e4]),
    dtype=st.sampled_from(list(TOLERANCE)),
)
def test_routes_agree(
    seed, batch, groups, shared, queries, stored, width, kind, is_causal, n, scale, dtype
):
    heads = groups * shared
    q = draw(seed, batch, heads, queries, width)
    k = draw(seed + 1, batch, groups, stored, width)
    v = draw(seed + 2, batch, groups, stored, width).to(dtype)
    largest = (q @ k.repeat_interleave(shared, 1).transpose(-1, -2)).abs().max()
    q, k = (q * (scale / max(largest, 1e-3))).to(dtype), k.to(dtype)  # logits up to `scale`
    if n == "per head":
        n = torch.rand(heads, 1, 1, dtype=dtype) + 0.1
    options = {
        "mask": mask_of(kind, batch, heads, queries, stored, seed + 3),
        "is_causal": is_causal,
        "beta": 1.0,
        "n": n,
    }
    fused, explicit = both_routes(q, k, v, **options)
    # Logits of 1e4 in half precision are known to no better than their last bit, which is 8.
    room = TOLERANCE[dtype] * max(1.0, scale if dtype.itemsize < 4 else scale * 1e-2)
    if room > 0.5:
        for x in (*fused, *explicit):
            assert x.isfinite().all()
        return
    for one, other in zip(fused, explicit, strict=True):
        assert one.isfinite().all()
        size = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one, other, rtol=room, atol=room * size)


@pytest.mark.parametrize("n", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("kind", MASKS)
def test_gradients_of_the_fused_route_are_those_of_finite_differences(
    kind, is_causal, n, monkeypatch
):
    monkeypatch.setattr(retrieval_module, "SMALL_MEMORY", -1)
    q, k, v = (draw(i, 1, 2, 4, 3, dtype=torch.float64).requires_grad_() for i in range(3))
    mask = mask_of(kind, 1, 2, 4, 4, 0)
    options = {"mask": mask, "is_causal": is_causal, "n": n}
    assert torch.autograd.gradcheck(lambda *x: associate(*x, **options), (q, k, v))


def test_the_number_of_no_op_classes_gets_its_gradient_on_both_routes(monkeypatch):
    q, k, v = (draw(i, 2, 3, 5, 4, dtype=torch.float64) for i in range(3))
    for border in (-1, 100):
        monkeypatch.setattr(retrieval_module, "SMALL_MEMORY", border)
        n = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64).view(3, 1, 1).requires_grad_()
        assert torch.autograd.gradcheck(lambda n: associate(q, k, v, n=n), (n,))


def test_beta_zero_retrieves_the_mean(monkeypatch):
    monkeypatch.setattr(retrieval_module, "SMALL_MEMORY", -1)
    q, k, v = (draw(i, 1, 1, 5, 4, dtype=torch.float64) for i in range(3))
    out = associate(q, k, v, beta=0.0, n=3.0)
    torch.testing.assert_close(out, v.sum(2, keepdim=True).expand_as(out) / 8)


@pytest.mark.parametrize(
    "options",
    [{}, {"is_causal": True}, {"n": 2.0}, {"mask": True, "is_causal": True}, {"mask": True}],
)
def test_no_weights_are_held_for_the_backward_pass(options):
    """What autograd keeps grows linearly with the number of patterns."""

    def kept(stored):
        q, k, v = (draw(i, 1, 1, stored, 8).requires_grad_() for i in range(3))
        mask = {"mask": torch.ones(1, 1, 1, stored, dtype=torch.bool)} if "mask" in options else {}
        sizes = []

        def note(x):
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            associate(q, k, v, **{**options, **mask})
        return sum(sizes)

    assert kept(2048) < 2.1 * kept(1024)
    assert kept(2048) < 2048 * 200
