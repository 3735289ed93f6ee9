"""Second moments of windows, from which linear forecasts are fitted and judged in closed form.

A map reads a window as its differences from the last value, and the last value itself
(`stanhop_app.models.stanhop.from_last`), and forecasts the change from there. A ridge regression needs
only ``G = sum x x^T`` and ``B = sum x y^T`` in these coordinates; so does its error on other windows. Both
are summed in batches, so that memory does not grow with the number of windows.

Shape letters: C variates, T lookback, L horizon, F folds.
"""

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

from stanhop_app.data.folds import num_folds, pieces
from stanhop_app.data.windows import Windows
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import from_last


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Sums over windows of one part of the data, per variate, float64.

    x is a window in the coordinates of `from_last`, y the horizon's values minus the last one.
    """

    gram: Tensor
    """sum x x^T, (C, T, T)."""
    cross: Tensor
    """sum x y^T, (C, T, L)."""
    energy: Tensor
    """sum y^2, (C,)."""
    count: int
    """Windows summed."""

    def only(self, number: int) -> "Moments":
        """The moments of one variate."""
        return replace(
            self,
            gram=self.gram[[number]],
            cross=self.cross[[number]],
            energy=self.energy[[number]],
        )

    def pooled(self) -> "Moments":
        """Moments of all variates together, as of one variate."""
        return Moments(
            gram=self.gram.sum(0, keepdim=True),
            cross=self.cross.sum(0, keepdim=True),
            energy=self.energy.sum(0, keepdim=True),
            count=self.count * len(self.gram),
        )


def moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """Second moments of all windows; ``pooled`` sums over the variates."""
    (whole,) = _sum_moments(windows, [(batch, (0,)) for batch in windows.batches()], 1, pooled)
    return whole


def held_out_moments(windows: Windows, *, pooled: bool = False) -> list[Moments]:
    """Moments of all validation windows, and of the rest of every fold (`folds.pieces`).

    Where a fold has no rest, because the part is hardly longer than the horizon, those of all stand in.
    """
    size = len(windows.batches()[0])
    batches = [
        (batch, (0, *(1 + fold for fold in piece.rests)))
        for piece in pieces(windows)
        for batch in piece.batches(size)
    ]
    whole, *rests = _sum_moments(windows, batches, 1 + num_folds(windows), pooled)
    return [whole, *(rest if rest.count else whole for rest in rests)]


def _sum_moments(
    windows: Windows, batches: list[tuple[Tensor, tuple[int, ...]]], sums: int, pooled: bool
) -> list[Moments]:
    """Moments of several sets of windows; every batch says to which it belongs."""
    num_variates = windows.values.shape[1]
    groups = 1 if pooled else num_variates
    lookback, horizon = windows.lookback, windows.horizon
    gram = torch.zeros(sums, groups, lookback, lookback, dtype=torch.float64)
    cross = torch.zeros(sums, groups, lookback, horizon, dtype=torch.float64)
    energy = torch.zeros(sums, groups, dtype=torch.float64)
    counts = [0] * sums
    known = torch.zeros(sums, groups, horizon, dtype=torch.float64) if windows.holes else None
    for batch, members in batches:
        x, y = windows.gather(batch)
        x = between(x) if windows.holes else x
        parts = from_last(x), y - x[:, -1:]
        x, y = (rearrange(part, "b t c -> c b t") for part in parts)
        if pooled:
            x, y = (rearrange(part, "c b t -> 1 (c b) t") for part in (x, y))
        for group in range(groups):
            target = y[group]
            if known is not None:
                for member in members:
                    known[member, group] += (~target.isnan()).sum(0)
                target = target.nan_to_num(0.0)
            own_gram, own_cross = x[group].T @ x[group], x[group].T @ target
            own_energy = target.square().sum(dtype=torch.float64)
            for member in members:
                gram[member, group] += own_gram
                cross[member, group] += own_cross
                energy[member, group] += own_energy
        for member in members:
            counts[member] += len(batch) * (num_variates if pooled else 1)
    if (
        known is not None
    ):  # as if every target were known: each step by its own share of the windows
        shares = known / torch.tensor(counts, dtype=torch.float64)[:, None, None].clamp_min(1)
        cross /= shares[:, :, None].clamp_min(1e-9)
        energy /= shares.mean(-1).clamp_min(1e-9)
    return [
        Moments(gram=g, cross=c, energy=e, count=n)
        for g, c, e, n in zip(gram, cross, energy, counts, strict=True)
    ]
