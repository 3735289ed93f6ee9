"""softmax1 by the log-sum-exp of PyTorch's fused kernels: exact, with derivatives, and no copy of keys.

With scores s, ``lse = log sum exp s`` and n no-op classes, ``lse_n = log(n + sum exp s)``, softmax1 retrieves

    O = softmax1_n(s) V = exp(lse - lse_n) softmax(s) V

Its weights are ``P = exp(s - lse_n)``, and for a gradient G of O the gradient of the scores is
``P * (G V^T - rowsum(G * O))``. That is what the kernel's own backward computes from an output and a
log-sum-exp: given O and ``lse_n`` in their place, it is the derivative of softmax1. The derivative by
``log n`` is ``-exp(log n - lse_n) rowsum(G * O)``.

FlexAttention would need a compiler on the user's machine, and a sink of its own takes one more key; these
kernels come with PyTorch.

Shape letters: B batch, H heads, L queries, S stored patterns.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

WIDTHS = {"cpu": 1, "cuda": 8}
"""What widths must be a multiple of, by device that has such kernels."""


def can_retrieve(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the kernels take these: heads and widths are equal, and no transform traces them."""
    multiple = WIDTHS.get(query.device.type)
    return (
        multiple is not None
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and query.shape[-1] == value.shape[-1]
        and query.shape[-1] % multiple == 0
        and query.numel() > 0
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def retrieve(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    log_n: Tensor | float,
    is_causal: bool,
) -> Tensor:
    """``softmax1_n(scale Q K^T) V``, differentiable once.

    Args:
        query: (B, H, L, E).
        key: (B, H, S, E).
        value: (B, H, S, E).
        scale: beta.
        log_n: score of the no-op, a number or (1, H, 1, 1).
        is_causal: query i sees patterns 0..i only.
    """
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    no_op = torch.as_tensor(log_n, dtype=torch.float32, device=query.device)
    out: Tensor = _Softmax1.apply(query, key, value, no_op, scale, is_causal)
    return out


class _Softmax1(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        log_n: Tensor,
        scale: float,
        is_causal: bool,
    ) -> Tensor:
        """Retrieve with softmax, then take the no-op's share off."""
        softmax, lse, *drawn = _forward(query, key, value, scale, is_causal)
        # (B, H, L), of some kernels with L rounded up; of float64 in float64.
        no_op = log_n.to(lse.dtype).reshape((-1, 1) if log_n.ndim else ())
        lse_n = torch.logaddexp(lse, no_op)
        rows = slice(query.shape[-2])
        share = torch.exp(lse - lse_n)[..., rows, None]
        out: Tensor = softmax.mul_(share.to(softmax.dtype))
        ctx.save_for_backward(query, key, value, out, lse_n, no_op, *drawn)
        ctx.scale, ctx.is_causal, ctx.shape, ctx.kind = scale, is_causal, log_n.shape, log_n.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The kernel's derivative, given what softmax1 retrieved and its log-sum-exp."""
        query, key, value, out, lse_n, no_op, *drawn = ctx.saved_tensors
        grad = grad.contiguous()
        grads = _backward(
            grad, query, key, value, out, lse_n, drawn, scale=ctx.scale, is_causal=ctx.is_causal
        )
        of_no_op = None
        if ctx.needs_input_grad[3]:
            share = torch.exp(no_op - lse_n)[..., : query.shape[-2]]
            moved = -share * (grad * out).sum(-1, dtype=share.dtype)
            heads = moved.sum((0, 2)) if ctx.shape else moved.sum()
            of_no_op = heads.reshape(ctx.shape).to(ctx.kind)
        return (*grads, of_no_op, None, None)


def _forward(
    query: Tensor, key: Tensor, value: Tensor, scale: float, is_causal: bool
) -> tuple[Tensor, ...]:
    """What softmax retrieves, its log-sum-exp, and on CUDA what the kernel wants back."""
    kernels = torch.ops.aten
    if query.device.type == "cpu":
        made = kernels._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, is_causal, scale=scale
        )
    else:
        made = kernels._scaled_dot_product_efficient_attention(
            query, key, value, None, True, 0.0, is_causal, scale=scale
        )
    return tuple(made)


def _backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    drawn: list[Tensor],
    *,
    scale: float,
    is_causal: bool,
) -> tuple[Tensor, ...]:
    """Gradients of query, key and value."""
    kernels = torch.ops.aten
    if query.device.type == "cpu":
        made = kernels._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, query, key, value, out, lse, 0.0, is_causal, scale=scale
        )
    else:
        wanted = [True, True, True, False]
        made = kernels._scaled_dot_product_efficient_attention_backward(
            grad, query, key, value, None, out, lse, *drawn, 0.0, wanted, is_causal, scale=scale
        )
    return tuple(made[:3])
