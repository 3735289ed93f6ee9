"""What the loop is given: what is learned, and who looks on."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

Tell = Callable[[Mapping[str, float]], None]
"""Told of every row of a training's logs: those of an epoch have a "validation_loss"."""


class Task(Protocol):
    """What a model learns: numbered training and validation samples, and a loss."""

    train_size: int
    validation_size: int

    def to(self, device: torch.device) -> None:
        """Move the data that losses are computed from."""

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean loss of the samples with these numbers, differentiable."""


class Watch(Protocol):
    """Looks at a model while it trains; it must leave the model and the random state as they are."""

    every: int
    """Steps between two looks; the first is before the first step."""

    def load(self) -> None:
        """Take up what was seen before the training was interrupted."""

    def __call__(self, model: nn.Module, step: int) -> None:
        """Look at the model after this many steps."""
