"""Hashing of memory layers: which row of every table a token reads, and with what weight.

Shape letters: D width, K tables.

References:
    Ding et al., "MemoryFormer", arXiv 2411.12992, equations 2-12; Zeng et al., "LookupFFN",
    arXiv 2403.07221, for the score "l1".
"""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

SCORES = ("softmax", "l1")
MOST_BITS = 16


class Hashed(NamedTuple):
    """Where every token looks in every table, and with what weight."""

    rows: Int[Tensor, "*batch K"]
    """Counted over all tables, one below the other."""
    scores: Float[Tensor, "*batch K"]


def chunk_widths(width: int, bits: int) -> list[int]:
    """How a width is cut: ceil(width / bits) chunks of at most ``bits``, as even as possible.

    Raises:
        ValueError: bits outside 1..16 or above the width.
    """
    if not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits must be in 1..{MOST_BITS}, got {bits}.")
    if width < bits:
        raise ValueError(f"the width must be at least bits, got width {width} and {bits} bits.")
    tables = -(-width // bits)
    return [width // tables + (k < width % tables) for k in range(tables)]


def first_rows(widths: list[int]) -> Int[Tensor, " K"]:
    """Row at which every table begins; real numbers also where modules are built without any."""
    sizes = [2**width for width in widths]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return torch.tensor(starts, dtype=torch.int32, device=real_device())


def real_device() -> torch.device:
    """The default device, or the CPU where that is "meta": constants are not in any state dict."""
    device = torch.get_default_device()
    return torch.device("cpu") if device.type == "meta" else device


def hash_chunks(
    x: Float[Tensor, "*batch D"], starts: Int[Tensor, " K"], temperature: float, score: str
) -> Hashed:
    """Hash every chunk of every token; the scores are differentiable, once.

    Args:
        x: is cut into K chunks as `chunk_widths` says.
        starts: `first_rows`.
        temperature: t, as in `stanhop_app.layers.memory.MemoryLayer`.
        score: the same.
    """
    rows, scores = _Hash.apply(x, starts, temperature, score == "l1")
    return Hashed(rows, scores)


class _Hash(torch.autograd.Function):
    """Rows and scores; the derivative in closed form takes fewer passes over the input.

    With q = sigmoid(2 z / t), and b = 1 where z >= 0, else 0: the factor of a coordinate is q where
    b = 1, else 1 - q, and the derivative of log p is ``(2 / t) (b - q)``; at z = 0 that of the sign +1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, starts: Tensor, temperature: float, l1: bool) -> Any:
        share = torch.sigmoid(x * (2 / temperature))
        positive = x >= 0
        factor = torch.maximum(share, 1 - share)  # on a CPU 15 times as fast as where()
        tables = len(starts)
        rows = starts + torch.cat([_pack(part) for part in _groups(positive, tables)], dim=-1)
        p = torch.cat([_product(part) for part in _groups(factor, tables)], dim=-1)
        scores = p
        if l1:
            size = torch.cat([part.abs().sum(-1) for part in _groups(x, tables)], dim=-1)
            scores = p * (size / temperature)
        ctx.save_for_backward(share, positive, p, scores)
        ctx.temperature, ctx.l1 = temperature, l1
        ctx.mark_non_differentiable(rows)
        return rows, scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor, gradient: Tensor) -> Any:
        share, positive, p, scores = ctx.saved_tensors
        tables, out = p.shape[-1], positive.to(p.dtype).sub_(share)
        factors = _columns(gradient * scores * (2 / ctx.temperature), out)
        for part, factor in zip(_groups(out, tables), factors, strict=True):
            part.mul_(factor)
        if ctx.l1:
            sign = 2 * positive.to(p.dtype) - 1
            factors = _columns(gradient * p / ctx.temperature, out)
            for part, of, factor in zip(
                _groups(out, tables), _groups(sign, tables), factors, strict=True
            ):
                part.addcmul_(of, factor)
        return out, None, None, None


def _groups(x: Tensor, tables: int) -> list[Tensor]:
    """(..., D) -> views (..., k, w): the chunks of the longer width, then those of the shorter."""
    longer, width = x.shape[-1] % tables, x.shape[-1] // tables
    if not longer:
        return [x.unflatten(-1, (tables, width))]
    first, rest = x.split([longer * (width + 1), (tables - longer) * width], dim=-1)
    return [first.unflatten(-1, (longer, width + 1)), rest.unflatten(-1, (tables - longer, width))]


def _columns(per_table: Tensor, x: Tensor) -> list[Tensor]:
    """(..., K) -> views (..., k, 1) that meet the `_groups` of x."""
    longer = x.shape[-1] % per_table.shape[-1]
    parts = per_table.split([longer, per_table.shape[-1] - longer], dim=-1)
    return [part.unsqueeze(-1) for part in parts if part.shape[-1]]


def _pack(bits: Tensor) -> Tensor:
    """Numbers of bits along the last dimension, lowest first, as int32: exact in every dtype of x."""
    number = bits[..., 0].to(torch.int32)
    for i in range(1, bits.shape[-1]):
        number.add_(bits[..., i], alpha=2**i)
    return number


def _product(x: Tensor) -> Tensor:
    """Product over the last, short, dimension; in place, where `prod` is slow."""
    product = x[..., 0].clone()
    for i in range(1, x.shape[-1]):
        product.mul_(x[..., i])
    return product


def score_power(width: int, temperature: float, score: str) -> float:
    """Mean square of a chunk's score for a standard normal chunk.

    With u = |z| / t and s = sigmoid(2u), w coordinates: ``E[s^2]^w`` for "softmax"; for "l1" the w
    terms ``E[u^2 s^2] E[s^2]^(w - 1)`` and the w (w - 1) terms ``E[u s^2]^2 E[s^2]^(w - 2)``.
    """
    z = torch.linspace(0, 12, 12_001, dtype=torch.float64, device="cpu")
    density = (-z.square() / 2).exp() * (2 / math.pi) ** 0.5
    u = z / temperature
    square = torch.sigmoid(2 * u).square() * density
    none, once, twice = (float(torch.trapezoid(u**i * square, z)) for i in range(3))
    if score == "softmax":
        return none**width
    mixed = (width - 1) * once**2 * none ** (width - 2) if width > 1 else 0.0
    return width * (twice * none ** (width - 1) + mixed)
