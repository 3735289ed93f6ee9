"""softmax1 by the log-sum-exp of fused kernels is softmax1, and so are its derivatives."""

import pytest
import torch
from torch._subclasses import FakeTensorMode

from stanhop_app.layers import no_op

TOLERANCES = {torch.float32: 3e-6, torch.float64: 1e-6, torch.bfloat16: 5e-2}
"""The CPU's kernel has exponentials and sums of float32 precision, in float64 too."""


def explicit(query, key, value, scale, log_n, is_causal):
    scores = scale * query @ key.mT
    if is_causal:
        later = ~torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(later, -torch.inf)
    last = torch.as_tensor(log_n, dtype=scores.dtype).expand(*scores.shape[:-1], 1)
    return torch.softmax(torch.cat([scores, last], -1), -1)[..., :-1] @ value


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("per_head", [False, True])
def test_what_is_retrieved_and_its_derivatives_are_those_of_the_definition(
    dtype, is_causal, per_head
):
    tensors = [torch.randn(2, 3, 37, 16, dtype=dtype, requires_grad=True) for _ in range(3)]
    shape = (1, 3, 1, 1) if per_head else ()
    log_n = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    gradient = torch.randn(2, 3, 37, 16, dtype=dtype)
    made = no_op.retrieve(*tensors, 0.3, log_n, is_causal)
    wide = [x.detach().double().requires_grad_() for x in tensors]
    wanted = explicit(*wide, 0.3, log_n, is_causal)
    tolerance = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    torch.testing.assert_close(made.double(), wanted, **tolerance)
    ours = torch.autograd.grad(made, [*tensors, log_n], gradient)
    theirs = torch.autograd.grad(wanted, [*wide, log_n], gradient.double())
    for mine, true in zip(ours, theirs, strict=True):
        tolerance["atol"] = 10 * TOLERANCES[dtype] * float(true.abs().max())
        torch.testing.assert_close(mine.double(), true, **tolerance)


def test_without_the_no_op_it_is_softmax_and_with_many_it_is_nothing():
    query, key, value = (torch.randn(1, 2, 20, 8) for _ in range(3))
    softmax = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=0.5)
    torch.testing.assert_close(no_op.retrieve(query, key, value, 0.5, -80.0, False), softmax)
    assert no_op.retrieve(query, key, value, 0.5, 80.0, False).abs().max() < 1e-25


def test_no_more_than_what_is_brought_is_kept_for_the_backward():
    """Neither keys nor values are copied: what is saved shares memory with what came."""
    saved = []
    tensors = [torch.randn(1, 2, 64, 8, requires_grad=True) for _ in range(3)]
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        no_op.retrieve(*tensors, 1.0, 0.0, False)
    known = {x.data_ptr() for x in tensors}
    large = [x for x in saved if x.numel() == tensors[0].numel()]
    assert len(large) == 4  # query, key, value, and what was retrieved
    assert sum(x.data_ptr() in known for x in large) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_kernels_of_cuda_are_called_as_they_are_declared(dtype):
    """Shapes and kinds only, without a card."""
    with FakeTensorMode(), torch.no_grad():
        query, key, value = (
            torch.empty(2, 3, 40, 16, device="cuda", dtype=dtype) for _ in range(3)
        )
        out, lse, *drawn = no_op._forward(query, key, value, 0.3, True)
        assert (out.shape, out.dtype, out.device.type) == (query.shape, dtype, "cuda")
        assert lse.shape[:2] == query.shape[:2]
        assert lse.shape[2] >= query.shape[2]
        grads = no_op._backward(out, query, key, value, out, lse, drawn, scale=0.3, is_causal=True)
        assert [x.shape for x in grads] == [query.shape] * 3


def test_only_what_the_kernels_know_is_given_to_them():
    x = torch.randn(1, 2, 5, 8)
    assert no_op.can_retrieve(x, x, x)
    assert not no_op.can_retrieve(x, x[:, :1], x[:, :1])
    assert not no_op.can_retrieve(x, x, x[..., :4])
    assert not no_op.can_retrieve(x.to("meta"), x, x)
    seen = []
    torch.func.vmap(lambda row: seen.append(no_op.can_retrieve(row, row, row)) or row)(x[None])
    assert seen == [False]
