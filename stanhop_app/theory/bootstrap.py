"""How well one number tells two groups apart, with an interval from a bootstrap of blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

BLOCKS = 20
"""Neighbouring samples are drawn together in the bootstrap, in so many blocks."""


DRAWS = 500


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its 95% interval, from a bootstrap of blocks."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def auc(larger: Float[Tensor, " N"], smaller: Float[Tensor, " M"]) -> float:
    """Probability that a number of the first group exceeds one of the second; ties count half."""
    ordered = torch.cat([larger, smaller]).double()
    _, inverse, counts = ordered.unique(return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0) - (counts - 1) / 2
    total = ranks[inverse[: len(larger)]].sum().item()
    n, m = len(larger), len(smaller)
    return (total - n * (n + 1) / 2) / (n * m)


def interval(statistic: Any, one: Tensor, other: Tensor, generator: torch.Generator) -> Interval:
    """A statistic of two groups, and the middle 95% of its values over draws of blocks."""
    blocks = [blocks_of(len(group)) for group in (one, other)]
    draws = []
    for _ in range(DRAWS):
        picked = []
        for group, parts in zip((one, other), blocks, strict=True):
            chosen = torch.randint(len(parts), (len(parts),), generator=generator).tolist()
            picked.append(group[torch.cat([parts[i] for i in chosen])])
        draws.append(statistic(*picked))
    ordered = sorted(draws)
    return Interval(
        value=statistic(one, other),
        low=ordered[int(0.025 * DRAWS)],
        high=ordered[int(0.975 * DRAWS) - 1],
    )


def blocks_of(count: int) -> Sequence[Tensor]:
    return torch.arange(count).tensor_split(min(BLOCKS, count))
