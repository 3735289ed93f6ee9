"""Energies of associative memories: how near an input is to what is stored.

Shape letters: D width of a pattern, S stored patterns.

References:
    "Beyond Scaling Laws", arXiv 2405.08707 (distance, MCHN and global energy); Hu et al.,
    arXiv 2404.03828, section 2 (OutEffHop); Ramsauer et al., arXiv 2008.02217 (MCHN).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import find_association

LARGEST_CHUNK = 2**24
"""Numbers of one matrix of inputs by patterns; more inputs are taken in turns."""


def distance_energy(
    x: Float[Tensor, "*batch D"], patterns: Float[Tensor, "S D"], beta: float = 1.0
) -> Float[Tensor, "*batch"]:
    """``-1/b log sum_i exp(-b |x - rho_i|^2)``: a smooth squared distance to the nearest pattern.

    Within ``log(S) / b`` below that distance (proposition 1 of the paper, for any b). Up to a constant it is
    1 / b times the negative log-density of a Gaussian kernel estimate of variance 1 / 2b.

    Args:
        x: (..., D).
        patterns: (S, D).
        beta: b; distances grow with D, so that it must be scaled to the data: at D = 1024 and beta 1
            the result is the squared distance itself.

    References:
        arXiv 2405.08707, equation 4 (there b = 1).
    """
    _check(x, patterns, beta)
    return _in_chunks(
        lambda part: -torch.logsumexp(-beta * _squared(part, patterns), -1) / beta, x, patterns
    )


def scaled_beta(nearest: Float[Tensor, " S"]) -> float:
    """``1 / (2 median |rho - rho'|^2)``, the inverse temperature of the scale of the data.

    With it the nearest pattern carries the `distance_energy`, and others that are as near are told from those
    that are not; a fixed beta would smooth everything, or nothing.

    Args:
        nearest: squared distance of each pattern to its nearest other one.
    """
    return 1 / max(2 * float(nearest.median()), 1e-12)


def mchn_energy(
    x: Float[Tensor, "*batch D"], patterns: Float[Tensor, "S D"], beta: float = 1.0
) -> Float[Tensor, "*batch"]:
    """``-1/b log sum_i exp(b <rho_i, x>) + |x|^2 / 2 + log(S) / b + max_i |rho_i|^2 / 2``.

    Of the modern continuous Hopfield network, never below 0. Twice it at 2b is the `distance_energy` at b
    up to ``log(S) / b`` and the spread of the squared norms; they agree for patterns of one norm.

    Args:
        x: (..., D).
        patterns: (S, D).
        beta: inverse temperature b.
    """
    constant = math.log(len(patterns)) / beta if len(patterns) and beta > 0 else 0.0
    energy = association_energy(x, patterns, beta, association="softmax")
    return energy + constant + patterns.square().sum(-1).max() / 2


def outeff_energy(
    x: Float[Tensor, "*batch D"], patterns: Float[Tensor, "S D"], beta: float = 1.0
) -> Float[Tensor, "*batch"]:
    """``-1/b log(1 + sum_i exp(b <rho_i, x>)) + |x|^2 / 2``: near 0 no pattern need be retrieved.

    Args:
        x: (..., D).
        patterns: (S, D).
        beta: inverse temperature b.
    """
    return association_energy(x, patterns, beta, association="softmax1")


def association_energy(
    x: Float[Tensor, "*batch D"],
    patterns: Float[Tensor, "S D"],
    beta: float = 1.0,
    *,
    association: str = "softmax1",
    alpha: float = 1.5,
) -> Float[Tensor, "*batch"]:
    """``-1/b F(b Xi x) + |x|^2 / 2``, F the convex function whose gradient is the association.

    What no step ``x <- Xi^T association(b Xi x)`` raises (`stanhop_app.layers.retrieve`), by the
    concave-convex procedure: its gradient is ``x - Xi^T association(b Xi x)``. F is ``log sum exp``
    for softmax, ``log(1 + sum exp)`` for softmax1, and for alpha-entmax (sparsemax: alpha 2) the
    conjugate of the Tsallis entropy,
    ``<p, z> + (1 - sum p^alpha) / (alpha (alpha - 1))`` at ``p = entmax(z)``.

    Args:
        x: (..., D).
        patterns: Xi, (S, D).
        beta: inverse temperature b.
        association: name in `stanhop_app.layers.ASSOCIATIONS`.
        alpha: of "entmax" only.

    References:
        Hu et al., arXiv 2404.03828, lemma 2.1; Wu et al., arXiv 2312.17346, for entmax, written from
        the conjugate, since signs in print differ.
    """
    _check(x, patterns, beta)
    known = find_association(association)
    own = known.own(alpha=alpha)

    def energy(part: Tensor) -> Tensor:
        scores = beta * part @ patterns.T
        return part.square().sum(-1) / 2 - known.conjugate(scores, **own) / beta

    return _in_chunks(energy, x, patterns)


def global_energy(energies: Float[Tensor, "..."], dim: int = 0) -> Float[Tensor, "..."]:
    """``-log sum_t exp(-E_t)``: a soft minimum over layers, within log(layers) below the least.

    References:
        arXiv 2405.08707, equation 7.
    """
    return -torch.logsumexp(-energies, dim)


def retrieve(
    x: Float[Tensor, "*batch D"],
    patterns: Float[Tensor, "S D"],
    beta: float = 1.0,
    energy: str = "outeff",
    steps: int = 1,
) -> Float[Tensor, "*batch D"]:
    """Go down an energy by its own dynamics: every step replaces x by a weighted mean of patterns.

    The weights are ``softmax(-b |x - rho_i|^2)`` for "distance" (mean shift), ``softmax(b <rho_i, x>)``
    for "mchn" and ``softmax1(b <rho_i, x>)`` for "outeff". No step raises the energy.

    Args:
        x: (..., D).
        patterns: (S, D).
        beta: inverse temperature b.
        energy: name in `ENERGIES`.
        steps: at least 0.

    Raises:
        OptionError: for an unknown energy, or patterns that do not fit.
    """
    if energy not in ENERGIES:
        raise OptionError(f"unknown energy {energy!r}; choose one of: {', '.join(ENERGIES)}.")
    if steps < 0:
        raise OptionError(f"steps must be at least 0, got {steps}.")
    _check(x, patterns, beta)
    rule = find_association("softmax1" if energy == "outeff" else "softmax")

    def step(part: Tensor) -> Tensor:
        similarity = -_squared(part, patterns) if energy == "distance" else part @ patterns.T
        return rule(beta * similarity) @ patterns

    for _ in range(steps):
        x = _in_chunks(step, x, patterns)
    return x


ENERGIES: dict[str, Callable[..., Tensor]] = {
    "distance": distance_energy,
    "mchn": mchn_energy,
    "outeff": outeff_energy,
}
"""Energies that have dynamics of their own, by name."""


def _squared(x: Tensor, patterns: Tensor) -> Tensor:
    """Squared distances (N, S), without the cancellation of ``|a|^2 + |b|^2 - 2 a b``.

    Half precision is computed as float32.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        return _squared(x.float(), patterns.float()).to(x.dtype)
    return torch.cdist(x, patterns, compute_mode="donot_use_mm_for_euclid_dist").square()


def _in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, patterns: Tensor) -> Tensor:
    """Apply a function of (N, D) to (..., D), so many rows at a time as memory allows."""
    flat = x.reshape(-1, x.shape[-1])
    rows = max(1, LARGEST_CHUNK // len(patterns))
    parts = [function(part) for part in flat.split(rows)] if len(flat) else [function(flat)]
    result = torch.cat(parts)
    return result.reshape(x.shape[:-1] + result.shape[1:])


def _check(x: Tensor, patterns: Tensor, beta: float) -> None:
    """Raise OptionError unless patterns fit the inputs and all numbers are finite."""
    if patterns.ndim != 2 or len(patterns) == 0:
        raise OptionError(
            f"patterns must be (stored, width) with at least one, got {tuple(patterns.shape)}."
        )
    if x.ndim == 0 or x.shape[-1] != patterns.shape[1]:
        raise OptionError(
            f"x and patterns must have one width, got {tuple(x.shape)} and {tuple(patterns.shape)}."
        )
    if not 0 < beta < math.inf:
        raise OptionError(f"beta must be above 0, got {beta}.")
    for name, values in (("x", x), ("patterns", patterns)):
        if not torch.isfinite(values).all():
            raise OptionError(f"{name} holds values that are not finite.")
