"""Hash, gather and accumulate in one compiled loop: memory layers for few tokens, on a CPU.

A forward pass through PyTorch's own operators is five or more calls, which for few tokens cost more
than the look-ups. numba (extra ``fast``) compiles this loop at its first use and keeps the result
beside the bytecode.

Shape letters: N tokens, D width of the input, F width of the output, K tables, R rows of all tables.
"""

import functools
import importlib.util
import math
from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

FEW_NUMBERS = 2**14
"""Tokens times width up to which the loop, which runs on one core, is used for float32 tables.

Beyond, PyTorch's own operators are faster: on two cores from about 300 tokens of width 64, 64 of
256 or 32 of 512 on.
"""


@functools.cache
def is_installed() -> bool:
    """Whether numba is here to compile the loop."""
    return importlib.util.find_spec("numba") is not None


def is_usable(x: Tensor, table: Tensor) -> bool:
    """Whether the loop can do this: plain tensors on a CPU, no derivatives, few tokens, numba there.

    PyTorch has no weighted sum of int8 rows: for those the loop is faster with any number of tokens.
    """
    return (
        not torch.is_grad_enabled()
        and x.device.type == table.device.type == "cpu"
        and x.dtype == torch.float32
        and table.dtype in (torch.float32, torch.int8)
        and (x.numel() <= FEW_NUMBERS or table.dtype == torch.int8)
        and not torch.compiler.is_compiling()
        and is_installed()
    )


def look_up(
    x: Float[Tensor, "*batch D"],
    table: Float[Tensor, "R F"] | Int[Tensor, "R F"],
    starts: Int[Tensor, " K"],
    scales: Float[Tensor, " K"],
    temperature: float,
    score: str,
) -> Float[Tensor, "*batch F"]:
    """``sum_k p(z_k) scales_k T_k[h(z_k)]``; see `stanhop_app.layers.memory.MemoryLayer`.

    Args:
        x: tokens.
        table: all tables, one below the other, float32 or int8.
        starts: row at which every table begins.
        scales: what the rows of every table are multiplied with.
        temperature: t.
        score: "softmax" or "l1".
    """
    tokens = x.detach().reshape(-1, x.shape[-1])
    out = torch.empty(tokens.shape[0], table.shape[1])
    _compiled()(
        tokens.numpy(),
        table.detach().numpy(),
        starts.numpy(),
        scales.numpy(),
        2 / temperature,
        score == "l1",
        out.numpy(),
    )
    return out.reshape(*x.shape[:-1], table.shape[1])


@functools.cache
def _compiled() -> Callable[..., None]:
    import numba

    compiled: Callable[..., None] = numba.njit(
        cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}
    )(_loop)
    return compiled


@no_type_check  # numba compiles the function itself, not what a checker wraps around it
def _loop(x: Any, table: Any, starts: Any, scales: Any, factor: float, l1: bool, out: Any) -> None:
    """What numba compiles; factor is 2 / t."""
    width, tables, columns = x.shape[1], starts.shape[0], out.shape[1]
    longer, narrow = width % tables, width // tables
    factor, one = np.float32(factor), np.float32(1)
    rows = np.empty(tables + 3, np.int64)
    weights = np.zeros(tables + 3, np.float32)  # three more of weight 0, so that four go together
    for n in range(x.shape[0]):
        column = 0
        for k in range(tables):
            row, inverse, size = 0, one, np.float32(0)
            for i in range(narrow + (k < longer)):
                z = x[n, column + i]
                if z >= 0:
                    row |= 1 << i
                else:
                    z = -z
                inverse *= one + math.exp(-factor * z)
                size += z
            column += narrow + (k < longer)
            rows[k] = starts[k] + row
            weights[k] = scales[k] / inverse
            if l1:
                weights[k] *= size * factor * np.float32(0.5)
        rows[tables:] = rows[tables - 1]
        for j in range(columns):
            out[n, j] = 0
        for k in range(0, tables, 4):
            a, b = table[rows[k]], table[rows[k + 1]]
            c, d = table[rows[k + 2]], table[rows[k + 3]]
            p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            for j in range(columns):
                out[n, j] += (p * a[j] + q * b[j]) + (r * c[j] + s * d[j])
