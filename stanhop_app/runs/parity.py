"""Whether an export forecasts as the network does, and what it takes."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.windows import Windows
from stanhop_app.errors import ExportError
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.outlook.rolling import Predict, last_windows
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.runs.exported import ExportedForecaster
from stanhop_app.runs.run import Run

LARGEST_DIFFERENCE = 1e-4
"""Largest difference of a float export from the network, relative to the largest value forecast."""
LARGEST_LOSS = 0.01
"""Share by which the validation error of an int8 export may exceed that of the network."""
SERIES = 4
"""Series whose last windows an export is compared on, evenly over all, at most."""
HOLES = 0.1
"""Share of the values taken out of the windows that an export of a network with holes is compared on."""
Inputs = dict[str, Tensor]
"""What a network reads by keyword: windows "x", and what lies beside them."""
BATCHES = (1, 64)
"""Sizes of batches whose latency is measured."""


def example(fitted: Fitted) -> Inputs:
    """Windows of the last rows of some series, and the same disturbed, and all that is read beside."""
    outlook, network = fitted.outlook, fitted.forecasting.config
    beside: dict[str, np.ndarray] = {}
    if outlook.is_wide:
        rows = outlook.context.to_numpy(dtype=np.float64)
        window = outlook.scaler.transform(rows)[None]
    else:
        history = outlook.kept()
        history = history.chosen(history.ids[:: -(-len(history.ids) // SERIES)])
        ahead = outlook.ahead(history, outlook.horizon)
        window = last_windows(history, outlook.scalers(history), outlook.lookback, ahead)
        if ahead is not None:
            known = ahead.of(range(len(history.ids)))
            moving = network.future_features + network.past_features
            beside |= {"covariates": known.covariates} if moving else {}
            beside |= {"static": known.static} if network.static_features else {}
    chance = torch.Generator().manual_seed(0)
    example: Inputs = {}
    for name, array in {"x": window, **beside}.items():
        one = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        example[name] = torch.cat([one, one + 0.1 * torch.randn(one.shape, generator=chance)])
    if network.holes:
        lost = torch.rand(example["x"].shape, generator=chance) < HOLES
        example["x"] = example["x"].masked_fill(lost, torch.nan)
    return example


def beside_of(example: Inputs) -> Inputs:
    """All but the windows."""
    return {name: tensor for name, tensor in example.items() if name != "x"}


def difference(network: STanHopNet, exported: ExportedForecaster, example: Inputs) -> float:
    """Largest relative difference over batches of 1, 2 and all windows; infinite if one gives no number."""
    differences, count = [], len(example["x"])
    for places in ([0], [0, count - 1], list(range(count)), [*range(count), 0]):
        windows, beside = _arrays({name: tensor[places] for name, tensor in example.items()})
        wanted = eager(network)(windows, **beside)
        forecast = exported.predict_windows(windows, **beside)
        if not (np.isfinite(forecast).all() and np.isfinite(wanted).all()):
            return float("inf")
        largest = max(float(np.abs(wanted).max()), float(np.finfo(np.float32).tiny))
        differences.append(float(np.abs(forecast - wanted).max()) / largest)
    return max(differences)


def _arrays(inputs: Inputs) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Windows, and what lies beside them by keyword."""
    beside = {name: tensor.numpy() for name, tensor in beside_of(inputs).items()}
    return inputs["x"].numpy(), beside


def errors(run: Run, exported: ExportedForecaster, windows: Windows) -> dict[str, float]:
    def predict(x: Tensor, **beside: Tensor) -> Tensor:
        known, further = _arrays({"x": x, **beside})
        return torch.from_numpy(exported.predict_windows(known, **further))

    fitted, scaler = run.fitted, run.table.outer_scaler
    common: dict[str, Any] = {
        "lookback": fitted.lookback,
        "holes": fitted.network.config.holes,
        "reads_beside": True,
    }
    predictors: dict[str, Callable[..., Tensor]] = {
        "network": fitted.forecasting,
        "export": predict,
    }
    return {
        name: score(Predictor(predict=each, **common), windows, scaler).mse
        for name, each in predictors.items()
    }


def accept(to: str, difference: float, errors: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse an export that is not the network."""
    if to != "onnx-int8":
        if difference <= LARGEST_DIFFERENCE:
            return
        reason = f"its forecasts differ by {difference:.1e} of the largest value"
    else:
        mse = errors.get("validation")
        if mse is None:
            raise ExportError("int8 is judged on validation windows, and there is none.")
        if mse["export"] <= (1 + LARGEST_LOSS) * mse["network"]:
            return
        reason = (
            f"its error on validation windows is {mse['export']:.5f}, more than {LARGEST_LOSS:.0%} above "
            f"the network's {mse['network']:.5f}"
        )
    raise ExportError(f"the export was refused: {reason}; try another --to.")


def eager(network: STanHopNet) -> Predict:
    def predict(windows: np.ndarray, **beside: np.ndarray) -> np.ndarray:
        known = {name: torch.from_numpy(array) for name, array in beside.items()}
        with torch.no_grad():
            forecast: np.ndarray = network(torch.from_numpy(windows), **known).numpy()
        return forecast

    return predict


def milliseconds(
    predictors: Mapping[str, Predict], example: Inputs, rounds: int = 12
) -> dict[str, dict[str, float]]:
    times: dict[str, dict[str, float]] = {}
    for size in BATCHES:
        windows, beside = _arrays({name: each[[0] * size] for name, each in example.items()})
        best = dict.fromkeys(predictors, float("inf"))
        for _ in range(rounds):
            for name, predict in predictors.items():
                started = time.perf_counter()
                predict(windows, **beside)
                best[name] = min(best[name], time.perf_counter() - started)
        times[str(size)] = {name: round(1e3 * seconds, 3) for name, seconds in best.items()}
    return times
