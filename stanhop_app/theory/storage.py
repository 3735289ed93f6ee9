"""When a memory stores a pattern, and how many patterns it is sure to store: definition 3.1, theorem 3.3.

A pattern is *stored* if every start in a ball around it ends in one fixed point within, and no two balls
meet. The papers' balls have half the least distance between two patterns as radius. The middle between the
two nearest patterns then lies in both balls, and its one end can be within both only if that is the middle
again: with that radius no inverse temperature stores these two. Balls here have a share below 1 of it.

**What is sure.** Let x be within rho of the pattern xi, and D_i the distance of another pattern xi_i from
it. The no-op of softmax1 is a pattern at the origin of score 0 that counts n times, which the retrieval

    T(x) = sum_i p_i xi_i,    p_i = exp(b <x, xi_i>) / (n + sum_j exp(b <x, xi_j>))

does not have to know of. Then ``p_i <= exp(-b g_i)`` with ``g_i = <xi, xi - xi_i> - rho D_i``, and
``p_0 <= n exp(-b |xi| (|xi| - rho))`` for the no-op, so that

    |T(x) - xi| <= sum_i p_i D_i + p_0 |xi|                 (error)
    |dT/dx|     <= b (sum_i p_i D_i^2 + p_0 |xi|^2)         (slope)

as dT/dx is b times the covariance of the patterns under p. If the error is at most rho and the slope below
1, T maps the ball into itself and contracts it: the pattern is stored (Banach). With n = 0 this is the
dense memory. The no-op adds a term to both: what is *sure* of OutEffHop is a little less than of the dense
memory, not more, as the paper says of its own bounds; where norms are large the term is nothing.

References:
    Hu et al., arXiv 2404.03828, definition 3.1 and theorem 3.3, whose constants are not published with it;
    Ramsauer et al., arXiv 2008.02217, theorem 3. The formula as the sparse Hopfield model has it (Hu et al.,
    arXiv 2309.12673) takes the logarithm of ``sqrt(p) - 1``, which is negative for every probability.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from scipy.special import betaincinv, betaln, lambertw
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import softmax1

LARGEST = 700.0
"""Logarithm of a capacity at most: what a float holds."""
SMALLEST_SHARE = -600.0
"""Logarithm of a share of the sphere below which the cap is bounded, and not computed."""
STARTS = 8
"""Starts on the edge of every ball that `settles` tries, half of them towards the nearest pattern."""
SETTLED = 1e-6
"""Distance, in radii of a ball, up to which ends of starts are one."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What is sure of every pattern of a memory."""

    radius: float
    """Radius of the balls."""
    error: Float[Tensor, " S"]
    """Distance of what is retrieved from the pattern, at most, from every start in its ball."""
    slope: Float[Tensor, " S"]
    """Norm of the derivative of a retrieval in the ball, at most."""

    @property
    def stored(self) -> Bool[Tensor, " S"]:
        """Which patterns are sure to be stored; of others nothing is said."""
        return (self.error <= self.radius) & (self.slope < 1)


def storage(
    patterns: Float[Tensor, "S D"], beta: float, *, n: float = 1.0, share: float = 0.5
) -> Storage:
    """What is sure of every pattern (the module's first lines).

    Args:
        patterns: (S, D), at least two, all different.
        beta: inverse temperature b.
        n: no-op classes; 0 is the dense memory.
        share: of half the least distance between two patterns, as radius; below 1.

    Raises:
        OptionError: for fewer than two patterns, two that are one, or numbers out of range.
    """
    _check(beta, n, share)
    points = patterns.double()
    distances = _distances(points)
    radius = share * float(distances.min()) / 2
    norms = points.norm(dim=1)
    gaps = points.square().sum(1)[:, None] - points @ points.T - radius * distances
    log_no_op = math.log(n) if n > 0 else -math.inf
    others = torch.where(distances.isinf(), -math.inf, -beta * gaps)
    no_op = (log_no_op - beta * norms * (norms - radius)).exp()
    near = distances.masked_fill(distances.isinf(), 0)
    error = (others.exp() * near).sum(1) + no_op * norms
    slope = beta * ((others.exp() * near.square()).sum(1) + no_op * norms.square())
    return Storage(radius=radius, error=error, slope=slope)


@torch.no_grad()
def settles(
    patterns: Float[Tensor, "S D"],
    beta: float,
    *,
    n: float = 1.0,
    share: float = 0.5,
    steps: int = 200,
    seed: int = 0,
) -> Bool[Tensor, " S"]:
    """Whether starts on the edge of every pattern's ball end in one point within it: definition 3.1, tried.

    Half of the starts lie towards the nearest patterns, where the ball gives way first, half anywhere. It is
    a trial: a pattern that fails is not stored, one that holds may fail from a start that was not tried.

    Args:
        patterns: as of `storage`, and so the next three.
        beta: inverse temperature.
        n: no-op classes.
        share: of half the least distance.
        steps: retrievals at most.
        seed: of the starts.
    """
    _check(beta, n, share)
    points = patterns.double()
    distances = _distances(points)
    radius = share * float(distances.min()) / 2
    generator = torch.Generator().manual_seed(seed)
    near = min(STARTS // 2, len(points) - 1)
    towards = points[distances.topk(near, largest=False).indices] - points[:, None]
    anywhere = torch.randn(
        len(points), STARTS - near, points.shape[1], generator=generator, dtype=points.dtype
    )
    ways = torch.cat([towards, anywhere], 1)
    states = points[:, None] + radius * ways / ways.norm(dim=2, keepdim=True)
    for _ in range(steps):
        after = _retrieved(states, points, beta, n)
        moved = float((after - states).norm(dim=2).max())
        states = after
        if moved <= SETTLED * radius / 10:
            break
    within = (states - points[:, None]).norm(dim=2) <= radius
    spread = (states - states[:, :1]).norm(dim=2) <= SETTLED * radius
    return (within & spread).all(1)


def random_patterns(count: int, dim: int, norm: float, *, seed: int) -> Float[Tensor, "S D"]:
    """Patterns even over a sphere of this radius, float64, (S, D)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return norm * drawn / drawn.norm(dim=1, keepdim=True)


def least_angle(dim: int, log_count: float, failure: float) -> float:
    """Angle that no two of so many random directions are within, with probability 1 - failure at least.

    A cap of angle t holds ``I(sin^2 t; (d - 1) / 2, 1 / 2) / 2`` of the sphere, and there are
    M (M - 1) / 2 pairs (union bound), which Ramsauer et al. bound by the cap's leading term.

    Args:
        dim: d, at least 2.
        log_count: natural logarithm of M, which may be beyond what a float holds.
        failure: probability.
    """
    log_pairs = 2 * log_count + math.log(max(-math.expm1(-log_count), 1e-300)) - math.log(2)
    log_share = min(math.log(failure) - log_pairs + math.log(2), 0.0)
    shape = (dim - 1) / 2
    if log_share > SMALLEST_SHARE:
        return math.asin(math.sqrt(float(betaincinv(shape, 0.5, math.exp(log_share)))))
    # Below what a float holds: I(x) <= x^a / (a B(a, 1/2) sqrt(1 - x)), a smaller angle, on the sure side.
    constant = math.log(shape) + float(betaln(shape, 0.5))
    low, high = -2 * LARGEST, math.log1p(-1e-12)
    for _ in range(100):
        middle = (low + high) / 2
        bound = shape * middle - math.log(-math.expm1(middle)) / 2 - constant
        low, high = (middle, high) if bound <= log_share else (low, middle)
    return math.asin(math.exp(low / 2))


def log_capacity(
    dim: int,
    *,
    norm: float,
    beta: float,
    n: float = 1.0,
    share: float = 0.5,
    failure: float = 1e-3,
) -> float:
    """Natural logarithm of how many random patterns are sure to be stored, with probability 1 - failure.

    That of the largest M for which the conditions of `storage` hold where all distances are at least that
    of `least_angle`; minus infinity where not even two are, and `LARGEST` at most.

    Args:
        dim: d, at least 2.
        norm: of the patterns, even over a sphere.
        beta: inverse temperature.
        n: no-op classes.
        share: of half the least distance.
        failure: probability.

    Raises:
        OptionError: for numbers out of range.
    """
    _check(beta, n, share)
    if dim < 2 or norm <= 0 or not 0 < failure < 1:
        raise OptionError(
            f"a capacity needs dim >= 2, norm > 0, 0 < failure < 1, got {dim}, {norm}, {failure}."
        )

    def sure(log_count: float) -> bool:
        least = 2 * norm * math.sin(least_angle(dim, log_count, failure) / 2)
        radius = share * least / 2
        if radius <= 0:
            return False
        no_op = 0.0 if n == 0 else math.exp(math.log(n) - beta * norm * (norm - radius))
        log_others = log_count + math.log(max(-math.expm1(-log_count), 1e-300))
        error = _largest(1, least, 2 * norm, radius, beta, log_others) + no_op * norm
        slope = _largest(2, least, 2 * norm, radius, beta, log_others) + no_op * norm**2
        return error <= radius and beta * slope < 1

    low, high = math.log(2), LARGEST
    if not sure(low):
        return -math.inf
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sure(middle) else (low, middle)
    return low


def published_base(dim: int, *, beta: float, scale: float, failure: float) -> float:
    """Base c of the capacity ``sqrt(p) c^((d - 1) / 4)`` of the dense memory, as published.

    ``c = b / W(exp(a + ln b))`` with W Lambert's function, ``b = 2 K^2 beta / 5``,
    ``a = 2 / (d - 1) (1 + ln(2 beta K^2 p (d - 1)))``, patterns of norm ``K sqrt(d - 1)``.

    References:
        Ramsauer et al., arXiv 2008.02217, theorem 3.
    """
    b = 2 * scale**2 * beta / 5
    a = 2 / (dim - 1) * (1 + math.log(2 * beta * scale**2 * failure * (dim - 1)))
    return b / float(lambertw(math.exp(a + math.log(b))).real)


def _largest(
    power: int, least: float, most: float, radius: float, beta: float, log_others: float
) -> float:
    """Sum over the other patterns of p D^power, at most, with all D between the least and the most.

    ``D^k exp(-b (D^2 / 2 - rho D))`` rises up to ``(rho + sqrt(rho^2 + 4 k / b)) / 2`` and falls behind.
    """
    peak = (radius + math.sqrt(radius**2 + 4 * power / beta)) / 2
    worst = min(max(peak, least), most)
    log_term = power * math.log(worst) - beta * (worst**2 / 2 - radius * worst)
    return math.exp(min(log_others + log_term, LARGEST))


def _retrieved(states: Tensor, points: Tensor, beta: float, n: float) -> Tensor:
    scores = beta * states @ points.T
    weights = scores.softmax(-1) if n == 0 else softmax1(scores, n=n)
    return weights @ points


def _distances(points: Tensor) -> Tensor:
    """Distances (S, S) between patterns, infinite to themselves."""
    if len(points) < 2:
        raise OptionError("a memory whose patterns are to be told apart needs two at least.")
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(math.inf)
    if not bool((distances > 0).all()):
        raise OptionError("two patterns are one; give each once.")
    return distances


def _check(beta: float, n: float, share: float) -> None:
    if beta <= 0 or n < 0 or not 0 < share < 1:
        raise OptionError(
            f"storage needs beta > 0, n >= 0 and 0 < share < 1, got {beta}, {n}, {share}."
        )
