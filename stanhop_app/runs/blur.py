"""Theory meets practice: how many windows a run's external memory holds before its retrieval blurs.

A stored window is *retrieved* where it has most of the weights of a query that is nearly it. By the theory of
modern Hopfield networks (Ramsauer et al., arXiv 2008.02217, theorem 5, here for distances) its share is at
least ``1 / (1 + (M - 1) exp(-b D))``, with M windows stored and D the squared distance to the nearest
other: the store holds ``exp(b D)`` windows before a mean of them is read instead. Both are measured here, on
a growing part of the store, at one inverse temperature b for all queries: the memory's own over the typical
squared distance. Windows that share a row are no others: they are the same situation.

Shape letters: Q queries, M stored windows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.windows import evenly
from stanhop_app.errors import DataError
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.novelty import (
    energies,
    of_training,
    ordinary,
    percentile,
    sharing,
)
from stanhop_app.forecasting.external.retrieval import chunks
from stanhop_app.layers.association import find_association

QUERIES = 200
"""Stored windows that are asked for, evenly over all."""
SMALLEST = 64
"""Windows of the smallest part of the store; every further one is four times as large."""
BINS = (0.0, 50.0, 80.0, 95.0, 100.0)
"""Percentiles of novelty between which windows are put together."""
SHARPEST = 2.0**20
"""Largest factor that is tried on the inverse temperature."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Blur:
    """What a store is to its memory."""

    sizes: pd.DataFrame
    """A row a size of the store: squared distance to the nearest other window (median, in typical ones),
    share of the weights that a window has of itself, the bound below it, number of windows that are read (the
    exponential of the weights' entropy), share of queries with noise whose window has the largest weight,
    and the factor on the inverse temperature at which a window has half of the weights."""
    novelty: pd.DataFrame
    """A row a range of novelty: stored windows behind the training rows in it, their mean energy, and the
    mean square of what the linear map missed of them."""
    beta: float
    """Inverse temperature of retrieval, times the typical squared distance."""

    @property
    def verdict(self) -> str:
        """What they come to, in one sentence."""
        last = self.sizes.iloc[-1]
        kind = (
            "single windows" if last["own weight"] > 0.5 else f"means of about {last['read']:.0f}"
        )
        return (
            f"of {self.sizes.index[-1]:,} stored windows {kind} are read; a window has half of its own "
            f"weights at {last['sharper']:.3g} times the inverse temperature."
        )


@torch.no_grad()
def blur(memory: Memory, *, seed: int = 0) -> Blur:
    """Measure a memory on parts of its own store.

    Args:
        memory: with at least two windows that share no row.
        seed: of the noise, whose squared length is half the typical squared distance.

    Raises:
        DataError: if no two of its windows are apart.
    """
    count, when = len(memory.store), memory.store.when
    earliest = int(when[:, 0].argmin())
    if bool(sharing(memory, when[earliest : earliest + 1]).all()):
        raise DataError(
            f"all windows that the memory stores ({count:,}) share rows, so that none can be mistaken for "
            "another; it takes more of them."
        )
    generator = torch.Generator().manual_seed(seed)
    rows = {size: _measured(memory, size, generator) for size in _sizes(count)}
    sizes = pd.DataFrame.from_dict(rows, orient="index").rename_axis("windows")
    return Blur(sizes=sizes, novelty=_by_novelty(memory), beta=memory.rule.sharpness)


def _sizes(count: int) -> Iterator[int]:
    size = SMALLEST
    while size < count:
        yield size
        size *= 4
    yield count


def _measured(memory: Memory, size: int, generator: torch.Generator) -> dict[str, float]:
    """What one part of the store, thinned evenly, comes to."""
    part = replace(memory, store=memory.store.only(evenly(len(memory.store), size)))
    numbers = evenly(size, QUERIES)
    windows, when = part.store.windows(memory.kind.steps, numbers), part.store.when[numbers]
    deviation = memory.spread[0] * math.sqrt(0.5 * float(memory.typical[0]) / windows[0].numel())
    noisy = windows + deviation * torch.randn(windows.shape, generator=generator)
    noisy[:, -1] = windows[:, -1]  # of which keys are less
    clean, damaged = (_distances(part, x, when, numbers) for x in (windows, noisy))
    typical = float(memory.typical[0])
    beta = memory.rule.sharpness / typical
    own = torch.arange(len(numbers)), numbers
    weights = _weights(memory, clean, beta)
    entropy = -torch.special.xlogy(weights, weights).sum(1)
    others = clean.index_put(own, torch.tensor(math.inf))
    gap = others.amin(1)
    bound = 1 / (1 + (size - 1) * torch.exp(-beta * gap))
    return {
        "nearest": float(gap.median()) / typical,
        "own weight": float(weights[own].mean()),
        "bound": float(bound.mean()),
        "read": float(entropy.exp().mean()),
        "recalled": float((damaged.argmin(1) == numbers).float().mean()),
        "sharper": _sharper(memory, clean, beta, own),
    }


def _distances(memory: Memory, windows: Tensor, when: Tensor, numbers: Tensor) -> Tensor:
    """Squared distances (Q, M), infinite to windows that share a row, but for the one that is asked for."""
    parts = []
    for some in chunks(len(windows), len(memory.store), len(memory.spread)):
        near = sharing(memory, when[some])
        near[torch.arange(len(near)), numbers[some]] = False
        parts.append(memory.distances(windows[some], when[some])[0].masked_fill(near, torch.inf))
    return torch.cat(parts)


def _weights(memory: Memory, distances: Tensor, beta: float) -> Tensor:
    """Weights of all stored windows, by the memory's association at one inverse temperature, (Q, M)."""
    scores = (-beta * distances).clamp_min(-1e9)
    return find_association(memory.rule.association)(scores)


def _sharper(memory: Memory, distances: Tensor, beta: float, own: tuple[Tensor, Tensor]) -> float:
    """Factor on beta at which the mean own weight is a half, by bisection of its logarithm."""
    low, high = 1 / SHARPEST, SHARPEST
    for _ in range(30):
        middle = math.sqrt(low * high)
        share = float(_weights(memory, distances, beta * middle)[own].mean())
        low, high = (low, middle) if share > 0.5 else (middle, high)
    return math.sqrt(low * high)


def _by_novelty(memory: Memory) -> pd.DataFrame:
    """Energy and what was missed of windows behind the training rows, by how new they were."""
    later = (memory.store.part > 0).nonzero().flatten()
    later = later[evenly(len(later), 5 * QUERIES)]
    if not len(later) or not of_training(memory):
        return pd.DataFrame(columns=["windows", "energy", "missed"])
    trained = memory.store.only((memory.store.part == 0).nonzero().flatten())
    known = replace(memory, store=trained)
    windows, when = memory.store.windows(memory.kind.steps, later), memory.store.when[later]
    energy = energies(known, windows, when)
    ranks = percentile(ordinary(known), energy)
    table = pd.DataFrame(
        {
            "novelty": pd.cut(ranks.numpy(), BINS, include_lowest=True),
            "energy": energy.numpy(),
            "missed": memory.store.missed[later].square().mean((1, 2)).numpy(),
        }
    )
    table.loc[~np.isfinite(table["energy"]), "energy"] = np.nan
    groups = table.groupby("novelty", observed=False)
    made = groups.agg(
        windows=("missed", "size"), energy=("energy", "mean"), missed=("missed", "mean")
    )
    return made.set_axis([f"{int(b.left + 0.5)} to {int(b.right)}%" for b in made.index])
