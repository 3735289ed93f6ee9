"""What dense and memory layers cost: parameters, bytes, multiply-adds, look-ups.

The "FLOPs" of the paper are multiply-adds. Norms, activations and softmax are not counted, there or here.

References:
    Ding et al., "MemoryFormer", arXiv 2411.12992, section 2.4 and tables 1, 3 and 5.
"""

import math
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stanhop_app.layers.hashing import Hashed, chunk_widths
from stanhop_app.layers.memory import MemoryLayer
from stanhop_app.layers.observe import hooked


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one layer, or of several: costs are added with ``+``."""

    parameters: int = 0
    bytes: int = 0
    """Bytes that the parameters take."""
    multiply_adds: int = 0
    """Multiply-adds of all tokens."""
    look_ups: int = 0
    """Rows of tables that all tokens read."""

    def __add__(self, other: "Cost") -> "Cost":
        names = ("parameters", "bytes", "multiply_adds", "look_ups")
        sums = (a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        return Cost(**dict(zip(names, sums, strict=True)))


@dataclass(frozen=True, kw_only=True)
class BlockCost:
    """Cost of a transformer block: what both kinds share, and what is dense or of memory layers."""

    attention: Cost
    """Scores and their product with the values."""
    dense: Cost
    """Four projections and a feed-forward network."""
    memory: Cost
    """Three projections that share a hash, no output projection, and a memory block."""


def linear_cost(
    in_features: int,
    out_features: int,
    *,
    tokens: int = 1,
    bias: bool = False,
    bytes_per_number: int = 4,
) -> Cost:
    """Cost of `nn.Linear`: D F multiply-adds a token."""
    parameters = in_features * out_features + bias * out_features
    return Cost(
        parameters=parameters,
        bytes=parameters * bytes_per_number,
        multiply_adds=tokens * in_features * out_features,
    )


def memory_layer_cost(
    in_features: int,
    out_features: int,
    *,
    bits: int,
    tokens: int = 1,
    bias: bool = False,
    hashed: bool = False,
    bytes_per_number: int = 4,
) -> Cost:
    """Cost of `MemoryLayer`: K F multiply-adds a token for its rows, and 2 D for the hash.

    Two a coordinate: one adds its bit, one multiplies its factor of p. So counted, all three
    figures of the paper's table 3 come out as printed; with its ``(bits + F) K`` the third does not.

    Args:
        in_features: width D.
        out_features: width F.
        bits: coordinates of a chunk, at most.
        tokens: that pass the layer.
        bias: whether it has one.
        hashed: whether the hash was made by another layer.
        bytes_per_number: 4 for float32, 2 for half precision, 1 for int8.
    """
    widths = chunk_widths(in_features, bits)
    parameters = sum(2**width for width in widths) * out_features + bias * out_features
    of_hash = 0 if hashed else 2 * in_features
    return Cost(
        parameters=parameters,
        bytes=parameters * bytes_per_number,
        multiply_adds=tokens * (len(widths) * out_features + of_hash),
        look_ups=tokens * len(widths),
    )


def feed_forward_cost(
    dim: int, hidden_dim: int, *, tokens: int = 1, bytes_per_number: int = 4
) -> Cost:
    """Cost of a dense `FeedForward`: its two maps, with biases."""
    up, down = (
        linear_cost(*sizes, tokens=tokens, bias=True, bytes_per_number=bytes_per_number)
        for sizes in ((dim, hidden_dim), (hidden_dim, dim))
    )
    return up + down


def memory_block_cost(
    dim: int, *, bits: int, expand_bits: int = 2, tokens: int = 1, bytes_per_number: int = 4
) -> Cost:
    """Cost of `MemoryBlock`: its two memory layers."""
    hidden = len(chunk_widths(dim, bits)) * (bits + expand_bits)

    def layer(width: int, out: int, of_bits: int) -> Cost:
        return memory_layer_cost(
            width, out, bits=of_bits, tokens=tokens, bytes_per_number=bytes_per_number
        )

    return layer(dim, hidden, bits) + layer(hidden, dim, bits + expand_bits)


def memory_cost(
    dim: int,
    *,
    tokens: int = 1,
    bits: int = 8,
    expand_bits: int = 2,
    bytes_per_number: int = 2,
    exact: bool = True,
) -> BlockCost:
    """Cost of one transformer block of width d over s tokens, dense and of memory layers.

    The paper's formulas (``exact=False``) are 2 s^2 d for attention, 12 s d^2 for the dense block, whose
    feed-forward network is 4 d wide, and 6 K s d for memory layers. Exactly, memory layers
    take ``(5 + expand_bits / bits) K d`` a token and their hashes, which the paper leaves out.

    Args:
        dim: width d.
        tokens: sequence length s.
        bits: of the projections and the first layer of the block.
        expand_bits: further bits of its second layer.
        bytes_per_number: 2 for the paper's half precision.
        exact: see above; parameters and bytes are exact in both cases.
    """

    def linear(width: int, out: int) -> Cost:
        return linear_cost(width, out, tokens=tokens, bytes_per_number=bytes_per_number)

    def projection(hashed: bool) -> Cost:
        return memory_layer_cost(
            dim, dim, bits=bits, tokens=tokens, hashed=hashed, bytes_per_number=bytes_per_number
        )

    dense = sum((linear(dim, dim) for _ in range(4)), linear(dim, 4 * dim) + linear(4 * dim, dim))
    memory = projection(False) + projection(True) + projection(True)
    memory += memory_block_cost(
        dim, bits=bits, expand_bits=expand_bits, tokens=tokens, bytes_per_number=bytes_per_number
    )
    if not exact:
        tables = len(chunk_widths(dim, bits))
        memory = Cost(
            parameters=memory.parameters,
            bytes=memory.bytes,
            multiply_adds=6 * tables * tokens * dim,
            look_ups=memory.look_ups,
        )
    attention = Cost(multiply_adds=2 * tokens**2 * dim)
    return BlockCost(attention=attention, dense=dense, memory=memory)


@torch.enable_grad()
def count_cost(module: nn.Module, *inputs: Any) -> Cost:
    """Cost of every `nn.Linear` and `MemoryLayer` that a module calls in one forward pass of these inputs.

    A hash that layers share counts once. Products of activations with each other (attention), other
    parameters, and `nn.MultiheadAttention`, which calls no layer for its projections, are left out. A layer
    that is called twice computes twice and is stored once.
    """
    total, stored, hashes = Cost(), set[int](), list[Hashed]()

    def count(
        layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: None
    ) -> None:
        nonlocal total
        given = next(iter((*arguments, *named.values())))
        width, out = int(layer.in_features), int(layer.out_features)  # type: ignore[arg-type]
        if isinstance(layer, MemoryLayer):
            shape, known = given.shape if isinstance(given, Tensor) else given.rows.shape, False
            if isinstance(given, Hashed):
                known = any(given is other for other in hashes)
                hashes.append(given)
            tokens, bits = math.prod(shape[:-1]), layer.hashing.bits
            cost = memory_layer_cost(width, out, tokens=tokens, bits=bits, hashed=known)
        else:
            cost = linear_cost(width, out, tokens=math.prod(given.shape[:-1]))
        parameters = () if id(layer) in stored else tuple(layer.parameters())
        stored.add(id(layer))
        total += Cost(
            parameters=sum(p.numel() for p in parameters),
            bytes=sum(p.numel() * p.element_size() for p in parameters),
            multiply_adds=cost.multiply_adds,
            look_ups=cost.look_ups,
        )

    layers = [m for m in module.modules() if isinstance(m, nn.Linear | MemoryLayer)]
    with hooked(((layer, count) for layer in layers), before=True):
        module(*inputs)
    return total
