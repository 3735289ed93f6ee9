"""softmax and softmax1 retrieval through PyTorch's fused attention kernels, exactly.

Without derivatives and masks, on a CPU, softmax1 is what softmax retrieves, times ``sigmoid(lse - log n)``
with lse the log-sum-exp of the scores, which the kernel returns: nothing is copied. On CUDA it is so with
derivatives, too (`stanhop_app.layers.no_op`). Everywhere else
the no-op of softmax1 is one more stored pattern: value 0, score ``log n``. With n = 1 that is a zero key. Any
other n, and a mask of patterns beside a causal order, are a *bias per pattern*, which one
more feature carries: f on every query, g on the pattern, ``beta f g`` the bias; a masked pattern's own key
becomes 0. So no mask of queries times patterns is ever built, unless the caller brings one.

Shape letters: B batch, H heads, G heads of keys and values, L queries, S stored patterns.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stanhop_app.layers import no_op

FAR = {torch.float16: 2e4}
FAR_ELSEWHERE = 1e12
"""How far below 0 the score of a masked pattern is: the scores of the others must be well above."""
LARGEST_HALF = 2.0**15
WIDTHS = {"cpu": 1}
"""What widths must be a multiple of, by device; the kernels of other devices ask for 8."""


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float | Tensor,
    log_n: Tensor | float | None,
    mask: Tensor | None,
    is_causal: bool,
    dropout_p: float,
) -> Tensor:
    """Softmax retrieval, with a no-op or without.

    Args:
        query: (B, H, L, E).
        key: (B, G, S, E), S at least 1.
        value: (B, G, S, F).
        scale: beta, a number or a tensor that broadcasts against (B, H, L, 1).
        log_n: score of the no-op, a number or (1, H, 1, 1); None: there is none.
        mask: bool, 4-D, broadcasts to (B, H, L, S), or None.
        is_causal: query i sees patterns 0..i only.
        dropout_p: probability with which single weights are dropped.

    Returns:
        (B, H, L, F).
    """
    if isinstance(scale, Tensor) or scale == 0:
        query, scale = query * scale, 1.0
    if (
        log_n is not None
        and mask is None
        and dropout_p == 0
        and _is_plain(query, key, value, log_n)
    ):
        return _by_log_sum_exp(query, key, value, scale, log_n, is_causal)
    if log_n is not None and mask is None and dropout_p == 0 and _on_a_card(query, key, value):
        return no_op.retrieve(query, key, value, scale, log_n, is_causal)
    queries, patterns = query.shape[-2], key.shape[-2]
    rows = per_pattern = None
    if mask is not None and mask.shape[-1] == 1 and patterns > 1:
        rows, mask = mask, None  # which queries may retrieve at all
    elif mask is not None and is_causal and mask.shape[-2] == 1:
        per_pattern, mask = mask, None
    elif mask is not None and is_causal:
        mask = mask & causal_mask(query, patterns)
        is_causal = False
    if log_n is None and (mask is not None or per_pattern is not None):
        rows = _seen(mask, per_pattern, queries)
        if mask is not None:  # rows that see nothing see all and are wiped, or gradients are NaN
            mask = mask | ~rows
    biased = per_pattern is not None or isinstance(log_n, Tensor) or log_n not in (None, 0)
    if key.shape[1] != query.shape[1] and (biased or query.device.type != "cpu"):
        # Heads may differ in their bias; and few kernels know shared heads together with a mask.
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    if biased:
        query, key = _with_bias(query, key, scale, log_n, per_pattern)
    elif log_n is not None:
        key = F.pad(key, (0, 0, 1, 0))
    if log_n is not None:
        value = F.pad(value, (0, 0, 1, 0))
        mask = None if mask is None else F.pad(mask, (1, 0), value=True)
        if is_causal:  # a query more, so that query i still sees the no-op and patterns 0..i
            query = F.pad(query, (0, 0, 1, 0))
    width = value.shape[-1]
    query, key, value = _one_width(query, key, value)
    out = _kernel(query, key, value, scale, mask, is_causal, dropout_p)
    if log_n is not None and is_causal:
        out = out[:, :, 1:]
    out = out[..., :width]
    return out if rows is None else out.masked_fill(~rows, 0.0)


def _kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    mask: Tensor | None,
    is_causal: bool,
    dropout_p: float,
) -> Tensor:
    """PyTorch's own attention; heads may share keys and values."""
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout_p,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _is_plain(query: Tensor, key: Tensor, value: Tensor, log_n: Tensor | float) -> bool:
    """Whether the CPU's kernel can be called by itself: no derivatives, heads and widths equal."""
    learned = any(isinstance(x, Tensor) and x.requires_grad for x in (query, key, value, log_n))
    return (
        query.device.type == "cpu"
        and not (torch.is_grad_enabled() and learned)
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and query.shape[-1] == value.shape[-1]
        and query.numel() > 0
        and not torch.compiler.is_compiling()
    )


def _on_a_card(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether a kernel of CUDA tells the log-sum-exp of these; it knows no float64."""
    known = (torch.float32, torch.float16, torch.bfloat16)
    return (
        query.device.type == "cuda"
        and query.dtype in known
        and no_op.can_retrieve(query, key, value)
    )


def _by_log_sum_exp(
    query: Tensor, key: Tensor, value: Tensor, scale: float, log_n: Tensor | float, is_causal: bool
) -> Tensor:
    """``softmax1_n = softmax sigmoid(lse - log n)``: no copy of keys and values for the no-op."""
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    out, log_sum_exp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal, scale=scale
    )
    share = torch.sigmoid(log_sum_exp.unsqueeze(-1) - log_n)
    retrieved: Tensor = out.mul_(share.to(out.dtype))
    return retrieved


def causal_mask(query: Tensor, patterns: int) -> Tensor:
    """Query i sees patterns 0..i only: (L, S) bool."""
    return query.new_ones(query.shape[-2], patterns, dtype=torch.bool).tril()


def _seen(mask: Tensor | None, per_pattern: Tensor | None, queries: int) -> Tensor:
    """Whether a query sees any pattern, (..., L or 1, 1)."""
    if mask is not None:
        return mask.any(-1, keepdim=True)
    assert per_pattern is not None
    so_far = per_pattern.cumsum(-1).transpose(-1, -2) > 0  # (..., S, 1): any of 0..i
    last = torch.arange(queries, device=so_far.device).clamp_max(so_far.shape[-2] - 1)
    return so_far[..., last, :]


def _one_width(*tensors: Tensor) -> list[Tensor]:
    """Tensors of one width, padded with zeros, contiguous in it: what fused kernels ask for."""
    multiple = WIDTHS.get(tensors[0].device.type, 8)
    width = max(x.shape[-1] for x in tensors)
    width = -(-width // multiple) * multiple
    padded = [x if x.shape[-1] == width else F.pad(x, (0, width - x.shape[-1])) for x in tensors]
    return [x if x.stride(-1) == 1 else x.contiguous() for x in padded]


def _with_bias(
    query: Tensor, key: Tensor, scale: float, log_n: float | Tensor | None, visible: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Query and key with the feature that carries the no-op's score and the mask of patterns."""
    far = FAR.get(key.dtype, FAR_ELSEWHERE)
    strength = 2.0 ** round(math.log2(far / abs(scale)) / 2)  # a power of two: exact in every dtype
    if key.dtype == torch.float16:
        strength = min(strength, LARGEST_HALF)
    feature = key.new_zeros(*key.shape[:-1], 1)
    if visible is not None:
        hidden = ~visible.expand(*visible.shape[:-1], key.shape[-2]).transpose(-1, -2)
        key = key.masked_fill(hidden, 0.0)
        down = min(far / (strength * abs(scale)), torch.finfo(key.dtype).max)
        feature = feature.masked_fill(hidden, -math.copysign(down, scale))
    key = torch.cat([key, feature], dim=-1)
    query = torch.cat([query, query.new_full((*query.shape[:-1], 1), strength)], dim=-1)
    if log_n is None:
        return query, key
    if isinstance(log_n, Tensor):
        last = (log_n / (strength * scale)).to(key.dtype).expand(*key.shape[:2], 1, 1)
    else:
        last = key.new_full((*key.shape[:2], 1, 1), log_n / (strength * scale))
    last = F.pad(last, (key.shape[-1] - 1, 0))
    return query, torch.cat([last, key], dim=-2)
