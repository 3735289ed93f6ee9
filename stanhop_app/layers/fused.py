"""softmax and softmax1 retrieval through PyTorch's fused attention kernels, exactly.

The no-op of softmax1 is one more stored pattern: value 0, score ``log n``. With n = 1 that is a zero key. Any
other n, and masks of patterns beside a causal order, are a *bias per pattern*, which one
more feature carries: f on every query, g on the pattern, ``beta f g`` the bias. So no mask of queries times
patterns is ever built, unless the caller brings one.

Shape letters: B batch, H heads, G heads of keys and values, L queries, S stored patterns.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FAR = {torch.float16: 2e4}
FAR_ELSEWHERE = 1e6
"""How far a masked pattern's score is moved down: in float16, scores must stay within 1e4."""


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | Tensor,
    n: float | Tensor,
    mask: Tensor | None,
    is_causal: bool,
    dropout_p: float,
) -> Tensor:
    """Softmax retrieval with n no-op classes; n = 0 is softmax.

    Args:
        query: (B, H, L, E).
        key: (B, G, S, E), S at least 1.
        value: (B, G, S, F).
        scale: beta, a number or a tensor that broadcasts against (B, H, L, 1).
        n: a number, or a tensor that broadcasts against (1, H, 1, 1).
        mask: bool, 4-D, broadcasts to (B, H, L, S), or None.
        is_causal: query i sees patterns 0..i only.
        dropout_p: probability with which single weights are dropped.

    Returns:
        (B, H, L, F).
    """
    if isinstance(scale, Tensor) or scale == 0:
        query, scale = query * scale, 1.0
    patterns = key.shape[-2]
    seen = None  # which queries see anything at all, where softmax must be told
    per_pattern = None
    if mask is not None:
        mask = mask.expand(*mask.shape[:-1], patterns)
        if is_causal and mask.shape[-2] == 1:
            per_pattern, mask = mask, None
        elif is_causal:
            mask = mask & _causal(query.shape[-2], patterns, query.device)
            is_causal = False
    has_no_op = isinstance(n, Tensor) or n > 0
    if not has_no_op:
        seen = _seen(mask, per_pattern, query.shape[-2])
        if (
            mask is not None and seen is not None
        ):  # rows that see nothing see all and are wiped, or gradients are NaN
            mask = mask | ~seen
    if per_pattern is not None or isinstance(n, Tensor) or n not in (0, 1):
        if key.shape[1] != query.shape[1]:  # heads may differ in what they see, or in n
            key, value = (
                x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value)
            )
        query, key = _with_bias(query, key, scale, n, per_pattern)
    elif has_no_op:
        key = F.pad(key, (0, 0, 1, 0))
    if has_no_op:
        value = F.pad(value, (0, 0, 1, 0))
        mask = None if mask is None else F.pad(mask, (1, 0), value=True)
        if is_causal:  # a query more, so that query i still sees the no-op and patterns 0..i
            query = F.pad(query, (0, 0, 1, 0))
    width = value.shape[-1]
    missing = query.shape[-1] - width  # kernels ask for one width
    if missing > 0:
        value = F.pad(value, (0, missing))
    elif missing < 0:
        query, key = (F.pad(x, (0, -missing)) for x in (query, key))
    out = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout_p,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    if has_no_op and is_causal:
        out = out[:, :, 1:]
    if missing > 0:
        out = out[..., :width]
    return out if seen is None else out.masked_fill(~seen, 0.0)


def _causal(queries: int, patterns: int, device: torch.device) -> Tensor:
    return torch.ones(queries, patterns, dtype=torch.bool, device=device).tril()


def _seen(mask: Tensor | None, per_pattern: Tensor | None, queries: int) -> Tensor | None:
    """Whether a query sees any pattern, (..., L, 1); None if all do."""
    if mask is not None:
        return mask.any(-1, keepdim=True)
    if per_pattern is None:
        return None
    so_far = per_pattern.cumsum(-1).transpose(-1, -2) > 0  # (..., S, 1): any of 0..i
    rows = torch.arange(queries, device=so_far.device).clamp_max(so_far.shape[-2] - 1)
    return so_far[..., rows, :]


def _with_bias(
    query: Tensor, key: Tensor, scale: float, n: float | Tensor, visible: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Query and key with the feature that carries ``log n`` of the no-op and the mask of patterns."""
    far = FAR.get(key.dtype, FAR_ELSEWHERE)
    strength = math.sqrt(far / abs(scale))
    feature = key.new_zeros(key.shape[:-1])
    if visible is not None:
        feature = feature.masked_fill(~visible.squeeze(-2), -math.copysign(strength, scale))
    key = torch.cat([key, feature[..., None]], dim=-1)
    query = torch.cat([query, query.new_full((*query.shape[:-1], 1), strength)], dim=-1)
    if isinstance(n, Tensor) or n > 0:
        log_n = torch.log(n).to(key.dtype) if isinstance(n, Tensor) else key.new_tensor(math.log(n))
        no_op = (log_n / (strength * scale)).reshape(1, -1, 1, 1).expand(*key.shape[:2], 1, 1)
        no_op = torch.cat([key.new_zeros(*key.shape[:2], 1, key.shape[-1] - 1), no_op], dim=-1)
        key = torch.cat([no_op, key], dim=-2)
    return query, key
