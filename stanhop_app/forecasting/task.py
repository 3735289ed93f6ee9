"""Forecasting as a training task: windows in, a loss between forecast and truth out."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stanhop_app.data.windows import Windows
from stanhop_app.models.holes import between
from stanhop_app.training.config import Loss

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


class ForecastTask:
    """Training and validation windows of a table; see `stanhop_app.training.task.Task`.

    Args:
        train: windows that are learned from.
        validation: windows that say when to stop.
        loss: "mse", "mae" or "huber".
        fill: whether the model takes no windows with holes, and they are filled for it (`between`).
    """

    def __init__(
        self, train: Windows, validation: Windows, loss: Loss = "mse", *, fill: bool = False
    ):
        self.holes, self.fill = train.holes or validation.holes, fill
        self.train, self.validation = train, validation
        self.train_size, self.validation_size = len(train), len(validation)
        self._loss = LOSSES[loss]

    def to(self, device: torch.device) -> None:
        """Keep the one array behind all windows on this device."""
        values, along = self.train.values.to(device), self.train.along
        along = None if along is None else along.to(device)
        self.train = replace(self.train, values=values, along=along)
        self.validation = replace(self.validation, values=values, along=along)

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean loss over windows, steps and variates whose value is known, in scaled units."""
        windows = self.validation if validation else self.train
        (x, y), beside = windows.gather(indices), windows.beside(indices)
        if not self.holes:
            return self._loss(model(x, **beside), y)
        forecast, known = model(between(x) if self.fill else x, **beside), ~y.isnan()
        if not known.any():  # a gradient of zero, not none
            return 0.0 * forecast.sum()
        return self._loss(forecast[known], y[known])
