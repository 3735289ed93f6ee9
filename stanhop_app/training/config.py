"""How a model is trained: what can be chosen, and the learning rate over the steps."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Loss = Literal["mse", "mae", "huber"]
Precision = Literal["32-true", "bf16-mixed"]
Keep = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained."""

    loss: Loss = "mse"
    """What is minimised, in scaled units, also on validation: "mse", "mae" or "huber" (delta 1)."""
    max_epochs: int = 6
    """Passes over the training windows; the learning-rate cycle spans all of them."""
    max_steps: int | None = None
    """Optimiser steps after which training ends in any case; shortens the cycle too."""
    batch_size: int = 64
    """Windows in an optimiser step, over all devices together."""
    learning_rate: float = 3e-3
    """Top of the one-cycle schedule. On ETTh1's validation rows better than .001 at 24, 96, 336 and 720."""
    warmup: float = 0.3
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    decay_gains: bool = True
    """Whether weight decay also draws the gains of norms towards 0, as OPT's training did; it keeps
    outliers small (arXiv 2306.12929, table 6)."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    average_decay: float = 0.99
    """Decay of the running average of the weights that is validated and kept; 0 keeps the last."""
    keep: Keep = "best"
    """Which averaged weights the model ends with: those "best" on validation, or the "last" ones. What
    grows with training, as outliers do, is compared at one and the same step only with the last."""
    patience: int = 3
    """Epochs without a better validation loss after which training stops."""
    seed: int = 0
    """Fixes initial weights, order and dropout; on CPU, the result to the bit."""
    device: str = "auto"
    """Accelerator: "auto", "cpu", "cuda", "mps"."""
    devices: int = 1
    """Processes, one device each; more than one trains data-parallel (DDP)."""
    precision: Precision = "32-true"
    """Precision of Lightning Fabric: "32-true" or "bf16-mixed"."""

    def __post_init__(self) -> None:
        if self.loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, got {self.loss!r}.")
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}."
            )
        if self.keep not in get_args(Keep):
            raise ValueError(f"keep must be one of {', '.join(get_args(Keep))}, got {self.keep!r}.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2**32), got {self.seed}.")
        for name in ("max_epochs", "batch_size", "patience", "devices"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps}.")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}.")
        for name in ("warmup", "average_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}.")


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Factor of the learning rate at a step: cosine from 1/25 up to 1, then down to 4e-6.

    References:
        Smith and Topin, arXiv 1708.07120; shape and constants as in PyTorch's OneCycleLR.
    """

    def cosine(start: float, end: float, share: float) -> float:
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

    top = max(warmup * total - 1, 0.0)
    if step <= top and top > 0:
        return cosine(1 / 25, 1.0, step / top)
    return cosine(1.0, 4e-6, min((step - top) / max(total - 1 - top, 1), 1.0))
