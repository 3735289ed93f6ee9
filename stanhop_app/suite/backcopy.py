"""Bigram-backcopy: a task in which the worth of a no-op can be controlled.

Characters follow bigram statistics, but after a trigger the character *before* the trigger is copied. A head
that copies must do nothing everywhere else: in a softmax it needs a token to do nothing on.

References:
    Guo et al., "Active-Dormant Attention Heads", arXiv 2410.13835, section 3.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from stanhop_app.errors import OptionError

BACKCOPY = "backcopy"
CHARACTERS, TRIGGERS = 64, 3
"""As in the paper: characters, of which the last are triggers."""
TRIGGER_SHARE = 0.1
"""Probability of a trigger after a plain character, unless it is named: ``backcopy:0.3``."""
CONCENTRATION, MOST_CONCENTRATION = 0.1, 1000.0
"""Concentration of what follows a character, unless it is named (``backcopy:0.1:0.02``), and its limit."""
FIRST = 5
"""Number of the first character; below are the special tokens, of which <s> (0) begins every sequence."""
VOCABULARY = FIRST + CHARACTERS


def transitions(
    trigger_share: float = TRIGGER_SHARE, *, concentration: float = CONCENTRATION
) -> Float[Tensor, "V V"]:
    """Probabilities of the next character, rows by the last one; always the same table.

    Rows are drawn from a Dirichlet distribution, so that few characters follow each, and every row has the
    same share of triggers: the more of them, the more copying is worth, and the less doing nothing.

    Args:
        trigger_share: probability in (0, 1) that the next character is a trigger.
        concentration: of the Dirichlet distribution; the smaller, the fewer characters follow each.
    """
    if not 0 < trigger_share < 1:
        raise OptionError(f"the share of triggers must be in (0, 1), got {trigger_share}.")
    if not 0 < concentration <= MOST_CONCENTRATION:
        raise OptionError(
            f"the concentration must be in (0, {MOST_CONCENTRATION:g}], got {concentration}."
        )
    generator = np.random.Generator(np.random.PCG64(1))
    plain = CHARACTERS - TRIGGERS
    parts = [
        share * generator.dirichlet(np.full(count, concentration), CHARACTERS)
        for share, count in ((1 - trigger_share, plain), (trigger_share, TRIGGERS))
    ]
    return torch.from_numpy(np.concatenate(parts, axis=1)).float()


def backcopy(
    samples: int,
    length: int,
    trigger_share: float = TRIGGER_SHARE,
    *,
    concentration: float = CONCENTRATION,
    seed: int = 0,
) -> Int[Tensor, "N L"]:
    """Sequences of the task: <s>, then characters.

    Args:
        samples: sequences N.
        length: tokens L, <s> among them.
        trigger_share: see `transitions`.
        concentration: see `transitions`.
        seed: of the draws.
    """
    if length < 4:
        raise OptionError(f"length must be at least 4, got {length}.")
    table = transitions(trigger_share, concentration=concentration)
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
    copies = torch.zeros_like(triggers)
    copies[:, 2:] = triggers[:, 1:-1]
    return copies
