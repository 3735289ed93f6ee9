"""Nearest neighbours and energies of samples among stored ones."""

import torch
from torch import Tensor

from stanhop_app.errors import OptionError

PAIRS = 5
"""Nearest pairs that are named."""


class Neighbours:
    """Distances of queries to a store, without those within the zone."""

    def __init__(
        self,
        queries: Tensor,
        store: Tensor,
        at: Tensor,
        stored_at: Tensor,
        zone: int,
        same: bool = False,
    ):
        distances = torch.cdist(queries, store, compute_mode="donot_use_mm_for_euclid_dist")
        near = (at[:, None] - stored_at[None]).abs() < zone
        if same:
            near |= torch.eye(len(at), dtype=torch.bool)
        self.all = distances
        self.distances = distances.masked_fill(near, float("inf"))
        self.nearest = self.distances.amin(1)
        if torch.isinf(self.nearest).any():
            raise OptionError(
                f"a zone of {zone} leaves a sample without neighbours; bring more samples, or a smaller zone."
            )
        self.differences = (queries - store[self.distances.argmin(1)]).square()

    def energies(self, beta: float) -> Tensor:
        """Distance energy of every query, without what lies in the zone."""
        return -torch.logsumexp(-beta * self.distances.square(), 1) / beta

    def pairs(self) -> tuple[tuple[int, int, float], ...]:
        """The nearest pairs: query, stored, distance."""
        chosen = self.nearest.argsort()[:PAIRS].tolist()
        return tuple((i, int(self.distances[i].argmin()), float(self.nearest[i])) for i in chosen)
