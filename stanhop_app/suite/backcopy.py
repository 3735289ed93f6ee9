"""Bigram-backcopy: a task in which the worth of a no-op can be controlled.

Characters follow bigram statistics, but after a trigger the character *before* the trigger is copied. A head
that copies must do nothing everywhere else: in a softmax it needs a token to do nothing on.

References:
    Guo et al., "Active-Dormant Attention Heads", arXiv 2410.13835, section 3.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

BACKCOPY = "backcopy"
CHARACTERS, TRIGGERS = 64, 3
"""As in the paper: characters, of which the last are triggers."""
FIRST = 5
"""Number of the first character; below are the special tokens, of which <s> (0) begins every sequence."""
VOCABULARY = FIRST + CHARACTERS


def transitions(*, concentration: float = 0.1, trigger_share: float = 0.1) -> Float[Tensor, "V V"]:
    """Probabilities of the next character, rows by the last one; always the same table.

    Rows are drawn from a Dirichlet distribution, so that few characters follow each, and every row has the
    same share of triggers: with more of them copying is worth more.

    Args:
        concentration: of the Dirichlet distribution; the smaller, the fewer characters follow each.
        trigger_share: probability that the next character is a trigger.
    """
    generator = torch.Generator().manual_seed(1)
    # Gamma variates of a small shape k are u^(1/k) times those of shape k + 1, up to a factor near 1.
    uniform = torch.rand(CHARACTERS, CHARACTERS, generator=generator, dtype=torch.float64)
    weights = uniform.clamp_min(1e-12) ** (1 / concentration)
    plain = CHARACTERS - TRIGGERS
    weights[:, :plain] *= (1 - trigger_share) / weights[:, :plain].sum(1, keepdim=True)
    weights[:, plain:] *= trigger_share / weights[:, plain:].sum(1, keepdim=True)
    return weights.float()


def backcopy(samples: int, length: int, *, seed: int = 0) -> Int[Tensor, "N L"]:
    """Sequences of the task: <s>, then characters.

    Args:
        samples: sequences N.
        length: tokens L, <s> among them.
        seed: of the draws.
    """
    if length < 4:
        raise ValueError(f"length must be at least 4, got {length}.")
    table = transitions()
    generator = torch.Generator().manual_seed(seed)
    plain = CHARACTERS - TRIGGERS
    sequence = torch.zeros(samples, length, dtype=torch.long)
    last = torch.randint(0, plain, (samples,), generator=generator)
    before = last
    sequence[:, 1] = last
    for position in range(2, length):
        drawn = torch.multinomial(table[last], 1, generator=generator).squeeze(1)
        following = torch.where(last >= plain, before, drawn)
        before, last = last, following
        sequence[:, position] = following
    sequence[:, 1:] += FIRST
    return sequence


def copied(sequence: Int[Tensor, "N L"]) -> Tensor:
    """Where a token is a copy: (N, L) of bool. All others follow bigram statistics."""
    triggers = sequence >= FIRST + CHARACTERS - TRIGGERS
    found = torch.zeros_like(triggers)
    found[:, 2:] = triggers[:, 1:-1]
    return found
