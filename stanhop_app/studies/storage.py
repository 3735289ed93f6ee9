"""How many random patterns a memory stores against their dimension: what is sure, published, and measured.

References:
    Hu et al., arXiv 2404.03828, theorem 3.3 ("exponential in d, at least that of the original model") and
    definition 3.1, as `stanhop_app.theory.storage` computes them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError
from stanhop_app.studies.cells import Cell, fill, open_results
from stanhop_app.studies.config import StorageExperiment
from stanhop_app.theory.storage import log_capacity, published_base, random_patterns, settles

KIND, VERSION = "storage", 1
"""Kind and version of the results file."""
NO_OPS = (0, 1, 16)
"""No-op classes that are compared; 0 is the dense memory, 1 OutEffHop."""
GROWTH = 2**0.5
"""Ratio of two numbers of patterns that are tried, one after the other."""
FAILURE = 0.5
"""Probability of a set that is not stored: as many as half of the sets that are measured."""


def run_storage(
    dims: Sequence[int],
    experiment: StorageExperiment,
    *,
    results: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells that are missing, one a dimension and number of no-op classes, and return all.

    Args:
        dims: dimensions d of the patterns, at least 2.
        experiment: what all cells have in common.
        results: JSON file that grows cell by cell; None: nothing is written.
        say: told of every cell that begins.

    Raises:
        OptionError: for dimensions below 2, or none.
    """
    if not dims or min(dims) < 2:
        raise OptionError(f"dims must name dimensions of 2 and more, got {list(dims)}.")

    def make(cell: Cell, folder: Path | None) -> dict[str, Any]:
        dim, n = int(cell["dim"]), int(cell["n"])
        norm, beta, share = experiment.scale * math.sqrt(dim - 1), experiment.beta, experiment.share
        log_sure = log_capacity(
            dim, norm=norm, beta=beta, n=n, share=share, failure=FAILURE
        )  # fmt: skip
        base = published_base(dim, beta=beta, scale=experiment.scale, failure=FAILURE)
        count, more = _measure(dim, n, norm, experiment)
        return {
            "sure": math.exp(log_sure),
            "published": FAILURE**0.5 * base ** ((dim - 1) / 4),
            "measured": count,
            "more": more,
        }

    return fill(
        open_results(results, KIND, VERSION, {"options": asdict(experiment)}),
        results,
        [{"dim": dim, "n": n} for dim in dims for n in NO_OPS],
        make,
        name=lambda cell: f"{cell['dim']} dimensions, {cell['n']} no-op classes",
        say=lambda text: say(f"storage {text}"),
    )


def _measure(dim: int, n: int, norm: float, experiment: StorageExperiment) -> tuple[int, bool]:
    """Most patterns of which more than half of the drawn sets are stored whole, and whether more may be."""
    best, size = 1, 2.0
    while (count := round(size)) <= experiment.largest:
        held = [
            bool(
                settles(
                    random_patterns(count, dim, norm, seed=seed),
                    experiment.beta,
                    n=n,
                    share=experiment.share,
                    seed=seed,
                ).all()
            )
            for seed in range(experiment.repeats)
        ]
        if 2 * sum(held) <= len(held):
            return best, False
        best, size = count, size * GROWTH
    return best, True


def storage_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a dimension and number of no-op classes: what is sure, published, measured."""
    rows = [
        {name: cell[name] for name in ("dim", "n", "sure", "published", "measured", "more")}
        for cell in content["cells"].values()
    ]
    return pd.DataFrame(rows).sort_values(["dim", "n"]).set_index(["dim", "n"])


def growth(table: pd.DataFrame, n: int, column: str) -> float:
    """Bits of capacity that every dimension adds: the slope of its logarithm, of capacities above 1."""
    values = table.xs(n, level="n")[column]
    values = values[values > 1]
    if len(values) < 2:
        return math.nan
    slope: float = np.polyfit(values.index.to_numpy(float), np.log2(values.to_numpy(float)), 1)[0]
    return slope


def storage_claim(content: Mapping[str, Any]) -> str:
    """Whether the theorem's two halves hold, in a sentence."""
    table = storage_table(content)
    measured = table["measured"].unstack("n")
    dims = len(measured)
    least = int((measured[1] >= measured[0]).sum())
    fewer = int((measured[16] < measured[0]).sum())
    bits = [f"{growth(table, n, 'measured'):.2f}" for n in (0, 1)]
    return (
        '"Exponential in d, and at least as many as the dense memory": every dimension adds '
        f"{bits[0]} bits to what a dense memory stores and {bits[1]} to what OutEffHop does, "
        f"{growth(table, 1, 'sure'):.2f} to what is sure; OutEffHop stores at least as many as dense in "
        f"{least} of {dims} dimensions, with 16 no-op classes fewer in {fewer}."
    )
