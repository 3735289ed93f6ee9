"""Recall: a damaged pattern completed by an associative memory, step by step, under every association.

Shape letters: D width of a pattern, S stored patterns, N steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stanhop_app.errors import OptionError
from stanhop_app.layers.retrieval import associate, retrieve
from stanhop_app.theory.energy import association_energy

DAMAGES = ("mask", "noise")
FAMILY = ("softmax", "softmax1", "entmax15", "sparsemax")
"""Associations compared by default; "entmax" begins as "entmax15"."""


@dataclass(frozen=True, kw_only=True)
class Recall:
    """What one association made of a query."""

    association: str
    states: Float[Tensor, "N D"]
    """The query and what each step made of it."""
    energies: Float[Tensor, " N"]
    """Energy of every state; it never rises."""
    similarities: Float[Tensor, "N S"]
    """Cosine of every state with every stored pattern; 0 for a state of 0."""
    no_op: tuple[float, ...]
    """What the weights of every step left to 1."""

    @property
    def nearest(self) -> int:
        """Number of the stored pattern that the last state is most like."""
        return int(self.similarities[-1].argmax())


def standardise(patterns: Float[Tensor, "S D"]) -> Float[Tensor, "S D"]:
    """Patterns with mean 0 and norm 1: a memory of inner products favours long patterns otherwise.

    Raises:
        OptionError: if one is constant.
    """
    centred = patterns - patterns.mean(-1, keepdim=True)
    norm = centred.norm(dim=-1, keepdim=True)
    if not (norm > 0).all():
        raise OptionError(f"pattern {int(norm.argmin()) + 1} is constant; leave it out.")
    return centred / norm


def cut_windows(series: Float[Tensor, " T"], length: int, count: int) -> Float[Tensor, "S D"]:
    """Windows of a series, at most ``count``, evenly spaced; constant ones are left out.

    Raises:
        OptionError: if there are not two.
    """
    if len(series) < length:
        raise OptionError(f"a window needs {length} rows, the series has {len(series)}.")
    starts = torch.linspace(0, len(series) - length, count).long().unique()
    windows = series.unfold(0, length, 1)[starts]
    windows = windows[windows.amax(1) > windows.amin(1)]
    if len(windows) < 2:
        raise OptionError(
            f"the series has {len(windows)} windows that are not constant; two are needed."
        )
    return windows


def damage(
    pattern: Float[Tensor, " D"], kind: str, amount: float, *, seed: int = 0
) -> Float[Tensor, " D"]:
    """A damaged copy: the last share of its entries set to 0 ("mask"), or Gaussian noise added ("noise").

    Args:
        pattern: with mean 0, so that 0 says nothing.
        kind: name in `DAMAGES`.
        amount: share of the entries in [0, 1], or norm of the noise as a multiple of the pattern's.
        seed: of the noise.
    """
    if kind not in DAMAGES:
        raise OptionError(f"damage must be one of {', '.join(DAMAGES)}, got {kind!r}.")
    if not amount >= 0 or (kind == "mask" and amount > 1):
        raise OptionError(f"amount must be at least 0, and at most 1 for a mask, got {amount}.")
    if kind == "mask":
        kept = round(len(pattern) * (1 - amount))
        return torch.cat([pattern[:kept], torch.zeros_like(pattern[kept:])])
    noise = torch.randn(len(pattern), generator=torch.Generator().manual_seed(seed))
    return pattern + amount * pattern.norm() * noise.to(pattern.dtype) / noise.norm()


@torch.no_grad()
def recall(
    patterns: Float[Tensor, "S D"],
    query: Float[Tensor, " D"],
    *,
    beta: float,
    steps: int = 8,
    associations: Sequence[str] = FAMILY,
) -> list[Recall]:
    """Complete a query from stored patterns under several associations, keeping every step.

    Args:
        patterns: (S, D), best `standardise`d.
        query: (D,).
        beta: inverse temperature.
        steps: of retrieval.
        associations: names in `stanhop_app.layers.ASSOCIATIONS`; "entmax" has alpha 1.5.

    Returns:
        One entry an association, in their order.
    """
    lengths = patterns.norm(dim=-1)
    memory = patterns[None, None]
    recalls = []
    for name in associations:
        states = [query]
        for _ in range(steps):
            states.append(retrieve(patterns, states[-1][None], association=name, beta=beta)[0])
        path = torch.stack(states)
        sizes = path.norm(dim=-1, keepdim=True) * lengths
        before = path[None, None, :-1]
        _, weights = associate(
            before, memory, memory, association=name, beta=beta, return_weights=True
        )
        left = (1 - weights[0, 0].sum(-1)).clamp_min(0)
        recalls.append(
            Recall(
                association=name,
                states=path,
                energies=association_energy(path, patterns, beta, association=name),
                similarities=path @ patterns.T / sizes.clamp_min(1e-12),
                no_op=tuple(left.tolist()),
            )
        )
    return recalls
