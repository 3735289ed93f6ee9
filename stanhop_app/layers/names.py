"""Names that options are chosen from. Nothing here needs torch, so that help answers at once."""

import ast
import sys
from functools import cache
from pathlib import Path

GATES = ("linear", "mlp", "all_heads")
KINDS = ("dense", "memory")
"""Kinds of feed-forward networks and projections."""
MODULE_SETS = ("all", "ffn+norm", "ffn+its-norm", "layer-outputs")
"""Sets of modules that outliers are measured over (`stanhop_app.outliers.PRESETS`)."""
PARTS = ("train", "validation", "test")
"""Parts of the rows, or samples, in the order of a split."""
MOST_BITS = 16
"""Features that one table of a memory layer hashes; it has 2 to this power of rows."""


@cache
def _own_associations() -> tuple[str, ...]:
    """Keys of `stanhop_app.layers.association.ASSOCIATIONS`, read from its text: it needs torch."""
    text = Path(__file__).with_name("association.py").read_text(encoding="utf-8")
    (registry,) = (
        statement.value
        for statement in ast.parse(text).body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id == "ASSOCIATIONS"
    )
    assert isinstance(registry, ast.Dict)
    return tuple(str(ast.literal_eval(key)) for key in registry.keys if key is not None)


def association_names() -> tuple[str, ...]:
    """Every association that is registered, those of others too."""
    module = sys.modules.get("stanhop_app.layers.association")
    return _own_associations() if module is None else tuple(module.ASSOCIATIONS)
