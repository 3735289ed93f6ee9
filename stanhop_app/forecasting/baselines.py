"""Baselines that every evaluation prints beside the network.

A predictor maps scaled windows (B, T, C) to forecasts (B, L, C).
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from stanhop_app.data.windows import Windows
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.linear.fit import LOOKBACKS, fit_pooled
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.stanhop import LinearPart
from stanhop_app.training.checkpoint import (
    load_tensors,
    load_weights,
    save_hashed,
    with_prefix,
    without_prefix,
)
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.loop import train


def last_value(horizon: int) -> Predictor:
    """Repeat the last value."""
    return Predictor(predict=lambda x: x[:, -1:].expand(-1, horizon, -1), lookback=1)


def seasonal_naive(horizon: int, season: int) -> Predictor:
    """Repeat the last season, ``y_{t+h} = x_{t+h-m ceil(h/m)}`` with season m.

    Raises:
        OptionError: if the season is below 1.
    """
    if season < 1:
        raise OptionError(f"season must be at least 1, got {season}.")
    steps = torch.arange(horizon) % season

    def predict(x: Tensor) -> Tensor:
        return x[:, -season:][:, steps.to(x.device)]

    return Predictor(predict=predict, lookback=season, note=f"season {season}")


def fit_ridge(train: Windows, validation: Windows) -> Predictor:
    """Ridge regression shared by all variates; lookback and penalty chosen on validation."""
    fits = []
    for lookback in sorted({*LOOKBACKS, train.lookback}):
        candidate = replace(train, lookback=lookback)
        if len(candidate) >= min(len(train), 2 * lookback):
            fits.append(fit_pooled(candidate, replace(validation, lookback=lookback)))
    fit = min(fits, key=lambda f: f.validation_mse)
    (options,) = fit.options
    return Predictor(
        predict=fit.module(),
        lookback=options.lookback,
        note=f"lookback {options.lookback}, penalty {options.penalty:g}",
    )


class DLinear(nn.Module):
    """Two linear maps, one of the moving average of the window and one of the rest.

    References:
        Zeng et al., "Are Transformers Effective for Time Series Forecasting?", arXiv 2205.13504;
        shared by all variates, moving average of 25 steps with repeated ends, as in their code.
    """

    def __init__(self, lookback: int, horizon: int, window: int = 25):
        super().__init__()
        self.window = window
        self.trend = nn.Linear(lookback, horizon)
        self.season = nn.Linear(lookback, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, L, C)."""
        x = x.transpose(1, 2)
        left, right = (self.window - 1) // 2, self.window // 2
        padded = torch.cat(
            [x[..., :1].expand(-1, -1, left), x, x[..., -1:].expand(-1, -1, right)], dim=-1
        )
        trend = nn.functional.avg_pool1d(padded, self.window, stride=1)
        out: Tensor = self.trend(trend) + self.season(x - trend)
        return out.transpose(1, 2)


def fit_dlinear(windows: Windows, validation: Windows, *, seed: int = 0) -> Predictor:
    """DLinear trained by gradient with early stopping on validation."""
    with drawing(seed):
        model = DLinear(windows.lookback, windows.horizon)
        config = TrainingConfig(max_epochs=10, learning_rate=2e-3, seed=seed, device="cpu")
        task = ForecastTask(windows, validation, fill=True)
        train(model, task, config, progress=False)
    return Predictor(predict=model, lookback=windows.lookback)


def fit_baselines(
    train: Windows, validation: Windows, *, season: int, seed: int = 0
) -> dict[str, Predictor]:
    """All four, by the name that tables print."""
    return {
        "last value": last_value(train.horizon),
        "seasonal naive": seasonal_naive(train.horizon, season),
        "ridge": fit_ridge(train, validation),
        "DLinear": fit_dlinear(train, validation, seed=seed),
    }


def save_baselines(baselines: dict[str, Predictor], path: Path) -> str:
    """Write the two fitted baselines as one safetensors file, so that later scores have them too.

    Returns:
        Its SHA-256, after which it is named (`stanhop_app.files.hashed_name`).
    """
    ridge, dlinear = (baselines[name].predict for name in ("ridge", "DLinear"))
    assert isinstance(ridge, nn.Module)
    assert isinstance(dlinear, nn.Module)
    tensors = {
        **with_prefix("ridge", ridge.state_dict()),
        **with_prefix("dlinear", dlinear.state_dict()),
    }
    return save_hashed(path, tensors, {"notes": {name: b.note for name, b in baselines.items()}})


def load_baselines(path: Path, *, horizon: int, season: int) -> dict[str, Predictor]:
    """Read what `save_baselines` wrote; the naive ones need no file.

    Raises:
        ArtefactError: if the file is missing or damaged.
    """
    tensors, header = load_tensors(path)
    if not {"ridge.weight", "dlinear.trend.weight"} <= tensors.keys() or "notes" not in header:
        raise ArtefactError(f"{path}: damaged (no baselines in it).")
    ridge = LinearPart(*tensors["ridge.weight"].shape)
    load_weights(ridge, without_prefix("ridge", tensors), str(path))
    lookback = tensors["dlinear.trend.weight"].shape[1]
    dlinear = DLinear(lookback, horizon)
    load_weights(dlinear, without_prefix("dlinear", tensors), str(path))
    notes = header["notes"]
    return {
        "last value": last_value(horizon),
        "seasonal naive": seasonal_naive(horizon, season),
        "ridge": Predictor(
            predict=ridge, lookback=tensors["ridge.weight"].shape[1], note=notes["ridge"]
        ),
        "DLinear": Predictor(predict=dlinear, lookback=lookback, note=notes["DLinear"]),
    }
