"""How many random labels a network of N parameters can learn by heart: N against D, and the exponent.

The paper's proposition 5 says that well-separated memorisation wants ``N = O(D^2)``; capacity that is linear
in the number of parameters would be ``N = O(D)``. Labels here are random, so that there is nothing to
generalise, and D counts labels. What is found is what *training* reaches in the steps it is given, a lower
bound of capacity.

References:
    "Beyond Scaling Laws", arXiv 2405.08707, proposition 5 and table 3; for a linear law: Morris et al.,
    arXiv 2505.24832.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.block import TransformerBlock
from stanhop_app.layers.feedforward import dense
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.studies.config import ScalingExperiment
from stanhop_app.studies.steps import train_steps
from stanhop_app.theory.exponent import Fit
from stanhop_app.training.draws import drawing

KIND, VERSION = "scaling", 1
"""Kind and version of the results file."""
TOKENS, CHANNELS, CLASSES = 8, 4, 8
"""Tokens of a window, features of a token, and number of labels."""
SMALLEST = 32
"""Windows that the search begins with."""
GROWTH = 2**0.5
"""Ratio of a size to the one before."""
CHECK = 50
"""Steps between two looks at the errors."""
DRAWS = 2000


class Learner(nn.Module):
    """Two blocks of outlier-efficient retrieval over 8 tokens, and a head over their mean."""

    def __init__(self, dim: int):
        super().__init__()
        self.embedding = dense(CHANNELS, dim)
        self.position = nn.Parameter(0.5 * torch.randn(TOKENS, dim))
        self.blocks = nn.ModuleList(TransformerBlock(dim, 2, 2 * dim) for _ in range(2))
        self.norm = nn.LayerNorm(dim)
        self.head = dense(dim, CLASSES)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B K"]:
        """(B, 8, 4) -> logits (B, 8)."""
        x = self.embedding(x) + self.position
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x.mean(1)))
        return logits

    @property
    def size(self) -> int:
        """Parameters N, without embedding and positions."""
        return sum(
            p.numel()
            for name, p in self.named_parameters()
            if not name.startswith(("embedding", "position"))
        )


def random_windows(count: int, seed: int) -> tuple[Float[Tensor, "N T C"], Int[Tensor, " N"]]:
    """Gaussian windows and labels that have nothing to do with them."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, TOKENS, CHANNELS, generator=generator)
    return x, torch.randint(0, CLASSES, (count,), generator=generator)


def learn(dim: int, count: int, seed: int, experiment: ScalingExperiment) -> float:
    """Share of the labels of so many windows that a network still gets wrong."""
    x, y = random_windows(count, seed)
    with drawing(seed):
        network = Learner(dim)
    wrong = 1.0
    for step in train_steps(
        network,
        x,
        y,
        max_steps=experiment.max_steps,
        batch_size=experiment.batch_size,
        learning_rate=experiment.learning_rate,
        seed=seed,
    ):
        if step % CHECK == 0 or step == experiment.max_steps:
            with torch.no_grad():
                wrong = (network(x).argmax(1) != y).float().mean().item()
            if wrong <= experiment.error:
                break
    return wrong


def largest_learned(dim: int, seed: int, experiment: ScalingExperiment) -> dict[str, Any]:
    """The most windows that a network of this width learns; sizes grow until two in a row are too many."""
    errors: dict[str, float] = {}
    learned, failed, size = 0, 0, float(SMALLEST)
    while failed < 2 and round(size) <= experiment.largest:
        count = round(size)
        errors[str(count)] = learn(dim, count, seed, experiment)
        if errors[str(count)] <= experiment.error:
            learned, failed = count, 0
        else:
            failed += 1
        size *= GROWTH
    return {
        "parameters": Learner(dim).size,
        "learned": learned,
        "at_limit": failed == 0,
        "errors": errors,
    }


def sweep(
    dims: Sequence[int],
    seeds: Sequence[int],
    experiment: ScalingExperiment,
    *,
    results: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells, one a width and seed, and return all.

    Raises:
        OptionError: for fewer than two widths, or widths that two heads do not divide.
    """
    if len(set(dims)) < 2 or not seeds:
        raise OptionError(
            f"at least two widths and one seed are needed, got {list(dims)} and {list(seeds)}."
        )
    for dim in dims:
        Learner(dim)  # bad widths fail before anything is trained
    return fill(
        open_results(results, KIND, VERSION, {"options": asdict(experiment)}),
        results,
        [{"dim": dim, "seed": seed} for seed in seeds for dim in dims],
        lambda cell, folder: largest_learned(int(cell["dim"]), int(cell["seed"]), experiment),
        name=lambda cell: "width {dim}, seed {seed}".format(**cell),
        say=say,
    )


def fit_exponent(content: Mapping[str, Any], *, seed: int = 0) -> Fit:
    """Fit the exponent over all cells that learned something, of widths that the limit stopped in no seed.

    To leave out a width's cells at the limit alone would leave its small ones, and bend the slope.

    Raises:
        OptionError: if fewer than two widths are left.
    """
    table = scaling_table(content)
    stopped = table.groupby("dim")["at_limit"].transform("any")
    table = table[(table["learned"] > 0) & ~stopped]
    if table["parameters"].nunique() < 2:
        raise OptionError(
            "fewer than two widths learned something below the limit; give more widths or a larger "
            "limit."
        )
    generator = np.random.Generator(np.random.PCG64(seed))
    size, learned = (table[name].to_numpy(float) for name in ("parameters", "learned"))
    groups = list(table.reset_index(drop=True).groupby("dim").indices.values())
    draws = []
    for _ in range(DRAWS):
        picked = np.concatenate([g[generator.integers(0, len(g), len(g))] for g in groups])
        between = GROWTH ** generator.uniform(0, 1, len(picked))
        draws.append(_slope(size[picked], learned[picked] * between)[0])
    exponent, factor = _slope(size, learned)
    bits = table["learned"] * np.log2(CLASSES) / table["parameters"]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Fit(
        exponent=exponent,
        low=float(low),
        high=float(high),
        factor=factor,
        bits=float(bits.median()),
    )


def scaling_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a width and seed: parameters, windows learned, whether the limit stopped the search."""
    names = ("dim", "seed", "parameters", "learned", "at_limit")
    rows = [{name: cell[name] for name in names} for cell in content["cells"].values()]
    return pd.DataFrame(rows).sort_values(["dim", "seed"], ignore_index=True)


def _slope(size: np.ndarray, learned: np.ndarray) -> tuple[float, float]:
    """Exponent b and factor a of ``N = a D^b``.

    N is known and D is measured, so that log D is fitted to log N, and turned round: the other way the noise
    of D would flatten the slope.
    """
    n, d = np.log(size), np.log(learned)
    slope, start = np.polyfit(n, d, 1)
    return float(1 / slope), float(np.exp(-start / slope))
