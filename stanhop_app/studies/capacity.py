"""How many patterns a memory holds, and how much noise it stands: the retrieval experiments of the papers.

References:
    Hu et al., arXiv 2404.03828, figure 5 and the figures of noise; protocol as in U-Hop of the same group:
    half of an image masked, one update, squared error of pixels, against the size of the memory set.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.datasets.patterns import load_patterns
from stanhop_app.errors import OptionError
from stanhop_app.studies.cells import Cell, fill, open_results
from stanhop_app.studies.config import MemoryExperiment
from stanhop_app.theory.memories import MEMORIES, complete, retrieval_bound

VERSION = 1
"""Version of the results file, whose kind is one of `KINDS`."""
KINDS = {
    "capacity": "{:g} stored patterns",
    "noise": "{:g} times the norm as noise",
    "temperature": "beta {:g}",
}
"""Experiments, and what their values are called."""
QUERIES = 256
"""Stored patterns that are queried in one repeat, at most."""
CLOSE = 0.1
"""Squared error, as a share of the pattern's square, up to which a pattern counts as retrieved."""


def run_experiment(
    kind: str,
    experiment: MemoryExperiment,
    values: Sequence[float],
    *,
    results: Path | None = None,
    stored: int = 100,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells of "capacity", "noise" or "temperature" that are missing, and return all.

    Args:
        kind: which experiment.
        experiment: what all cells have in common.
        values: of "capacity" numbers of stored patterns, of which half is masked; of "noise" norms of
            Gaussian noise as multiples of a pattern's norm; of "temperature" the inverse one, beta, in place
            of the experiment's, for patterns of which half is masked.
        results: JSON file that grows cell by cell; None: nothing is written.
        stored: patterns, of "noise" and "temperature".
        say: told of every cell that begins.

    Raises:
        OptionError: for more patterns than there are, fewer than two, or levels below 0.
    """
    patterns = load_patterns(experiment.data)
    _check(kind, values, stored, len(patterns), experiment)

    def make(cell: Cell, folder: Path | None) -> dict[str, Any]:
        value = float(cell["value"])
        count = int(value) if kind == "capacity" else stored
        noise = value if kind == "noise" else None
        asked = replace(experiment, beta=value) if kind == "temperature" else experiment
        return {"memories": _measure(patterns, count, noise, asked)}

    options = {**asdict(experiment), "stored": stored}
    return fill(
        open_results(results, kind, VERSION, {"options": options}),
        results,
        [{"value": value} for value in values],
        make,
        name=lambda cell: f"{cell['value']:g}",
        say=lambda text: say(f"{kind} {text}"),
    )


def _measure(
    patterns: Tensor, count: int, noise: float | None, experiment: MemoryExperiment
) -> dict[str, dict[str, float]]:
    """Mean and deviation over repeats of what every memory retrieves."""
    rows_of: dict[str, list[list[float]]] = {name: [] for name in MEMORIES}
    for repeat in range(experiment.repeats):
        generator = torch.Generator().manual_seed(1000 * repeat + count)
        stored = patterns[torch.randperm(len(patterns), generator=generator)[:count]]
        wanted = torch.randperm(count, generator=generator)[:QUERIES]
        true = stored[wanted]
        queries = _masked(true, generator) if noise is None else _noisy(true, noise, generator)
        for name in MEMORIES:
            states = complete(queries, stored, name, beta=experiment.beta, steps=experiment.steps)
            errors = (states - true).square().sum(1)
            nearest = torch.cdist(states, stored).argmin(1) == wanted
            bound = np.nan
            if name in ("dense", "OutEffHop"):
                no_op = name == "OutEffHop"
                bounds = retrieval_bound(queries, stored, wanted, beta=experiment.beta, no_op=no_op)
                bound = bounds.median().item()
            row = [(errors <= CLOSE).float().mean().item(), nearest.float().mean().item()]
            rows_of[name].append([*row, errors.mean().item(), errors.sqrt().median().item(), bound])
    labels = ("retrieved", "nearest", "error", "median_distance", "median_bound")
    return {name: _summary(np.array(rows), labels) for name, rows in rows_of.items()}


def _summary(rows: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Mean and deviation of every column; columns of nan are left out."""
    spread = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(rows.shape[1])
    summary: dict[str, float] = {}
    for label, mean, deviation in zip(labels, rows.mean(axis=0), spread, strict=True):
        if not np.isnan(mean):
            summary |= {label: float(mean), f"{label}_sd": float(deviation)}
    return summary


def _masked(patterns: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the entries of each set to 0, the mean, by chance."""
    draws = torch.rand(patterns.shape, generator=generator)
    kept = draws.argsort(dim=1) < patterns.shape[1] // 2
    return patterns * kept


def _noisy(patterns: Tensor, level: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(patterns.shape, generator=generator)
    return patterns + level * noise / noise.norm(dim=1, keepdim=True)


def _check(
    kind: str,
    values: Sequence[float],
    stored: int,
    available: int,
    experiment: MemoryExperiment,
) -> None:
    if kind not in KINDS:
        raise OptionError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    sizes = values if kind == "capacity" else [stored]
    if not values or not all(2 <= size <= available for size in sizes):
        raise OptionError(
            f"{experiment.data} has {available:,} different patterns; store between 2 and that many, got "
            f"{', '.join(f'{size:g}' for size in sizes)}."
        )
    if kind == "noise" and min(values) < 0:
        raise OptionError(f"levels of noise must be at least 0, got {min(values):g}.")
    if kind == "temperature" and min(values) <= 0:
        raise OptionError(f"beta must be above 0, got {min(values):g}.")


def memory_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a value and memory: shares retrieved and nearest, error, and the bound on it."""
    rows = [
        {"value": cell["value"], "memory": memory, **measures}
        for cell in content["cells"].values()
        for memory, measures in cell["memories"].items()
    ]
    return pd.DataFrame(rows).sort_values("value", kind="stable").set_index(["value", "memory"])


def claim(content: Mapping[str, Any]) -> str:
    """Whether OutEffHop has less error than every other memory at the largest value, in a sentence.

    "Beats" is a mean difference of more than two standard errors of the repeats.
    """
    table = memory_table(content)
    last = table.index.get_level_values("value").max()
    rows = table.loc[last]
    repeats = content["options"]["repeats"]
    ours = rows.loc["OutEffHop"]
    others = rows.drop("OutEffHop")
    best = others["error"].idxmin()
    gap = others.loc[best, "error"] - ours["error"]
    standard = np.hypot(ours["error_sd"], others.loc[best, "error_sd"]) / np.sqrt(repeats)
    verdict = "holds" if gap > 2 * standard else "does not hold"
    where = KINDS[content["kind"]].format(last)
    return (
        f'"OutEffHop beats its baselines" {verdict} at {where}: its squared error is '
        f"{ours['error']:.4f} ± {ours['error_sd']:.4f}, that of the best other ({best}) "
        f"{others.loc[best, 'error']:.4f} ± {others.loc[best, 'error_sd']:.4f}; retrieved "
        f"{100 * ours['retrieved']:.1f}% and {100 * others.loc[best, 'retrieved']:.1f}%."
    )
