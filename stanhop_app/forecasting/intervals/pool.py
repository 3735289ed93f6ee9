"""What a forecaster missed, out of sample, as the distribution of what it will miss.

For a window x the stored residuals e_i of past windows have weights w_i(x), and a scale: the spread of the
last steps of x over that of the windows that they are of::

    P(y <= forecast(x) + z) = sum_i w_i(x) [ e_i s(x) / s_i <= z ]

Weights are even, or those of the nearest windows by an association (`stanhop_app.forecasting.external`), the
idea of HopCPT (arXiv 2303.12783, where weights are learned by gradient; here nothing is). Residuals are whole
trajectories: one drawn by its weight is a sample path whose steps and variates belong together.

Shape letters: B queries, V stored residuals, L horizon, C variates, K neighbours, Q levels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.retrieval import weights
from stanhop_app.forecasting.external.store import Store
from stanhop_app.models.holes import between

SMALLEST = 1e-6
"""Least spread, of a column that never moved."""
SMALLEST_SPREAD = 0.05
"""Least spread of a window, in mean ones: a sensor that stood still for a day will move again."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How stored residuals become a distribution."""

    steps: int | None
    """Latest steps whose spread scales residuals; None: they are taken as they are."""
    lag: int = 1
    """Steps between the values whose differences are the spread: 1, or a season, so that what every season
    brings is none of it. Of monthly series that is most of what moves from one step to the next."""
    nearest: bool
    """Whether the windows most alike count, by their weights; else all count alike."""

    @property
    def name(self) -> str:
        """In words."""
        kind = "of windows alike" if self.nearest else "of all windows"
        if self.steps is None:
            return f"residuals {kind}"
        beside = "" if self.lag == 1 else f" beside those {self.lag} before"
        return f"residuals {kind}, by the last {self.steps} steps{beside}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Residuals with the way they are read."""

    memory: Memory
    """Whose store has the residuals, and which says which windows are alike; nothing is corrected by it."""
    way: Way
    spread: Tensor
    """(V, C) of the stored windows; ones where residuals are not scaled."""

    @classmethod
    def of(cls, memory: Memory, way: Way) -> "Pool":
        """The residuals of a store, read in a way."""
        store = memory.store
        if way.steps is None:
            return cls(memory=memory, way=way, spread=torch.ones(len(store), store.rows.shape[1]))
        parts = torch.arange(len(store)).split(1024)
        rows = torch.cat([spread_of(store.windows(way.steps, part), way) for part in parts])
        return cls(memory=memory, way=way, spread=rows)

    @property
    def store(self) -> Store:
        """The residuals."""
        return self.memory.store

    def weights(
        self,
        windows: Tensor,
        when: Tensor | None,
        off: Tensor | None = None,
        *,
        causal: bool = True,
    ) -> Tensor:
        """Weights of all stored residuals, (B, V), which sum to 1 where some may be read, else to 0.

        Args:
            windows: (B, T, C), scaled.
            when: (B, 2) of their first targets; None: nobody knows, and all is read.
            off: (B, V), what is not read.
            causal: whether what had not ended before the first targets is not read, either.
        """
        allowed = torch.ones(len(windows), len(self.store), dtype=torch.bool)
        if causal and when is not None:
            allowed &= self.store.ends[None] < when[:, :1]
        if off is not None:
            allowed &= ~off
        if not self.way.nearest:
            even = allowed.float()
            return even / even.sum(1, keepdim=True).clamp_min(1)
        distances = self.memory.distances(windows, when)[:1].masked_fill(~allowed, torch.inf)
        closest = distances.topk(min(self.memory.rule.neighbours, len(self.store)), largest=False)
        read = weights(closest.values, self.memory.rule, self.memory.typical[:1])[0]
        total = read.sum(1, keepdim=True)  # below 1 where an association has a no-op
        return torch.zeros(allowed.shape).scatter(
            1, closest.indices[0], read / total.clamp_min(1e-12)
        )

    def scale(self, windows: Tensor) -> Tensor:
        """Spread of windows, (B, C); ones where residuals are not scaled."""
        if self.way.steps is None:
            return torch.ones(len(windows), windows.shape[2])
        return self._within(spread_of(windows, self.way))

    def residuals(self, steps: Tensor | None = None) -> Tensor:
        """Stored residuals over the spread of their windows, (V, L, C); of some steps only."""
        missed = self.store.missed if steps is None else self.store.missed[:, steps]
        return missed / self._within(self.spread)[:, None]

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Least and largest spread that a window counts with, (C,) each, from those of the validation rows.

        That residuals grow as spreads do was judged on these alone. A currency that was pegged then and is
        not now moves hundreds of times as much; what is missed of it need not, and intervals were that wide.
        """
        judged = self.spread[self.store.part == 0]
        least = (SMALLEST_SPREAD * judged.mean(0)).clamp_min(SMALLEST)
        return least, torch.maximum(judged.amax(0), least)

    def _within(self, spread: Tensor) -> Tensor:
        least, largest = self.bounds
        return torch.minimum(torch.maximum(spread, least), largest)


def spread_of(windows: Tensor, way: Way) -> Tensor:
    """Root mean square of the differences, a lag apart, of the last steps of windows (B, T, C): (B, C)."""
    assert way.steps is not None
    last = windows[:, -way.steps :]
    if bool(last.isnan().any()):
        last = between(windows)[:, -way.steps :]
    return (last[:, way.lag :] - last[:, : -way.lag]).square().mean(1).sqrt()


def quantiles(values: Tensor, shares: Tensor, levels: Tensor) -> Tensor:
    """Weighted quantiles, (Q, ...) of values (V, ...), by lines between the middles of the weights' steps.

    Args:
        values: (V, ...); one that is NaN is not read in its place.
        shares: their weights (V,) of sum 1; those of weight 0 are not read.
        levels: (Q,) in [0, 1]; or (Q, C), of every last place of the values its own.
    """
    kept = shares > 0
    shape = values.shape[1:]
    w, rising = shares[kept].double().sort(stable=True)
    columns = values[kept][rising].flatten(1).T.contiguous()  # (N, V')
    w = w / w.sum()  # in float32 they sum to 1 nearly, and the last quantiles would jump
    # On a CPU NumPy sorts values alone five times as fast as torch does. Of equal values the lighter come
    # first, whatever rows they stand in, so that the order of rows tells nothing.
    if bool((w == w[0]).all()):
        columns = torch.from_numpy(np.sort(columns.numpy(), axis=1))
        w = w[None]
    else:
        order = torch.from_numpy(np.argsort(columns.numpy(), axis=1, kind="stable"))
        columns, w = columns.gather(1, order), w[order]
    last = torch.full((1, 1), columns.shape[1] - 1)
    if bool(columns[:, -1].isnan().any()):  # what nobody knows is sorted behind the others
        lost = columns.isnan()
        w = w.expand(columns.shape).masked_fill(lost, 0.0)
        w = w / w.sum(1, keepdim=True)
        last = (~lost).sum(1, keepdim=True) - 1
    places = w.cumsum(1) - w / 2  # (N, V'), or (1, V') of all columns
    if levels.ndim == 1:
        at = levels.expand(len(places), -1)
    else:
        at = levels.expand(*shape[:-1], *levels.shape).movedim(-2, 0).flatten(1).T
        places = places.expand(len(at), -1)
    at, places = at.double().contiguous(), places.contiguous()
    above = torch.searchsorted(places, at).clamp_min(1)
    above = torch.minimum(above, last).clamp_min(0)
    below = (above - 1).clamp_min(0)
    low, high = places.gather(1, below), places.gather(1, above)
    share = ((at - low) / (high - low).clamp_min(1e-12)).clamp(0, 1).to(values.dtype)
    below, above = (index.expand(len(columns), -1) for index in (below, above))
    between_ = torch.lerp(columns.gather(1, below), columns.gather(1, above), share)
    return between_.T.reshape(-1, *shape)
