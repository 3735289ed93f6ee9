"""Associative memories that the papers compare: one rule each that turns similarities into weights.

Shape letters: N queries, S stored patterns, D width.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import entmax15, softmax, softmax1, sparsemax

ORDER = 10
"""Degree of the polynomial memory."""


def polynomial(scores: Float[Tensor, "N S"]) -> Float[Tensor, "N S"]:
    """``s_i^10 / sum_j s_j^10``: a dense associative memory of order 10; all 0 for scores of 0.

    References:
        Krotov and Hopfield, arXiv 1606.01164; as a separation function: Millidge et al., arXiv 2202.04557.
    """
    # In units of the largest, so that tenth powers exist.
    unit = scores.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    powers = (scores / unit) ** ORDER
    return powers / powers.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)


MEMORIES: dict[str, Callable[[Tensor], Tensor]] = {
    "dense": softmax,
    "sparse": sparsemax,
    "entmax": entmax15,
    "polynomial": polynomial,
    "OutEffHop": softmax1,
}
"""Memories by name: modern, sparse and generalised sparse Hopfield, polynomial, OutEffHop."""


@torch.no_grad()
def complete(
    queries: Float[Tensor, "N D"],
    patterns: Float[Tensor, "S D"],
    memory: str,
    *,
    beta: float,
    steps: int = 1,
    tolerance: float = 1e-4,
) -> Float[Tensor, "N D"]:
    """Retrieve: ``x <- Xi^T rule(b Xi x)``, up to ``steps`` times or until no query moves by ``tolerance``.

    Args:
        queries: (N, D).
        patterns: Xi, (S, D).
        memory: name in `MEMORIES`.
        beta: inverse temperature; the polynomial memory does not depend on it.
        steps: at most.
        tolerance: Euclidean.

    Raises:
        OptionError: for an unknown memory.
    """
    if memory not in MEMORIES:
        raise OptionError(f"unknown memory {memory!r}; choose one of: {', '.join(MEMORIES)}.")
    rule, state = MEMORIES[memory], queries
    for _ in range(steps):
        after = rule(beta * state @ patterns.T) @ patterns
        moved = (after - state).norm(dim=-1).max()
        state = after
        if moved <= tolerance:
            break
    return state


def retrieval_bound(
    queries: Float[Tensor, "N D"],
    patterns: Float[Tensor, "S D"],
    wanted: Tensor,
    *,
    beta: float,
    no_op: bool,
) -> Float[Tensor, " N"]:
    """What one step's error ``|T(x) - xi|`` cannot exceed, for "dense" and "OutEffHop".

    ::

        dense       2 m (S - 1) exp(-b gap)                         gap = <xi, x> - max_other <xi_o, x>
        OutEffHop   2 m (S - 1) exp(-b gap) + m exp(-b <xi, x>)     m = max_i |xi_i|

    and 2 m in any case, where these say nothing.

    Written from ``T(x) - xi = sum_o p_o (xi_o - xi) - p_0 xi``: the weights of the others are at most
    ``exp(-b gap)``, that of the no-op at most ``exp(-b <xi, x>)``. It is the form of theorem 3.2 of arXiv
    2404.03828, whose constants we do not have; that the no-op makes a *bound* smaller does not follow.

    Args:
        queries: x, (N, D).
        patterns: (S, D).
        wanted: number of the pattern of each query, (N,).
        beta: b.
        no_op: whether to add its term.
    """
    scores = queries @ patterns.T
    own = scores.gather(1, wanted[:, None]).squeeze(1)
    others = scores.scatter(1, wanted[:, None], -math.inf).amax(1)
    largest = patterns.norm(dim=-1).max()
    bound = 2 * largest * (len(patterns) - 1) * torch.exp(-beta * (own - others))
    if no_op:
        bound = bound + largest * torch.exp(-beta * own)
    return bound.clamp(max=2 * float(largest))
