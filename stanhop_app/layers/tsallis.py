"""Weights of the Tsallis family, alpha-entmax, with derivatives of every order.

    p(z) = argmax_p <p, z> + (1 - sum_i p_i^alpha) / (alpha (alpha - 1))  over the simplex
    p_i = ((alpha - 1) z_i - tau)_+ ^ (1 / (alpha - 1)),  tau such that they sum to 1

Alpha 2 is sparsemax, 1.5 has a closed form too, all others are found by bisection. With
``s_i = p_i^(2 - alpha)`` on the support and 0 elsewhere the Jacobian is ``diag(s) - s s^T / sum s``.
The package entmax computes the same, with first derivatives only: its powers of exact zeros make second ones
not a number.

References:
    Martins and Astudillo, arXiv 1602.02068, algorithm 1; Peters, Niculae and Martins, arXiv 1905.05702,
    algorithm 1 (bisection), algorithm 2 (1.5) and proposition 2 (Jacobian); Correia, Niculae and Martins,
    arXiv 1909.00015, proposition 1 (derivative by alpha).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

HALVINGS = {torch.float32: 30, torch.float64: 60}
"""Steps of bisection: its interval is at most 1 long, and is then below the last digit."""


def tsallis(scores: Tensor, alpha: float | Tensor, dim: int) -> Tensor:
    """Weights along a dimension, float32 or float64; alpha broadcasts with size 1 along it."""
    dim = dim if dim < 0 else dim - scores.ndim
    # The compiler reads no rule of forward mode, and what that keeps is kept where it is used alone.
    forward = not torch.compiler.is_compiling() and forward_ad._current_level >= 0
    if forward and _times_forward() > 1:
        raise NotImplementedError(
            "forward mode of forward mode is not implemented for alpha-entmax, and would be 0; take one of "
            "both in reverse mode, as jacfwd(jacrev(f))."
        )
    rule = _Forward if forward else _Tsallis
    weights: Tensor = rule.apply(scores, alpha, dim)
    return weights


def _times_forward() -> int:
    """How many transforms of forward mode are open."""
    kinds = torch._C._functorch
    levels = kinds.get_interpreter_stack() or []
    return sum(level.key() == kinds.TransformType.Jvp for level in levels)


class _Tsallis(torch.autograd.Function):
    """The weights with their Jacobian, which is a differentiable function of the weights again."""

    @staticmethod
    def forward(scores: Tensor, alpha: float | Tensor, dim: int) -> Tensor:
        shifted = scores - scores.amax(dim, keepdim=True)
        if isinstance(alpha, Tensor) or alpha not in (1.5, 2.0):
            return _by_bisection(shifted, alpha, dim)
        if alpha == 2.0:
            return (shifted - _sparsemax_threshold(shifted, dim)).clamp_min(0)
        half = shifted / 2
        return (half - _threshold_15(half, dim)).clamp_min(0).square()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, alpha, ctx.dim = inputs
        ctx.number = None if isinstance(alpha, Tensor) else alpha
        kept = (output,) if ctx.number is not None else (output, alpha)
        ctx.save_for_backward(*kept)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        weights, alpha = _kept(ctx)
        of_alpha = None
        if ctx.needs_input_grad[1]:
            of_alpha = (grad * _by_alpha(weights, alpha, ctx.dim)).sum_to_size(alpha.shape)
        return _moved(weights, alpha, grad, ctx.dim), of_alpha, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], scores: Tensor, alpha: float | Tensor, dim: int
    ) -> tuple[Tensor, int]:
        of_scores, of_alpha, _ = in_dims
        scores = (
            scores.movedim(of_scores, 0)
            if of_scores is not None
            else scores.expand(info.batch_size, *scores.shape)
        )
        if isinstance(alpha, Tensor) and of_alpha is not None:
            alpha = alpha.movedim(of_alpha, 0)
            missing = scores.ndim - alpha.ndim
            alpha = alpha.reshape(alpha.shape[0], *(1,) * missing, *alpha.shape[1:])
        return tsallis(scores, alpha, dim), 0


class _Forward(_Tsallis):
    """The same with derivatives in forward mode, once: what is kept of a pass has no tangents of its own."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _Tsallis.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*((output,) if ctx.number is not None else (output, inputs[1])))

    @staticmethod
    def jvp(ctx: Any, scores: Tensor | None, alpha: Tensor | None, _: None) -> Tensor:
        weights, exponent = _kept(ctx)
        moved = torch.zeros_like(weights)
        if scores is not None:
            moved = _moved(weights, exponent, scores, ctx.dim)  # the Jacobian is symmetric
        if alpha is not None:
            moved = moved + alpha * _by_alpha(weights, exponent, ctx.dim)
        return moved


def _kept(ctx: Any) -> tuple[Tensor, Any]:
    saved = ctx.saved_tensors
    return (saved[0], ctx.number) if ctx.number is not None else saved


def _slopes(weights: Tensor, alpha: float | Tensor) -> Tensor:
    """``p^(2 - alpha)`` on the support, 0 elsewhere, also in its derivatives."""
    there = weights > 0
    if isinstance(alpha, float) and alpha == 2.0:
        return there.to(weights.dtype)
    inside = torch.where(there, weights, 1.0)
    powers = inside.sqrt() if isinstance(alpha, float) and alpha == 1.5 else inside ** (2 - alpha)
    return torch.where(there, powers, 0.0)


def _moved(weights: Tensor, alpha: float | Tensor, by: Tensor, dim: int) -> Tensor:
    """The Jacobian times a vector."""
    slopes = _slopes(weights, alpha)
    moved = by * slopes
    return moved - slopes * (moved.sum(dim, keepdim=True) / slopes.sum(dim, keepdim=True))


def _by_alpha(weights: Tensor, alpha: Tensor, dim: int) -> Tensor:
    """Derivative of every weight by alpha."""
    slopes = _slopes(weights, alpha)
    skewed = slopes / slopes.sum(dim, keepdim=True)
    surprise = weights * torch.where(weights > 0, weights, 1.0).log()
    entropy = surprise.sum(dim, keepdim=True)
    rest = (surprise - skewed * entropy) / (alpha - 1)
    return (weights - skewed) / (alpha - 1).square() - rest


def _ranks(scores: Tensor, dim: int) -> Tensor:
    """1, 2, 3, ... along a dimension."""
    shape = [1] * scores.ndim
    shape[dim] = -1
    return torch.arange(1, scores.shape[dim] + 1, device=scores.device, dtype=scores.dtype).view(
        shape
    )


def _sparsemax_threshold(scores: Tensor, dim: int) -> Tensor:
    falling = scores.sort(dim, descending=True).values
    ranks, sums = _ranks(scores, dim), falling.cumsum(dim) - 1
    size = (ranks * falling > sums).sum(dim, keepdim=True)
    return sums.gather(dim, (size - 1).clamp_min(0)) / size.to(scores.dtype)


def _threshold_15(half: Tensor, dim: int) -> Tensor:
    falling, ranks = half.sort(dim, descending=True).values, _ranks(half, dim)
    mean, square = falling.cumsum(dim) / ranks, falling.square().cumsum(dim) / ranks
    spread = ranks * (square - mean.square())
    thresholds = mean - ((1 - spread) / ranks).clamp_min(0).sqrt()
    size = (thresholds <= falling).sum(dim, keepdim=True)
    return thresholds.gather(dim, (size - 1).clamp_min(0))  # no number has no support


def _by_bisection(scores: Tensor, alpha: float | Tensor, dim: int) -> Tensor:
    """Weights of scores whose largest is 0."""
    order = alpha - 1
    scores = scores * order
    low = torch.full_like(scores.narrow(dim, 0, 1), -1.0)
    step = 1 - (1 / scores.shape[dim]) ** order
    for _ in range(HALVINGS[scores.dtype]):
        step = step / 2
        sums = _powers(scores - (low + step), order).sum(dim, keepdim=True)
        low = torch.where(sums >= 1, low + step, low)
    weights = _powers(scores - low, order)
    return weights / weights.sum(dim, keepdim=True)


def _powers(scores: Tensor, order: float | Tensor) -> Tensor:
    return scores.clamp_min(0) ** (1 / order)
