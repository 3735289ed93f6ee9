"""Weighted sums of table rows, and their derivatives as sparse products.

Shape letters: N tokens, K tables, R rows of all tables, F width of the output.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from stanhop_app.errors import warnings_as


def look_up(
    rows: Int[Tensor, "N K"], scores: Float[Tensor, "N K"], table: Float[Tensor, "R F"]
) -> Float[Tensor, "N F"]:
    """``sum_k scores_k table[rows_k]`` of every token; never an (N, K, F) tensor, forward or backward.

    Args:
        rows: ascending in each token, as those of a memory layer are.
        scores: weights, of the table's dtype.
        table: all tables, one below the other.
    """
    if table.device.type == "cuda" and table.dtype not in (torch.float32, torch.float64):
        # The weighted embedding_bag has no derivative in half precision on CUDA before PyTorch 2.13.
        return look_up(rows, scores.float(), table.float()).to(table.dtype)
    if _is_sparse_faster(scores, table):
        out: Tensor = _LookUp.apply(rows, scores, table)
        return out
    if (
        torch.compiler.is_exporting()
    ):  # ONNX has no weighted embedding_bag; here it may be (N, K, F)
        return (F.embedding(rows, table) * scores[..., None]).sum(-2)
    return F.embedding_bag(rows, table, mode="sum", per_sample_weights=scores)


def is_batched(gradient: Tensor) -> bool:
    """Whether several gradients come at once, of vmap or of ``is_grads_batched``."""
    if torch.compiler.is_compiling():
        return False
    kinds = torch._C._functorch
    return kinds.is_batchedtensor(gradient) or kinds.is_legacy_batchedtensor(gradient)


def _is_sparse_faster(scores: Tensor, table: Tensor) -> bool:
    """Whether derivatives are asked for on a CPU whose sparse products are MKL's."""
    return (
        torch.is_grad_enabled()
        and (scores.requires_grad or table.requires_grad)
        and table.device.type == "cpu"
        and table.dtype in (torch.float32, torch.float64)
        and scores.numel() > 0
        and not torch.compiler.is_compiling()
        and torch.backends.mkl.is_available()
    )


@functools.cache
def _hear_of_beta() -> None:
    """Let PyTorch say once, unheard, that its sparse formats are in beta."""
    with warnings_as("ignore"):
        zero = torch.zeros(1, 1, dtype=torch.int32, device="cpu")
        _sparse(zero, torch.ones(1, 1, device="cpu"), 1)


def _sparse(rows: Tensor, values: Tensor, size: int) -> Tensor:
    """(N, R) with the values of every token in its K columns."""
    tokens, tables = rows.shape
    count = tokens * tables + 1
    starts = torch.arange(0, count, tables, dtype=rows.dtype, device=rows.device)
    return torch.sparse_csr_tensor(
        starts, rows.flatten(), values.flatten(), (tokens, size), check_invariants=False
    )


class _LookUp(torch.autograd.Function):
    """Derivatives; S is the (N, R) matrix of scores: out = S T, dT = S^T g, dS = g T^T where S has entries.

    The backward pass of `embedding_bag` gives the same, three times as slowly, and once only.
    """

    @staticmethod
    def forward(rows: Tensor, scores: Tensor, table: Tensor) -> Tensor:
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=scores)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, scores, table = ctx.saved_tensors
        of_scores = of_table = None
        # Sparse products have no further derivatives, and take no several gradients at once.
        if torch.is_grad_enabled() or is_batched(gradient):
            if ctx.needs_input_grad[1]:
                of_scores = (F.embedding(rows, table) * gradient.unsqueeze(-2)).sum(-1)
            if ctx.needs_input_grad[2]:
                parts = (scores.unsqueeze(-1) * gradient.unsqueeze(-2)).reshape(-1, table.shape[1])
                of_table = torch.zeros_like(table).index_add(0, rows.flatten(), parts)
            return None, of_scores, of_table
        _hear_of_beta()
        gradient = gradient.contiguous()
        if ctx.needs_input_grad[1]:
            zeros = _sparse(rows, torch.zeros_like(scores), len(table))
            of_scores = torch.sparse.sampled_addmm(zeros, gradient, table.t()).values()
            of_scores = of_scores.view_as(scores)
        if ctx.needs_input_grad[2]:
            of_table = _transposed(rows, scores, len(table)) @ gradient
        return None, of_scores, of_table

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], rows: Tensor, scores: Tensor, table: Tensor
    ) -> tuple[Tensor, int]:
        size = info.batch_size
        rows, scores = (
            x.movedim(d, 0) if d is not None else x.expand(size, *x.shape)
            for x, d in zip((rows, scores), in_dims, strict=False)
        )
        if in_dims[2] is not None:  # tables of their own: one below the other
            table = table.movedim(in_dims[2], 0)
            starts = torch.arange(size, device=rows.device) * table.shape[1]
            rows = rows + starts.to(rows.dtype)[:, None, None]
            table = table.flatten(0, 1)
        out = look_up(rows.flatten(0, 1), scores.flatten(0, 1), table)
        return out.unflatten(0, (size, -1)), 0


def _transposed(rows: Tensor, values: Tensor, size: int) -> Tensor:
    """The transpose of `_sparse`, (R, N): entries sorted by row, which is quick for short integers."""
    tokens, tables = rows.shape
    flat = rows.flatten()
    order = flat.to(torch.int16 if size <= 2**15 else torch.int32).sort(stable=True).indices
    starts = torch.zeros(size + 1, dtype=torch.int32, device=rows.device)
    torch.cumsum(flat.bincount(minlength=size), 0, out=starts[1:])
    return torch.sparse_csr_tensor(
        starts,
        order.to(torch.int32).div_(tables, rounding_mode="floor"),
        values.flatten()[order],
        (size, tokens),
        check_invariants=False,
    )
