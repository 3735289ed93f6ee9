"""Hash, gather and accumulate in one compiled loop: memory layers for few tokens, on a CPU.

A forward pass through PyTorch's own operators is five or more calls, which for few tokens cost more
than the look-ups. numba (extra ``fast``) compiles this loop at its first use and keeps the result
beside the bytecode.

Shape letters: N tokens, D width of the input, F width of the output, K tables, R rows of all tables.
"""

import functools
import importlib.util
import math
import warnings
from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.hashing import Hashing

FEW_NUMBERS = 2**14
"""Tokens times width up to which the loop, which runs on one core, is used for float32 tables.

Beyond, PyTorch's own operators are faster: on two cores from about 300 tokens of width 64, 64 of
256 or 32 of 512 on.
"""


def is_usable(x: Tensor, table: Tensor) -> bool:
    """Whether the loop can do this: plain tensors on a CPU, no derivatives, few tokens, numba there.

    PyTorch has no weighted sum of int8 rows: for those the loop is faster with any number of tokens.
    """
    return (
        not torch.is_grad_enabled()
        and type(x) in (Tensor, nn.Parameter)
        and x.device.type == table.device.type == "cpu"
        and x.dtype == torch.float32
        and table.dtype in (torch.float32, torch.int8)
        and (x.numel() <= FEW_NUMBERS or table.dtype == torch.int8)
        and not torch.compiler.is_compiling()
        and not torch._C._get_tracing_state()
        and not torch._C._are_functorch_transforms_active()
        and _compiled() is not None
    )


def look_up(
    x: Float[Tensor, "*batch D"],
    table: Float[Tensor, "R F"] | Int[Tensor, "R F"],
    hashing: Hashing,
    scales: Float[Tensor, " K"] | None = None,
) -> Float[Tensor, "*batch F"]:
    """``sum_k p(z_k) scales_k T_k[h(z_k)]``; see `stanhop_app.layers.memory.MemoryLayer`.

    Args:
        x: tokens.
        table: all tables, one below the other, float32 or int8.
        hashing: of the tables.
        scales: what the rows of every table are multiplied with; default 1.
    """
    hashing.check(x)  # the loop itself looks at no bounds
    tables = len(hashing.widths)
    if len(table) != sum(2**width for width in hashing.widths):
        raise OptionError(f"the tables have {len(table)} rows, which does not fit {hashing}.")
    tokens = x.detach().reshape(-1, x.shape[-1])
    out = tokens.new_empty(tokens.shape[0], table.shape[1])
    compiled = _compiled()
    assert compiled is not None
    compiled(
        tokens.resolve_neg().numpy(),
        table.detach().numpy(),
        _ones(tables) if scales is None else scales.detach().float().numpy(),
        2 / hashing.temperature,
        hashing.score == "l1",
        out.numpy(),
    )
    return out.reshape(*x.shape[:-1], table.shape[1])


@functools.cache
def _ones(tables: int) -> np.ndarray:
    return np.ones(tables, np.float32)


@functools.cache
def _compiled() -> Callable[..., None] | None:
    """The loop, compiled when it is first called; None where numba is not there."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        import numba
    except ImportError as error:  # there, but not for this Python or numpy
        warnings.warn(f"numba cannot be used: {error}", stacklevel=2)
        return None
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "nsz"},
    }
    compiled: Callable[..., None]
    try:
        compiled = numba.njit(cache=True, **options)(_loop)
    except RuntimeError:  # no folder that can be written to: it is compiled in every process
        compiled = numba.njit(**options)(_loop)
    return compiled


@no_type_check  # numba compiles the function itself, not what a checker wraps around it
def _loop(x: Any, table: Any, scales: Any, factor: float, l1: bool, out: Any) -> None:
    """What numba compiles; factor is 2 / t."""
    width, tables, columns = x.shape[1], scales.shape[0], out.shape[1]
    longer, narrow = width % tables, width // tables
    factor, one = np.float32(factor), np.float32(1)
    rows = np.empty(tables + 3, np.int64)
    weights = np.zeros(tables + 3, np.float32)  # three more of weight 0, so that four go together
    for n in range(x.shape[0]):
        column = start = 0
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
            rows[k] = start + row
            start += 1 << (narrow + (k < longer))
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
