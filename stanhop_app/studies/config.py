"""Options of studies of forecasters. Nothing here needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stanhop_app.layers.names import GATES
from stanhop_app.options import check, option


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """What all cells of a comparison of attention variants have in common."""

    split: str = option("14/5/5", "Ratio A/B/C of training, validation and test rows, or etth.")
    lookback: int = option(336, "Time steps read.", least=1)
    max_epochs: int = option(6, "Passes over the training windows.", least=1)
    learning_rate: float = option(3e-3, "Top of the one-cycle schedule.", above=0.0)
    clip: tuple[float, float] | None = option(
        None,
        "Clipping of the clipped variants, stretched to [GAMMA, ZETA]. Default: -0.5 / patches, and 1.",
        metavar="GAMMA ZETA",
    )
    gate: str = option("linear", "Gate of the gated variants.", choices=GATES)
    network: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `STanHopConfig`, such as dim and num_layers."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `TrainingConfig`, such as max_steps."""

    def __post_init__(self) -> None:
        check(self)
