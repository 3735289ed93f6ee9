"""Retrieval: the only place where scores meet values.

Shape letters: B batch, H heads, G heads of keys and values, L queries, S stored patterns, E width of a
head, F width of a value, D width of a pattern.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import clip as clip_weights
from stanhop_app.layers.association import find_association, having
from stanhop_app.layers.fused import causal_mask, fused_attention

Tap = Callable[[str, Tensor], Tensor]
SMALL_MEMORY = 128
SMALL_PER_WIDTH = 4
LARGEST_SMALL_MEMORY = 384
"""On a CPU explicit weights are faster than the fused kernel up to 128 stored patterns, or 4 a feature
of a head if that is more, but no further than was measured (tests/benchmarks/associate.py --border)."""


def associate(
    query: Float[Tensor, "B H L E"],
    key: Float[Tensor, "B G S E"],
    value: Float[Tensor, "B G S F"],
    *,
    association: str = "softmax1",
    beta: float | Tensor | None = None,
    alpha: float | Tensor = 1.5,
    n: float = 1.0,
    log_n: Tensor | None = None,
    clip: tuple[float, float] | None = None,
    mask: Bool[Tensor, "..."] | None = None,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    return_weights: bool = False,
    tap: Tap | None = None,
    fused: bool | None = None,
) -> Float[Tensor, "B H L F"] | tuple[Float[Tensor, "B H L F"], Float[Tensor, "B H L S"]]:
    """Retrieve from stored patterns: ``association(beta * query key^T) value``.

    One step of the modern Hopfield dynamics. With "softmax" it is scaled dot-product attention; with
    "softmax1" the same on keys and values with one zero row added (the no-op memory). That is how both
    reach the fused kernel, whose memory is linear in S, forward and backward.

    Explicit weights, (B, H, L, S), are used where no fused kernel computes the function (sparsemax,
    entmax, clip, ``return_weights``, ``tap``), and on a CPU for up to ``max(128, 4 E)`` patterns (at
    most 384), where they are faster. All routes compute the same function, with scores in float32 of half
    precision; explicit weights have derivatives of every order (one of them in forward mode), the kernels
    only the first. On a CPU, dropout makes the kernel itself use explicit weights. In float16, a mask of
    patterns beside ``is_causal`` needs scores above -1e4 on the fused route.

    A query that may retrieve nothing (a fully masked row, an empty memory) gets output 0 and
    gradient 0 from every association.

    Args:
        query: (B, H, L, E).
        key: (B, G, S, E), G heads that divide H: every H / G neighbouring heads of queries share one.
        value: (B, G, S, F).
        association: name in `ASSOCIATIONS`.
        beta: inverse temperature, default ``1 / sqrt(E)``; a tensor broadcasts against
            (B, H, L, 1), so (H, 1, 1) is one value per head.
        alpha: exponent of "entmax" only; a tensor broadcasts against (B, H, L, 1).
        n: no-op classes of "softmax1".
        log_n: log n as a tensor instead, which receives a gradient; broadcasts to (1, H, 1, 1).
        clip: (gamma, zeta) of `stanhop_app.layers.association.clip`, or None.
        mask: bool, broadcasts to (B, H, L, S), True = may be retrieved. Of a padding mask (B, S) give
            ``mask[:, None, None]``.
        is_causal: query i sees patterns 0..i only; combines with ``mask``.
        dropout_p: probability with which single weights are dropped.
        return_weights: also return the weights (B, H, L, S), before dropout.
        tap: ``(name, tensor) -> tensor``, called with "scores" (before the mask) and "weights" (before
            dropout), (B, H, L, S); what it returns goes on in their place. For quantisation and the like.
        fused: whether to use the fused kernel; None: where there is one and it is faster.

    Returns:
        (B, H, L, F), or the pair of it and the weights.

    Raises:
        OptionError: on shapes or dtypes that do not fit, an unknown association, clip bounds that cross, a
            negative beta or n, an alpha below 1, options that the association does not have, or
            ``fused=True`` where there is no kernel.
    """
    _check_shapes(query, key, value, mask)
    _check_options(query, association, beta, n, log_n)
    known = find_association(association)
    if known.fused and "n" in known.options and n == 0 and log_n is None:
        known = find_association("softmax")
    rule = partial(known, **known.own(alpha=alpha, n=n, log_n=log_n))
    scale = query.shape[-1] ** -0.5 if beta is None else beta
    if mask is not None:
        mask = mask[(None,) * (4 - mask.ndim)]
    kernel = known.fused and clip is None
    kernel = kernel and not return_weights and tap is None
    if fused and not kernel:
        raise OptionError(
            'fused needs association "softmax" or "softmax1", no clip and no return_weights, got '
            f"{association!r}, clip={clip}, return_weights={return_weights}."
        )
    if fused is None:
        fused = kernel and _is_kernel_faster(key)
    if fused and key.shape[-2]:
        no_op = None
        if "n" in known.options:
            no_op = math.log(n) if log_n is None else log_n
        scale = scale.to(query.dtype) if isinstance(scale, Tensor) else scale
        return fused_attention(query, key, value, scale, no_op, mask, is_causal, dropout_p)
    if torch.compiler.is_exporting() and key.shape[1] != query.shape[1]:
        # An exporter cannot prove the sizes of rows that are put together (`_grouped`).
        repeats = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(repeats, 1) for x in (key, value))
    if is_causal:
        causal = causal_mask(query, key.shape[-2])
        mask = causal if mask is None else mask & causal
    scores = _scores(query, key, scale)
    scores = scores if tap is None else tap("scores", scores)
    weights = _weights(scores, rule, mask, shifts=known.shift_invariant)
    if clip is not None:
        weights = clip_weights(weights, *clip)
    weights = weights if tap is None else tap("weights", weights)
    weights = weights.to(query.dtype)
    kept = F.dropout(weights, dropout_p) if dropout_p else weights
    retrieved = (_grouped(kept, key) @ value).reshape(*query.shape[:-1], value.shape[-1])
    return (retrieved, weights) if return_weights else retrieved


class Retrieval(nn.Module):
    """`associate` as a module without parameters, so that it can be observed and replaced."""

    def forward(
        self,
        query: Float[Tensor, "B H L E"],
        key: Float[Tensor, "B G S E"],
        value: Float[Tensor, "B G S F"],
        **options: Any,
    ) -> Float[Tensor, "B H L F"]:
        """(B, H, L, E), (B, G, S, E), (B, G, S, F) -> (B, H, L, F); options as of `associate`."""
        retrieved = associate(query, key, value, **options)
        assert isinstance(retrieved, Tensor)
        return retrieved


def retrieve(
    stored: Float[Tensor, "*batch S D"],
    query: Float[Tensor, "*batch L D"],
    *,
    association: str = "softmax1",
    beta: float | None = None,
    alpha: float = 1.5,
    n: float = 1.0,
    mask: Bool[Tensor, "..."] | None = None,
    steps: int = 1,
    tolerance: float | None = None,
) -> Float[Tensor, "*batch L D"]:
    """Complete queries from stored patterns, with nothing learned: an associative memory.

    Iterates ``x <- Xi association(beta Xi^T x)`` from x = query, Xi the stored patterns. With "softmax" and
    "softmax1" no step raises the energy ``-1/beta log(n + sum_i exp(beta <xi_i, x>)) + |x|^2 / 2`` (n = 0 for
    softmax), so that the iteration converges.

    Args:
        stored: (..., S, D).
        query: (..., L, D), noisy or partial patterns.
        association: name in `ASSOCIATIONS`.
        beta: inverse temperature, default ``1 / sqrt(D)``. The larger, the nearer the result is to one
            stored pattern rather than a mean of several.
        alpha: exponent of "entmax" only.
        n: no-op classes of "softmax1" only.
        mask: bool, broadcasts to (..., L, S), True = may be retrieved.
        steps: steps at most.
        tolerance: a query whose state moves by no more than this (Euclidean) stays where it is; None:
            all steps are taken.

    Returns:
        (..., L, D).

    References:
        Hu et al., arXiv 2404.03828, section 2 (memory retrieval mode).

    >>> stored = 8 * torch.eye(3)
    >>> retrieve(stored, torch.tensor([[7.0, 1.0, 0.0]])).round()
    tensor([[8., 0., 0.]])
    """
    if stored.shape[:-2] != query.shape[:-2] or stored.shape[-1] != query.shape[-1]:
        raise OptionError(
            "stored and query must agree in all dimensions but the last but one, got "
            f"{tuple(stored.shape)} and {tuple(query.shape)}."
        )
    batch = math.prod(query.shape[:-2])
    memory = stored.reshape(batch, 1, *stored.shape[-2:])
    if mask is not None:
        wanted = (*query.shape[:-1], stored.shape[-2])
        _check_mask(mask, wanted)
        mask = mask.expand(wanted).reshape(batch, 1, *wanted[-2:])

    def step(state: Tensor) -> Tensor:
        moved = associate(
            state,
            memory,
            memory,
            association=association,
            beta=beta,
            alpha=alpha,
            n=n,
            mask=mask,
        )
        assert isinstance(moved, Tensor)
        return moved

    state = iterate(step, query.reshape(batch, 1, *query.shape[-2:]), steps, tolerance)
    return state.reshape(query.shape)


def iterate(
    step: Callable[[Tensor], Tensor], state: Tensor, steps: int, tolerance: float | None
) -> Tensor:
    """Apply a step up to ``steps`` times; a row (last dimension) that has come to rest stays there.

    Rows rest on their own, so that no result depends on what else is in the batch.

    Raises:
        OptionError: if ``steps`` is negative or ``tolerance`` is.
    """
    check_steps(steps, tolerance)
    moving = None
    for _ in range(steps):
        after = step(state)
        if tolerance is None:
            state = after
            continue
        far = (after - state).detach().norm(dim=-1, keepdim=True) > tolerance
        state = after if moving is None else torch.where(moving, after, state)
        moving = far if moving is None else moving & far
        if _all_rest(moving):
            break
    return state


def _all_rest(moving: Tensor) -> bool:
    """Whether no row moves; False where no value can be looked at, and all steps are taken instead."""
    if moving.is_meta or torch.compiler.is_compiling():
        return False
    try:
        return not moving.any()
    except RuntimeError:  # inside of vmap
        return False


def check_steps(steps: int, tolerance: float | None) -> None:
    """Raise OptionError unless there can be so many steps with such a tolerance."""
    if steps < 0:
        raise OptionError(f"steps must be at least 0, got {steps}.")
    if tolerance is not None and not tolerance >= 0:
        raise OptionError(f"tolerance must be None or at least 0, got {tolerance}.")


def _is_kernel_faster(key: Tensor) -> bool:
    """Whether the kernel is to be taken: on a CPU explicit weights were measured to be faster if few."""
    patterns, width = key.shape[-2:]
    if key.device.type != "cpu":
        return True
    if torch.compiler.is_exporting() and isinstance(patterns, torch.SymInt):
        return True  # to look at a number that an exporter leaves open would bound it
    return patterns > min(LARGEST_SMALL_MEMORY, max(SMALL_MEMORY, SMALL_PER_WIDTH * width))


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    if not (query.ndim == key.ndim == value.ndim == 4):
        raise OptionError(
            "query, key and value must be (batch, heads, patterns, width), got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}."
        )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise OptionError(
            "query and key must have one width, key and value one number of patterns, got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}."
        )
    heads, shared = query.shape[1], key.shape[1]
    divides = shared > 0 and heads % shared == 0
    if key.shape[:2] != value.shape[:2] or query.shape[0] != key.shape[0] or not divides:
        raise OptionError(
            "query, key and value must have one batch, and key and value heads that divide those of "
            f"query, got {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}."
        )
    if not query.dtype == key.dtype == value.dtype:
        raise OptionError(
            f"query, key and value must have one dtype, got {query.dtype}, {key.dtype}, {value.dtype}."
        )
    if mask is not None:
        _check_mask(mask, (*query.shape[:-1], key.shape[-2]))


def _check_options(
    query: Tensor, association: str, beta: float | Tensor | None, n: float, log_n: Tensor | None
) -> None:
    """Raise OptionError for numbers that cannot be, and tensors that would mean something else."""
    batch, heads, queries = query.shape[:3]
    if isinstance(beta, Tensor):
        _check_broadcast("beta", beta, (batch, heads, queries, 1))
    elif beta is not None and not 0 <= beta < math.inf:
        raise OptionError(f"beta must be a number of at least 0, got {beta}.")
    if not 0 <= n < math.inf:
        raise OptionError(f"n is a number of no-op classes and must be at least 0, got {n}.")
    if "n" not in find_association(association).options and (n != 1 or log_n is not None):
        raise OptionError(f"n is an option of {having('n')} only, got {association!r}.")
    if log_n is not None:
        _check_broadcast("log_n", log_n, (1, heads, 1, 1))


def _check_broadcast(name: str, tensor: Tensor, wanted: tuple[int, ...]) -> None:
    try:
        fits = torch.broadcast_shapes(tensor.shape, wanted) == wanted
    except RuntimeError:
        fits = False
    if not fits:
        raise OptionError(f"{name} must broadcast to {wanted}, got {tuple(tensor.shape)}.")


def _check_mask(mask: Tensor, wanted: tuple[int, ...]) -> None:
    if mask.dtype != torch.bool:
        raise OptionError(f"mask must be bool (True = may be retrieved), got {mask.dtype}.")
    _check_broadcast("mask", mask, wanted)


def _grouped(x: Tensor, key: Tensor) -> Tensor:
    """(B, H, L, W) with the heads that share a key as further rows of it, (B, G, H / G * L, W)."""
    if x.shape[1] == key.shape[1]:
        return x
    rows = x.shape[1] // key.shape[1] * x.shape[2]
    return x.reshape(x.shape[0], key.shape[1], rows, x.shape[-1])


def _scores(query: Tensor, key: Tensor, scale: float | Tensor) -> Tensor:
    """``scale query key^T``, (B, H, L, S); in float32 of half precision, as the kernels have them.

    A score of 100 in bfloat16 is off by up to a quarter, and its power of e by as much.
    """
    if query.dtype in (torch.float16, torch.bfloat16):
        with torch.autocast(query.device.type, enabled=False):
            scale = scale.float() if isinstance(scale, Tensor) else scale
            return _scores(query.float(), key.float(), scale)
    scale = scale.to(query.dtype) if isinstance(scale, Tensor) else scale
    scores = _grouped(query * scale, key) @ key.transpose(-1, -2)
    return scores.view(*query.shape[:-1], key.shape[-2])


def _weights(
    scores: Tensor, rule: Callable[[Tensor], Tensor], mask: Tensor | None, shifts: bool
) -> Tensor:
    """Explicit weights (B, H, L, S). ``shifts``: the rule ignores a constant added to a row."""
    if scores.shape[-1] == 0:
        return scores
    if mask is None:
        return rule(scores)
    if not shifts:
        return rule(scores.masked_fill(~mask, float("-inf")))
    # Rules that ignore shifts: the row maximum becomes 0, so that a finite fill is far below all
    # scores in every dtype; the sorts of entmax give NaN with infinities.
    top = scores.detach().masked_fill(~mask, float("-inf")).amax(-1, keepdim=True)
    top = top.masked_fill(top == float("-inf"), 0.0)
    weights = rule((scores - top).masked_fill(~mask, -3e4))
    return weights.masked_fill(~mask, 0.0)
