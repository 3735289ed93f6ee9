"""What all cells of a study have in common. Nothing here needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stanhop_app.layers.names import GATES
from stanhop_app.models.config import STanHopConfig
from stanhop_app.options import check, like, option
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """What all cells of a comparison of attention variants have in common."""

    split: str = like(RunConfig, "split")
    lookback: int = like(STanHopConfig, "lookback", default=336)
    max_epochs: int = like(TrainingConfig, "max_epochs")
    learning_rate: float = like(TrainingConfig, "learning_rate")
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


@dataclass(frozen=True, kw_only=True)
class MemoryExperiment:
    """What all cells of an experiment of capacity or noise have in common."""

    data: str = option(
        "digits",
        "Images that are stored: digits, mnist-5k, fashion-mnist, photo-patches or a folder.",
    )
    beta: float = option(
        50.0,
        "Inverse temperature of retrieval, for patterns with mean 0 and norm 1.",
        above=0.0,
    )
    steps: int = option(
        1,
        "Steps of retrieval, at most; 1 is the papers' protocol, more go on to convergence.",
        least=1,
    )
    repeats: int = option(20, "Draws of stored patterns, masks and noise.", least=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class StorageExperiment:
    """What all cells of an experiment of storage have in common."""

    scale: float = option(
        1.5, "Norm of the patterns, in roots of their dimension less 1.", above=0.0
    )
    beta: float = option(1.0, "Inverse temperature of retrieval.", above=0.0)
    share: float = option(
        0.5,
        "Radius of the ball that must end in one point, as a share of half the least distance.",
        above=0.0,
        below=1.0,
    )
    repeats: int = option(5, "Draws of patterns.", least=1)
    largest: int = option(1024, "Patterns at most.", least=2)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ConvergenceExperiment:
    """What all cells of an experiment of convergence have in common; the defaults are the paper's table 3."""

    data: str = option(
        "digits", "Images by name, or a folder of them; height and width must be alike and even."
    )
    dim: int = option(512, "Width of the network.", least=1)
    hidden_dim: int = option(1024, "Width inside its feed-forward networks.", least=1)
    # Blocks and heads are those of the released code; the table does not name them.
    num_layers: int = option(3, "Blocks.", least=1)
    num_heads: int = option(4, "Heads of attention.", least=1)
    dropout: float = option(
        0.3, "Probability that a feature of a sample is dropped.", least=0.0, below=1.0
    )
    learning_rate: float = option(
        1e-4, "Learning rate of Adam at the start; it falls to 0 as a cosine.", above=0.0
    )
    batch_size: int = option(512, "Images in a step.", least=1)
    # The paper trains for 100 epochs of 1,000 images.
    max_steps: int = option(
        200, "Optimiser steps of each network, however many images it learns from.", least=1
    )
    held_out: int = option(
        500, "Images that errors are measured on; none of them is trained on.", least=1
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ScalingExperiment:
    """What all cells of an experiment of scaling have in common."""

    max_steps: int = option(1500, "Optimiser steps of one network.", least=1)
    batch_size: int = option(256, "Windows in a step.", least=1)
    learning_rate: float = option(
        3e-3,
        "Learning rate of AdamW at the start, without decay of weights; it falls to 0 as a cosine.",
        above=0.0,
    )
    error: float = option(
        0.02, "Share of wrong labels up to which windows count as learned.", least=0.0, below=1.0
    )
    largest: int = option(4096, "Windows at most.", least=1)

    def __post_init__(self) -> None:
        check(self)
