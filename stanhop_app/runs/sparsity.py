"""How much every retrieval of a forecaster reads, level by level: the paper's "resolution-specific sparsity".

With the association "entmax" every head learns how sparse it is: alpha near 1 reads all patterns a little
(softmax), alpha near 2 few (sparsemax). Level i of the encoder sees tokens of ``patch_length *
coarse_graining^i`` steps, so that the paper's claim, sparsity that fits the resolution, is alphas that differ
from level to level.

References:
    Wu et al., arXiv 2312.17346, section 3 (STanHop), where alpha is learned by layer.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from stanhop_app.layers.hopfield import Hopfield
from stanhop_app.layers.observe import record_weights
from stanhop_app.models.config import STanHopConfig
from stanhop_app.runs.measures import spread
from stanhop_app.runs.run import Run

FIXED = {"softmax": 1.0, "softmax1": 1.0, "sparsemax": 2.0, "entmax15": 1.5}
"""Alpha of the associations that learn none."""
FORECAST = "forecast"
"""Part of the layers that read a level of the encoder for the forecast."""
BATCH = 64
"""Windows at a time."""


@dataclass(frozen=True, kw_only=True)
class Sparsity:
    """What every retrieval reads."""

    table: pd.DataFrame
    """One row a layer: part ("time" over patches, "pooling" of variates, "series" out of what was pooled,
    "forecast"), level, steps of a token, patterns that a query sees, alpha (mean, least and most of the
    heads), patterns of a weight above 0, effective ones ``exp(entropy)``, and what the no-op is left."""
    learned: bool
    """Whether alpha is learned."""

    @property
    def verdict(self) -> str:
        """The finding of the encoder, in a sentence."""
        rows = self.table[self.table["part"] != FORECAST]
        read = (rows["effective"] / rows["patterns"]).groupby(rows["level"]).mean()
        shares = (
            f"from level to level a query reads {', '.join(f'{share:.0%}' for share in read)} of its "
            "patterns, by their effective number"
        )
        if not self.learned:
            return f"Alpha is not learned (`stanhop train --association entmax` does); {shares}."
        alphas = ", ".join(f"{alpha:.2f}" for alpha in rows.groupby("level")["alpha"].mean())
        least, most = rows["alpha_least"].min(), rows["alpha_most"].max()
        return (
            f"Alpha by level: {alphas}; of single heads {least:.2f} to {most:.2f}, where all start at 1.50; "
            f"{shares}."
        )


@torch.no_grad()
def run_sparsity(run: Run, *, part: str = "test", most: int = 256) -> Sparsity:
    """Alphas of a run's deep part, and what its retrievals read on windows of a part.

    Args:
        run: on the table of its training.
        part: "train", "validation" or "test".
        most: windows, evenly spaced.

    Raises:
        DataError: if the table is another one, or the part has no window.
    """
    windows, deep = run.parts[part], run.fitted.network.deep
    sums: dict[str, Tensor] = {}
    for batch in spread(windows, most).split(BATCH):
        with record_weights(deep) as weights:
            deep(windows.gather(batch)[0], **windows.beside(batch))
        for name, of_layer in weights.items():
            sums[name] = sums.get(name, torch.zeros(5, dtype=torch.float64)) + _read(of_layer)
    rows = [
        _row(name, layer, sums[name], deep.config)
        for name, layer in deep.named_modules()
        if isinstance(layer, Hopfield)
    ]
    return Sparsity(
        table=pd.DataFrame(rows).set_index("layer"), learned=deep.config.association not in FIXED
    )


def _read(weights: Tensor) -> Tensor:
    """Sums over queries and heads: their number, patterns, those read, effective ones, the no-op's share."""
    weights = weights.double()
    total = weights.sum(-1)
    shares = weights / total.clamp_min(1e-12)[..., None]
    entropy = torch.special.entr(shares).sum(-1)
    count = torch.ones_like(total)
    read = (weights > 0).sum(-1)
    parts = (count, count * weights.shape[-1], read, entropy.exp(), 1 - total)
    return torch.stack([values.double().sum() for values in parts])


def _row(name: str, layer: Hopfield, sums: Tensor, config: STanHopConfig) -> dict[str, object]:
    """A row of the table; a reader k reads what block k - 1 makes, the first one what is embedded."""
    kind, number, *rest = name.split(".")
    forecast = kind == "readers"
    level = max(int(number) - 1, 0) if forecast else int(number)
    alphas = torch.as_tensor(FIXED.get(layer.association, layer.alpha), dtype=torch.float64)
    patterns, read, effective, no_op = (sums[1:] / sums[0]).tolist()
    return {
        "layer": name,
        "part": FORECAST if forecast else rest[0],
        "level": level,
        "steps": config.patch_length * config.coarse_graining**level,
        "patterns": patterns,
        "alpha": float(alphas.mean()),
        "alpha_least": float(alphas.min()),
        "alpha_most": float(alphas.max()),
        "read": read,
        "effective": effective,
        "no_op": max(no_op, 0.0),
    }
