"""Retrieval: the only place where scores meet values.

Shape letters: B batch, H heads, L queries, S stored patterns, E width of a head, F width of a value.
"""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from stanhop_app.layers.association import Association, entmax, find_association
from stanhop_app.layers.association import clip as clip_weights

SMALL_MEMORY = 64
"""Stored patterns up to which explicit weights are used; a guess, not yet measured."""


def associate(
    query: Float[Tensor, "B H L E"],
    key: Float[Tensor, "B H S E"],
    value: Float[Tensor, "B H S F"],
    *,
    association: str = "softmax1",
    beta: float | Tensor | None = None,
    alpha: float | Tensor = 1.5,
    clip: tuple[float, float] | None = None,
    mask: Bool[Tensor, "..."] | None = None,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    return_weights: bool = False,
) -> Float[Tensor, "B H L F"] | tuple[Float[Tensor, "B H L F"], Float[Tensor, "B H L S"]]:
    """Retrieve from stored patterns: ``association(beta * query key^T) value``.

    One step of the modern Hopfield dynamics. With "softmax" it is scaled dot-product attention; with
    "softmax1" the same on keys and values with one zero row added (the no-op memory), which is how it
    reaches the fused kernel. Everything else, and memories of up to `SMALL_MEMORY` patterns, uses
    explicit weights. Both routes compute the same function.

    A query that may retrieve nothing (a fully masked row, an empty memory) gets output 0 and
    gradient 0 from every association.

    Args:
        query: (B, H, L, E).
        key: (B, H, S, E).
        value: (B, H, S, F).
        association: name in `ASSOCIATIONS`.
        beta: inverse temperature, default ``1 / sqrt(E)``; a tensor broadcasts against
            (B, H, L, 1), so (H, 1, 1) is one value per head.
        alpha: exponent of "entmax" only; a tensor broadcasts against (B, H, L, 1).
        clip: (gamma, zeta) of `stanhop_app.layers.association.clip`, or None.
        mask: bool, broadcasts to (B, H, L, S), True = may be retrieved.
        is_causal: query i sees patterns 0..i only; combines with ``mask``.
        dropout_p: probability with which single weights are dropped.
        return_weights: also return the weights (B, H, L, S), before dropout.

    Returns:
        (B, H, L, F), or the pair of it and the weights.

    Raises:
        ValueError: on shapes that do not fit, an unknown association, or clip bounds that cross.
    """
    _check_shapes(query, key, value, mask)
    rule = find_association(association)
    scale = query.shape[-1] ** -0.5 if beta is None else beta
    if is_causal:
        causal = torch.ones(
            query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device
        ).tril()
        mask = causal if mask is None else mask & causal
    if mask is not None:
        mask = mask.expand(*query.shape[:-1], key.shape[-2])
    fused = (
        association in ("softmax", "softmax1")
        and clip is None
        and not return_weights
        and key.shape[-2] > SMALL_MEMORY
    )
    if fused:
        return _fused(query, key, value, scale, mask, dropout_p, no_op=association == "softmax1")
    if association == "entmax":
        rule = partial(entmax, alpha=alpha)
    weights = _weights(query, key, rule, scale, mask, shifts=association != "softmax1")
    if clip is not None:
        weights = clip_weights(weights, *clip)
    retrieved = F.dropout(weights, dropout_p) @ value if dropout_p else weights @ value
    return (retrieved, weights) if return_weights else retrieved


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    if not (query.ndim == key.ndim == value.ndim == 4):
        raise ValueError(
            "query, key and value must be (batch, heads, patterns, width), got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}."
        )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            "query and key must have one width, key and value one number of patterns, got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}."
        )
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool (True = may be retrieved), got {mask.dtype}.")
    wanted = (*query.shape[:-1], key.shape[-2])
    try:
        fits = torch.broadcast_shapes(mask.shape, wanted) == wanted
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"mask must broadcast to {wanted}, got {tuple(mask.shape)}.")


def _weights(
    query: Tensor,
    key: Tensor,
    rule: Association,
    scale: float | Tensor,
    mask: Tensor | None,
    shifts: bool,
) -> Tensor:
    """Explicit weights (B, H, L, S). ``shifts``: the rule ignores a constant added to a row."""
    if key.shape[-2] == 0:
        return query.new_zeros(*query.shape[:-1], 0)
    scores = (query * scale) @ key.transpose(-1, -2)
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


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | Tensor,
    mask: Tensor | None,
    dropout_p: float,
    *,
    no_op: bool,
) -> Tensor:
    """The same through the fused kernel; memory grows linearly with S."""
    if isinstance(scale, Tensor):
        query, scale = query * scale, 1.0
    if no_op:  # one pattern with score 0 and value 0
        key, value = F.pad(key, (0, 0, 0, 1)), F.pad(value, (0, 0, 0, 1))
        mask = None if mask is None else F.pad(mask, (0, 1), value=True)
    out = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout_p, scale=scale
    )
    if mask is not None and not no_op:
        out = out.masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return out
