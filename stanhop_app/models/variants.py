"""Attention variants by name: an association, and what is put on top of it."""

import re
from typing import Any

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import find_association

VARIANTS = ("softmax", "softmax1", "softmax+clip", "softmax1+clip", "softmax+gate", "softmax1+gate")
"""The six rows of the paper's table 1: vanilla, OutEffHop, clipped, clipped OutEffHop, gated, gated
OutEffHop."""
PAIRS = (
    ("softmax", "softmax1"),
    ("softmax+clip", "softmax1+clip"),
    ("softmax+gate", "softmax1+gate"),
)
"""Each without and with the no-op: what the paper's headline is a mean over."""


def parse_variant(name: str, *, clip: tuple[float, float], gate: str) -> dict[str, Any]:
    """Options of the network of a variant such as "softmax1+clip+memory".

    The first word is an association; "clip", "gate", "memory" (feed-forward networks) and of softmax1 a
    number of no-op classes, "n16", may follow.

    Args:
        name: of the variant.
        clip: (gamma, zeta) of clipped variants.
        gate: kind of gate of gated variants.

    Raises:
        OptionError: for other words, naming them.
    """
    association, *words = name.split("+")
    find_association(association)
    known: dict[str, dict[str, Any]] = {
        "clip": {"clip": tuple(clip)},
        "gate": {"gate": gate},
        "memory": {"feed_forward": "memory"},
    }
    options: dict[str, Any] = {
        "association": association,
        "clip": None,
        "gate": None,
        "feed_forward": "dense",
    }
    for word in words:
        if classes := re.fullmatch(r"n(\d+(?:\.\d+)?)", word):
            options["n"] = float(classes[1])
            continue
        if word not in known:
            raise OptionError(
                f"variant {name!r}: unknown word {word!r}; write an association and any of "
                f"{', '.join(known)} and n16, as in softmax1+clip."
            )
        options |= known[word]
    return options
