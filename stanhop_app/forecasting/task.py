"""Forecasting as a training task: windows in, a loss between forecast and truth out."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stanhop_app.data.windows import Windows
from stanhop_app.training.config import Loss

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


class ForecastTask:
    """Training and validation windows of one table; see `stanhop_app.training.task.Task`."""

    def __init__(self, train: Windows, validation: Windows, loss: Loss = "mse"):
        self.train, self.validation = train, validation
        self.train_size, self.validation_size = len(train), len(validation)
        self._loss = LOSSES[loss]

    def to(self, device: torch.device) -> None:
        """Keep the one array behind all windows on this device."""
        values = self.train.values.to(device)
        self.train = replace(self.train, values=values)
        self.validation = replace(self.validation, values=values)

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean loss over windows, steps and variates, in scaled units."""
        x, y = (self.validation if validation else self.train).gather(indices)
        return self._loss(model(x), y)
