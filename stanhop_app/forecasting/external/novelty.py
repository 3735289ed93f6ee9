"""How new a window is: its energy against a store, as a percentile of those of stored windows.

The energy is that of an associative memory of the keys, ``-1/b log sum_i exp(-b d_i^2)``
(`stanhop_app.theory.energy.distance_energy`), with d_i the distance by which the memory itself compares: what
it would retrieve well is not new. Windows that share a row say nothing of how new one is, and are left out.

Shape letters: B queries, M stored windows, T lookback, C variates.
"""

import torch
from torch import Tensor

from stanhop_app.data.windows import evenly
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.retrieval import chunks

CALIBRATED = 1000
"""Stored windows whose energies are kept to compare with, evenly over all."""


@torch.no_grad()
def energies(memory: Memory, windows: Tensor, when: Tensor | None) -> Tensor:
    """Energy of windows against those that are stored and share no row with them, (B,).

    Args:
        memory: that compares them.
        windows: (B, T, C) scaled, as of `Memory.correct`.
        when: (B, 2) of the first targets, as of `Windows.when`; None: after all that is stored.
    """
    beta, parts = 1 / (2 * float(memory.typical[0])), []
    for some in chunks(len(windows), len(memory.store), len(memory.spread)):
        at = None if when is None else when[some]
        distances = memory.distances(windows[some], at)[0]
        if at is not None:
            distances = distances.masked_fill(sharing(memory, at), torch.inf)
        parts.append(-torch.logsumexp(-beta * distances, 1) / beta)
    return torch.cat(parts)


def sharing(memory: Memory, when: Tensor) -> Tensor:
    """Stored windows that share a row of key or target with windows of these first targets, (B, M)."""
    begins, ends = memory.store.when[:, 0], memory.store.ends
    # From the first step of a key to the last target; rows are evenly spaced, but for calendars.
    span = memory.kind.steps * memory.store.step + (ends - begins).amax()
    return (when[:, :1] - begins[None]).abs() <= span


@torch.no_grad()
def ordinary(memory: Memory) -> Tensor:
    """Energies of stored training windows, each against those that share no row with it, rising.

    Of all stored windows where none of training is left (`of_training`), as after ``stanhop memory prune``.
    """
    stored = memory.store.part == 0 if of_training(memory) else memory.store.part >= 0
    numbers = stored.nonzero().flatten()
    numbers = numbers[evenly(len(numbers), CALIBRATED)]
    windows = memory.store.windows(memory.kind.steps, numbers)
    energy = energies(memory, windows, memory.store.when[numbers])
    return energy[energy.isfinite()].sort().values


def of_training(memory: Memory) -> bool:
    """Whether training windows are stored, which say what is ordinary."""
    return bool((memory.store.part == 0).any())


def percentile(known: Tensor, energy: Tensor) -> Tensor:
    """Percent of the `ordinary` energies that each energy is above, (B,); NaN where there are none."""
    if not len(known):
        return torch.full_like(energy, torch.nan)
    return 100 * torch.searchsorted(known, energy) / len(known)
