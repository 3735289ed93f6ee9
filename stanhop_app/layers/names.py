"""Names that options are chosen from. Nothing here needs torch, so that help answers at once."""

import sys

ASSOCIATION_NAMES = ("softmax", "softmax1", "sparsemax", "entmax15", "entmax")
"""Those that `stanhop_app.layers.association` comes with; a test holds the two equal."""
GATES = ("linear", "mlp", "all_heads")
KINDS = ("dense", "memory")
"""Of feed-forward networks and projections."""
MOST_BITS = 16
"""That one table of a memory layer hashes; its rows are 2 to this power."""


def association_names() -> tuple[str, ...]:
    """Every association that is registered, those of others too."""
    module = sys.modules.get("stanhop_app.layers.association")
    return ASSOCIATION_NAMES if module is None else tuple(module.ASSOCIATIONS)
