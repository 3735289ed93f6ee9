"""Energy landscapes in a plane: values on a grid, and the minima in which retrieval ends.

Shape letters: S stored patterns, D width, G points of a side of the grid.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.theory.energy import ENERGIES, retrieve

MARGIN = 0.3
"""Margin of the plane around the patterns, as a share of their spread."""
STARTS, STEPS = 25, 2000
"""Points of a side of the grid that retrieval starts from, and steps at most."""
PUSHES = 16
"""Directions in which a point is pushed to see whether it attracts."""
NEAR = 1e-2
"""Distance, as a share of the spread, within which two ends of retrieval are one."""


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """An energy over a plane."""

    energy: str
    beta: float
    points: Float[Tensor, "S 2"]
    """The patterns in the plane."""
    principal: bool
    """Whether the plane is that of the first two principal components: energies are those *in* the plane."""
    xs: Float[Tensor, " G"]
    ys: Float[Tensor, " G"]
    values: Float[Tensor, "G G"]
    """Rows by y."""
    minima: Float[Tensor, "M 2"]
    basins: Int[Tensor, "G G"]
    """Number of the minimum in which retrieval from each point of the grid ends; -1: in none."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the grid in the basin of every minimum."""
        return tuple(float((self.basins == i).float().mean()) for i in range(len(self.minima)))

    @property
    def title(self) -> str:
        """What is drawn, and how many minima there are."""
        plane = "first two principal components" if self.principal else "plane"
        return (
            f"{self.energy} energy, beta {self.beta:g}, {plane}: {len(self.minima)} minima for "
            f"{len(self.points)} patterns"
        )


def parse_patterns(text: str) -> Float[Tensor, "S D"]:
    """Patterns as they are typed: numbers with commas between them, patterns with spaces, as "0,1 2,3".

    Raises:
        OptionError: saying what is no pattern.
    """
    try:
        points = [[float(value) for value in point.split(",")] for point in text.split()]
    except ValueError:
        raise OptionError(f"{text!r} is no list of patterns such as 0,1 2,3.") from None
    if not all(math.isfinite(value) for point in points for value in point):
        raise OptionError(f"{text!r}: patterns hold numbers that are not finite.")
    if len({len(point) for point in points}) != 1:
        raise OptionError(f"{text!r}: patterns have different widths.")
    return torch.tensor(points, dtype=torch.float64)


def landscape(
    patterns: Float[Tensor, "S D"], energy: str, *, beta: float = 1.0, size: int = 81
) -> Landscape:
    """The energy of patterns over a plane; patterns wider than 2 are projected first.

    Args:
        patterns: (S, D), at least two.
        energy: name in `stanhop_app.theory.energy.ENERGIES`.
        beta: inverse temperature.
        size: points of a side of the grid.

    Raises:
        OptionError: for fewer than two patterns, width 1, or an unknown energy.
    """
    if energy not in ENERGIES:
        raise OptionError(f"unknown energy {energy!r}; choose one of: {', '.join(ENERGIES)}.")
    if patterns.ndim != 2 or len(patterns) < 2 or patterns.shape[1] < 2:
        raise OptionError(
            f"patterns must be (stored, width), at least two of width 2, got {tuple(patterns.shape)}."
        )
    principal = patterns.shape[1] > 2
    points = _project(patterns) if principal else patterns
    low, high = points.amin(0), points.amax(0)
    spread = (high - low).max()
    low, high = low - MARGIN * spread, high + MARGIN * spread
    xs, ys = (
        torch.linspace(*ends, size, dtype=points.dtype) for ends in zip(low, high, strict=True)
    )
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
    minima = find_minima(points, energy, beta=beta)
    return Landscape(
        energy=energy,
        beta=beta,
        points=points,
        principal=principal,
        xs=xs,
        ys=ys,
        values=ENERGIES[energy](grid, points, beta),
        minima=minima,
        basins=find_basins(grid, minima, points, energy, beta=beta),
    )


def find_minima(
    patterns: Float[Tensor, "S D"], energy: str, *, beta: float = 1.0
) -> Float[Tensor, "M D"]:
    """The minima in which retrieval ends, started from the patterns and, in a plane, from a grid.

    An end from which a push leads away is a saddle, and left out.
    """
    starts = patterns
    if patterns.shape[1] == 2:
        low, high = patterns.amin(0), patterns.amax(0)
        sides = [
            torch.linspace(*e, STARTS, dtype=patterns.dtype) for e in zip(low, high, strict=True)
        ]
        starts = torch.cat([patterns, torch.cartesian_prod(*sides)])
    ends = _descend(starts, patterns, energy, beta)
    scale = float((patterns.amax(0) - patterns.amin(0)).max())
    apart: list[Tensor] = []
    for end in ends:
        if all((end - other).norm() > NEAR * scale for other in apart):
            apart.append(end)
    stable = [end for end in apart if _attracts(end, patterns, energy, beta, scale)]
    return torch.stack(stable) if stable else ends[:0]


def find_basins(
    starts: Float[Tensor, "*grid D"],
    minima: Float[Tensor, "M D"],
    patterns: Float[Tensor, "S D"],
    energy: str,
    *,
    beta: float = 1.0,
) -> Int[Tensor, "*grid"]:
    """Number of the minimum in which retrieval from each point ends; -1 where it ends in none of them."""
    if len(minima) == 0:
        return torch.full(starts.shape[:-1], -1)
    ends = _descend(starts.reshape(-1, starts.shape[-1]), patterns, energy, beta)
    distances, nearest = torch.cdist(ends, minima).min(1)
    scale = float((patterns.amax(0) - patterns.amin(0)).max())
    return torch.where(distances < NEAR * scale, nearest, -1).reshape(starts.shape[:-1])


def _descend(starts: Tensor, patterns: Tensor, energy: str, beta: float) -> Tensor:
    """Where retrieval from these points ends."""
    ends = starts
    for _ in range(STEPS):
        after = retrieve(ends, patterns, beta, energy)
        moved = (after - ends).norm(dim=1).max()
        ends = after
        if moved < 1e-9:
            break
    return ends


def _attracts(end: Tensor, patterns: Tensor, energy: str, beta: float, scale: float) -> bool:
    """Whether retrieval comes back to a point from all around it; from a saddle it goes away."""
    generator = torch.Generator().manual_seed(0)
    pushes = torch.randn(PUSHES, len(end), generator=generator).to(end.dtype)
    around = end + 0.5 * NEAR * scale * pushes / pushes.norm(dim=1, keepdim=True)
    back = _descend(around, patterns, energy, beta)
    return bool(((back - end).norm(dim=1) < NEAR * scale).all())


def _project(patterns: Tensor) -> Tensor:
    """Coordinates in the first two principal components."""
    centred = patterns - patterns.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T
