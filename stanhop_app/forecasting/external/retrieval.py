"""Which stored windows are nearest, and how much each of them counts.

A window is known by its *key*: its last steps less the last value, over their spread in the store, and where
its first target lies in the cycle of a day (of a week, of a year) as a point on a circle. Distances are taken
over all variates together, and over each alone: what is like now in one need not be so in another.

Shape letters: Q queries, M stored windows, C variates, S steps of a key, K neighbours.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stanhop_app.layers.association import find_association

LARGEST_CHUNK = 2**21
"""Numbers of one matrix of queries by stored windows; more queries are taken in turns."""
NO_OP = 2.0
"""Squared distance, in typical ones, beyond which softmax1 calls nothing alike."""
NEAREST = 1e-6
"""Squared distance, in typical ones, below which two windows are the same."""
FARTHEST = -1e9
"""Score of what may not be retrieved."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How distances become weights."""

    neighbours: int = 100
    """Nearest windows that are read; the others have no weight."""
    association: str = "softmax"
    """An association (`stanhop_app.layers.association`) of minus the squared distances, times a beta."""
    sharpness: float = 2.0
    """beta times the squared distance to the query's nearest window; of an association with a no-op, which
    must not depend on the query, times the typical one."""


def circle(when: Tensor) -> Tensor:
    """Where first targets lie in their cycle, (Q, 2) as of `clock`, as points on a circle (Q, 2)."""
    angle = 2 * math.pi * when[:, 1]
    return torch.stack([angle.sin(), angle.cos()], dim=1).float()


def squared(queries: Tensor, keys: Tensor) -> Tensor:
    """Squared distances of queries (Q, S, C) to keys (M, S, C), of each variate: (C, Q, M)."""
    q, k = queries.permute(2, 0, 1), keys.permute(2, 0, 1)
    squares = k.square().sum(2)[:, None] + q.square().sum(2)[:, :, None]
    return torch.baddbmm(squares, q, k.transpose(1, 2), alpha=-2).clamp_min_(0.0)


def compared(each: Tensor, spread: Tensor, circles: tuple[Tensor, Tensor] | None) -> Tensor:
    """Squared distances as they are compared, over all variates and over each: (1 + C, Q, M).

    Args:
        each: of each variate (C, Q, M).
        spread: (1 + C,) root of the summed variances of the stored keys, over all variates and of each.
        circles: of queries and keys (`circle`), which count as much as all steps do; None: they do not count.
    """
    distances = torch.cat([each.sum(0, keepdim=True), each])
    distances /= spread.square()[:, None, None]
    if circles is not None:
        distances += torch.cdist(*circles).square()
    return distances


def nearest(distances: Tensor, allowed: Tensor | None, neighbours: int) -> tuple[Tensor, Tensor]:
    """The nearest allowed windows: squared distances and numbers, (..., Q, K); infinite where there is none.

    Args:
        distances: (..., Q, M).
        allowed: (Q, M); None: all are.
        neighbours: K, at most M.
    """
    if allowed is not None:
        distances = distances.masked_fill(~allowed, math.inf)
    closest = distances.topk(min(neighbours, distances.shape[-1]), dim=-1, largest=False)
    return closest.values, closest.indices


def weights(distances: Tensor, rule: Rule, typical: Tensor) -> Tensor:
    """Weights of the nearest windows, (G, Q, K); 0 where there is none.

    softmax1 has a no-op of log weight ``log K - beta NO_OP typical``: as if as many windows lay at that
    distance and said nothing. Far from all that is stored its weights vanish; those of the others sum to 1.

    Args:
        distances: squared, in rising order (G, Q, K).
        rule: how.
        typical: (G,) above 0, squared distance of a stored window to its nearest one.
    """
    association, there = find_association(rule.association), ~distances.isinf()
    scale = typical[:, None, None]
    if association.shift_invariant:
        scale = distances[..., :1].clamp_min(NEAREST * scale).clamp_max(1 / NEAREST)
    beta = rule.sharpness / scale
    scores = torch.where(there, -beta * distances, FARTHEST).clamp_min(FARTHEST)
    if not association.shift_invariant:  # its own no-op has log weight 0
        scores = scores - (math.log(distances.shape[-1]) - rule.sharpness * NO_OP)
    return association(scores) * there


def chunks(queries: int, stored: int, groups: int) -> Iterator[slice]:
    """Queries that are looked up at once."""
    size = max(LARGEST_CHUNK // max(stored * groups, 1), 1)
    for first in range(0, queries, size):
        yield slice(first, first + size)
