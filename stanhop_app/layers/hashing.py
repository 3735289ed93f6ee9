"""Hashing of memory layers: which row of every table a token reads, and with what weight.

Shape letters: D width, K tables.

References:
    Ding et al., "MemoryFormer", arXiv 2411.12992, equations 2-12; Zeng et al., "LookupFFN",
    arXiv 2403.07221, for the score "l1".
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.look_up import is_batched
from stanhop_app.layers.names import MOST_BITS

SCORES = ("softmax", "l1")
TEMPERATURES = (1e-6, 1e6)
"""Bounds beyond which float32 scores overflow."""


@dataclass(frozen=True)
class Hashing:
    """How inputs are hashed; layers whose hashing is equal can share what it returns.

    Raises:
        OptionError: bits outside 1..16 or above the width, or options that cannot be.
    """

    width: int
    """Width D of the inputs."""
    bits: int = 4
    """Coordinates of a chunk, at most."""
    temperature: float = 1.0
    """t of the score."""
    score: str = "softmax"
    """"softmax" or "l1"; see `stanhop_app.layers.memory.MemoryLayer`."""

    def __post_init__(self) -> None:
        chunk_widths(self.width, self.bits)
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:
            low, high = TEMPERATURES
            raise OptionError(f"temperature must be in {low:g}..{high:g}, got {self.temperature}.")
        if self.score not in SCORES:
            raise OptionError(f"score must be one of {', '.join(SCORES)}, got {self.score!r}.")

    @cached_property
    def widths(self) -> list[int]:
        """Widths of the chunks."""
        return chunk_widths(self.width, self.bits)

    def check(self, x: Tensor) -> None:
        """Raise OptionError for inputs of another width."""
        if x.shape[-1:] != (self.width,):
            raise OptionError(f"the input must be {self.width} wide, got {tuple(x.shape)}.")

    def __call__(self, x: Float[Tensor, "*batch D"]) -> "Hashed":
        """Hash every chunk of every token; the scores are differentiable."""
        self.check(x)
        rows, scores, *_ = _Hash.apply(x, len(self.widths), self.temperature, self.score == "l1")
        return Hashed(rows, scores, self)


class Hashed(NamedTuple):
    """Where every token looks in every table, and with what weight."""

    rows: Int[Tensor, "*batch K"]
    """Numbers of the rows, counted over all tables, one below the other."""
    scores: Float[Tensor, "*batch K"]
    by: Hashing
    """The hashing that made it."""


def chunk_widths(width: int, bits: int) -> list[int]:
    """How a width is cut: ceil(width / bits) chunks of at most ``bits``, as even as possible.

    Raises:
        OptionError: bits outside 1..16 or above the width.
    """
    if not isinstance(bits, int) or not 1 <= bits <= MOST_BITS:
        raise OptionError(f"bits must be a whole number in 1..{MOST_BITS}, got {bits}.")
    if width < bits:
        raise OptionError(f"the width must be at least bits, got width {width} and {bits} bits.")
    tables = -(-width // bits)
    return [width // tables + (k < width % tables) for k in range(tables)]


class _Hash(torch.autograd.Function):
    """Rows and scores; the derivative in closed form takes fewer passes over the input.

    With q = sigmoid(2 z / t), and b = 1 where z >= 0, else 0: the factor of a coordinate is q where
    b = 1, else 1 - q, and the derivative of log p is ``(2 / t) (b - q)``; at z = 0 that of the sign +1.
    """

    @staticmethod
    def forward(x: Tensor, tables: int, temperature: float, l1: bool) -> tuple[Tensor, ...]:
        share = torch.sigmoid(x * (2 / temperature))
        positive = x >= 0
        rows, start = [], 0
        for part in _groups(positive, tables):
            numbers = _pack(part)
            size = 2 ** part.shape[-1]
            starts = torch.arange(part.shape[-2], dtype=torch.int32, device=x.device) * size + start
            rows.append(numbers + starts)
            start += part.shape[-2] * size
        factor = torch.maximum(share, 1 - share)  # on a CPU 15 times as fast as where()
        p, scores = _scores(x, factor, tables, temperature, l1)
        # What the derivative needs besides can be kept as an output alone.
        return torch.cat(rows, dim=-1), scores, share, p if l1 else p.new_empty(())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, ctx.tables, ctx.temperature, ctx.l1 = inputs
        rows, scores, share, p = output
        ctx.mark_non_differentiable(rows, share, p)
        ctx.save_for_backward(x, scores.detach(), share, p)

    @staticmethod
    def backward(ctx: Any, _: Tensor, gradient: Tensor, *__: Tensor) -> Any:
        x, scores, share, p = ctx.saved_tensors
        positive, tables = x >= 0, ctx.tables
        if not torch.is_grad_enabled() and not ctx.l1 and not is_batched(gradient):
            out = positive.to(x.dtype).sub_(share)
            factors = _columns(gradient * scores * (2 / ctx.temperature), out)
            for part, factor in zip(_groups(out, tables), factors, strict=True):
                part.mul_(factor)
            return out, None, None, None
        if torch.is_grad_enabled():  # further derivatives are asked for
            share = torch.sigmoid(x * (2 / ctx.temperature))
            factor = torch.where(positive, share, 1 - share)
            p, scores = _scores(x, factor, tables, ctx.temperature, ctx.l1)
        missing = positive.to(x.dtype) - share
        factors = _columns(gradient * scores * (2 / ctx.temperature), x)
        parts = [g * f for g, f in zip(_groups(missing, tables), factors, strict=True)]
        if ctx.l1:
            signs = _groups(2 * positive.to(x.dtype) - 1, tables)
            factors = _columns(gradient * p / ctx.temperature, x)
            parts = [a + s * f for a, s, f in zip(parts, signs, factors, strict=True)]
        return (
            torch.cat(
                [part.reshape(*part.shape[:-2], part.shape[-2] * part.shape[-1]) for part in parts],
                dim=-1,
            ),
            None,
            None,
            None,
        )

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, *options: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        assert in_dims[0] is not None
        made = _Hash.apply(x.movedim(in_dims[0], 0), *options)
        return made, (0, 0, 0, 0 if made[-1].ndim else None)


def _scores(
    x: Tensor, factor: Tensor, tables: int, temperature: float, l1: bool
) -> tuple[Tensor, Tensor]:
    """Products of the factors of every chunk, and the scores."""
    p = torch.cat([_product(part) for part in _groups(factor, tables)], dim=-1)
    if not l1:
        return p, p
    sizes = torch.cat([part.abs().sum(-1) for part in _groups(x, tables)], dim=-1)
    return p, p * (sizes / temperature)


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


@cache
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
