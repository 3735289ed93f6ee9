"""Associations: pure functions that turn scores into weights along one dimension.

Every function has the form ``f(scores, dim=-1)`` (`entmax` with alpha besides) and keeps the shape of its
input; with its laws it is an `Association`. They are the only thing in which the members of the
modern-Hopfield family differ (dense, sparse, generalised sparse, outlier-efficient);
`stanhop_app.layers.retrieval` is the only place that applies them.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.tsallis import tsallis

SMALLEST_ALPHA = 1.01
"""The smallest alpha of `entmax`, besides 1: nearer to 1 its bisection is mostly noise in float32."""


def softmax(scores: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """Weigh by ``exp(z_i) / sum_j exp(z_j)``: the dense Hopfield memory, ordinary attention.

    Args:
        scores: any shape, floating point.
        dim: dimension that is normalised.

    Returns:
        Weights of the same shape, non-negative, with sum 1 along ``dim``.

    References:
        Ramsauer et al., arXiv 2008.02217.
    """
    return torch.softmax(scores, dim=dim)


def softmax1(
    scores: Float[Tensor, "*shape"],
    dim: int = -1,
    *,
    n: float = 1.0,
    log_n: Tensor | None = None,
) -> Float[Tensor, "*shape"]:
    """Weigh by ``exp(z_i) / (n + sum_j exp(z_j))``: a query may retrieve nothing.

    Computed as ``softmax([log n; z])[1:]``: an equality, with one "no-op" memory of score
    ``log n`` whose weight is dropped. It is stabilised by ``max(max z, log n)`` and therefore finite,
    with finite gradients, for every finite score; the form in the papers' code,
    ``exp(z - max z) / (exp(-max z) + sum exp(z - max z))``, overflows below -88 in float32.

    Unlike the other associations it is not invariant to a constant added to all scores.

    Args:
        scores: any shape, floating point; ``-inf`` marks what may not be retrieved.
        dim: dimension that is normalised.
        n: number of no-op classes (the paper's K), at least 0; 1 is the paper's default, 0 is softmax.
        log_n: log n as a tensor instead, which receives a gradient; broadcasts against ``scores`` with
            size 1 along ``dim``.

    Returns:
        Weights of the same shape, with sum below 1 along ``dim``: ``1 - sum`` went to the no-op.

    Raises:
        OptionError: if ``n`` is negative or not finite.

    References:
        Hu et al., "Outlier-Efficient Hopfield Layers", arXiv 2404.03828, section 2.

    >>> softmax1(torch.tensor([0.0]))
    tensor([0.5000])
    """
    if not 0 <= n < math.inf:
        raise OptionError(f"n is a number of no-op classes and must be at least 0, got {n}.")
    if n == 0 and log_n is None:
        return softmax(scores, dim)
    size = list(scores.shape)
    size[dim] = 1
    level = scores.new_tensor(math.log(n)) if log_n is None else log_n.to(scores.dtype)
    no_op = level.expand(size)
    weights = torch.softmax(torch.cat([no_op, scores], dim=dim), dim=dim)
    return weights.narrow(dim, 1, scores.shape[dim])


def sparsemax(scores: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """Weigh by ``argmin_p |p - z|^2`` over the simplex: many weights are exactly 0.

    References:
        Martins and Astudillo, arXiv 1602.02068; SparseHopfield, arXiv 2309.12673.
    """
    return _in_float(2.0, scores, dim)


def entmax15(scores: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*shape"]:
    """Weigh by 1.5-entmax, half-way between softmax and sparsemax.

    References:
        Peters, Niculae and Martins, arXiv 1905.05702.
    """
    return _in_float(1.5, scores, dim)


def entmax(
    scores: Float[Tensor, "*shape"], alpha: float | Tensor, dim: int = -1
) -> Float[Tensor, "*shape"]:
    """Weigh by alpha-entmax (STanHop's generalised sparse Hopfield, GSH).

    Args:
        scores: any shape, floating point.
        alpha: 1 (the limit softmax), or at least `SMALLEST_ALPHA`; 2 is sparsemax. A tensor must be at least
            `SMALLEST_ALPHA`, broadcast against ``scores`` with size 1 along ``dim``, and receives a
            gradient.
        dim: dimension that is normalised.

    Raises:
        OptionError: if ``alpha`` is smaller (a tensor is looked at on the CPU only).

    References:
        Peters, Niculae and Martins, arXiv 1905.05702; STanHop-Net, arXiv 2312.17346.
    """
    least: float = SMALLEST_ALPHA
    if isinstance(alpha, float | int):
        if alpha == 1:
            return softmax(scores, dim)
        least = alpha
    elif alpha.device.type == "cpu" and not torch.compiler.is_compiling():
        # Inside of vmap no value can be looked at.
        with contextlib.suppress(RuntimeError):
            least = float(alpha.detach().min())
    if not least >= SMALLEST_ALPHA - 1e-6:
        raise OptionError(f"alpha must be 1 or at least {SMALLEST_ALPHA}, got {least}.")
    return _in_float(alpha, scores, dim)


def _in_float(alpha: float | Tensor, scores: Tensor, dim: int) -> Tensor:
    """Weights of the Tsallis family, of half precision in float32: sums of sorted scores need the digits."""
    half = scores.dtype in (torch.float16, torch.bfloat16)
    exact = scores.float() if half else scores
    exponent = alpha.to(exact.dtype) if isinstance(alpha, Tensor) else float(alpha)
    return tsallis(exact, exponent, dim).to(scores.dtype)


def clip(
    weights: Float[Tensor, "*shape"], gamma: float, zeta: float = 1.0
) -> Float[Tensor, "*shape"]:
    """Stretch weights to ``[gamma, zeta]`` and clip them to ``[0, 1]``: exact zeros (and ones).

    ``clip((zeta - gamma) * w + gamma, 0, 1)``, applicable after any association.

    Args:
        weights: any shape, in [0, 1].
        gamma: at most 0; practice uses ``-alpha / S`` for S stored patterns.
        zeta: at least 1; 1 is the value that the paper recommends.

    Raises:
        OptionError: if ``gamma > 0`` or ``zeta < 1``.

    References:
        Bondarenko, Nagel and Blankevoort, arXiv 2306.12929, equation 4.
    """
    check_clip(gamma, zeta)
    return ((zeta - gamma) * weights + gamma).clamp(0.0, 1.0)


def check_clip(gamma: float, zeta: float) -> None:
    """Refuse bounds that are none.

    Raises:
        OptionError: if ``gamma > 0`` or ``zeta < 1``.
    """
    if gamma > 0 or zeta < 1:
        raise OptionError(f"clip needs gamma <= 0 and zeta >= 1, got gamma={gamma}, zeta={zeta}.")


def _log_sum_exp(scores: Tensor) -> Tensor:
    """``log sum_i exp(z_i)``: the conjugate of softmax."""
    return torch.logsumexp(scores, -1)


def _log_n_sum_exp(scores: Tensor, *, n: float = 1.0, log_n: Tensor | None = None) -> Tensor:
    """``log(n + sum_i exp(z_i))``: the conjugate of softmax1."""
    if n == 0 and log_n is None:
        return _log_sum_exp(scores)
    level = scores.new_tensor(math.log(n)) if log_n is None else log_n.to(scores.dtype)
    no_op = level.expand_as(scores[..., :1])
    return torch.logsumexp(torch.cat([scores, no_op], -1), -1)


def _tsallis(scores: Tensor, *, alpha: float) -> Tensor:
    """``<p, z> + (1 - sum p^alpha) / (alpha (alpha - 1))`` at ``p = entmax(z)``; alpha 1 is softmax."""
    if alpha == 1:
        return _log_sum_exp(scores)
    rule = {1.5: entmax15, 2.0: sparsemax}.get(alpha, partial(entmax, alpha=alpha))
    weights = rule(scores)
    entropy = (1 - weights.pow(alpha).sum(-1)) / (alpha * (alpha - 1))
    return (weights * scores).sum(-1) + entropy


@dataclass(frozen=True, kw_only=True)
class Association:
    """A rule of weights with its laws; nothing else in the package guesses them.

    A new one is one entry in `ASSOCIATIONS`, from outside too::

        ASSOCIATIONS["mine"] = Association(function=f, conjugate=F, shift_invariant=True)
    """

    function: Callable[..., Tensor]
    """``f(scores, dim=-1, **options)``: weights of the same shape."""
    conjugate: Callable[..., Tensor]
    """``F(scores, **options)`` over the last dimension: the convex function whose gradient f is."""
    shift_invariant: bool
    """Whether ``f(z + c) = f(z)`` for a constant c. If not, what may not be retrieved has score -inf, and f
    must give it weight 0; if so, it has a score so far below the others that f gives it none."""
    options: tuple[str, ...] = ()
    """Names of the options that it takes, out of "alpha", "n" and "log_n"."""
    fused: bool = False
    """Whether it is softmax over the scores and, if it takes n, one more score log n: it has kernels."""

    def __call__(self, scores: Tensor, dim: int = -1, **options: Any) -> Tensor:
        """The weights."""
        return self.function(scores, dim=dim, **options)

    def own(self, **options: Any) -> dict[str, Any]:
        """Keep the options that it takes, and drop the others."""
        return {name: value for name, value in options.items() if name in self.options}


ASSOCIATIONS: dict[str, Association] = {
    "softmax": Association(
        function=softmax, conjugate=_log_sum_exp, shift_invariant=True, fused=True
    ),
    "softmax1": Association(
        function=softmax1,
        conjugate=_log_n_sum_exp,
        shift_invariant=False,
        options=("n", "log_n"),
        fused=True,
    ),
    "sparsemax": Association(
        function=sparsemax, conjugate=partial(_tsallis, alpha=2.0), shift_invariant=True
    ),
    "entmax15": Association(
        function=entmax15, conjugate=partial(_tsallis, alpha=1.5), shift_invariant=True
    ),
    "entmax": Association(
        function=entmax, conjugate=_tsallis, shift_invariant=True, options=("alpha",)
    ),
}
"""Every association by name. Command line, dashboard and tests list these; a built-in one also has its name
in `stanhop_app.layers.names`, from which help is written without torch."""


def find_association(name: str) -> Association:
    """Return the association of that name.

    Raises:
        OptionError: if there is none; the message lists all names.
    """
    if name not in ASSOCIATIONS:
        raise OptionError(
            f"unknown association {name!r}; choose one of: {', '.join(ASSOCIATIONS)}."
        )
    return ASSOCIATIONS[name]


def having(option: str) -> str:
    """The associations that take an option, for messages: '"softmax1"'."""
    names = (f'"{name}"' for name, known in ASSOCIATIONS.items() if option in known.options)
    return ", ".join(names)
