"""What a trained forecaster does inside: outliers of its activations, and its errors at fewer bits."""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.forecasting.fitted import DEEP, WHOLE
from stanhop_app.layers.occupancy import Occupancy, occupancies, record_buckets
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.outliers import Modules, OutlierReport, record
from stanhop_app.quantization import QuantizationConfig, quantize

BITS = ("W8A8", "W6A6", "W4A8", "W4A4")
"""Bits of weights and activations that tables show."""
MEASURED_FLOATS = 2**19
"""Numbers in a batch whose activations are measured: of each a hundred are made, and all modules see them."""
CALIBRATION_BATCHES, CALIBRATION_SIZE = 16, 32
"""As in the papers: 16 batches of training data."""


def calibration_batches(train: Windows, seed: int = 0) -> list[dict[str, Tensor]]:
    """Inputs of randomly drawn *training* windows: 16 batches of 32, fewer where there are fewer."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(train), generator=generator)[
        : CALIBRATION_BATCHES * CALIBRATION_SIZE
    ]
    return [train.inputs(batch) for batch in drawn.split(CALIBRATION_SIZE)]


def window_outliers(
    network: nn.Module, windows: Windows, modules: Modules = "all", most: int | None = None
) -> OutlierReport:
    """Outliers of a network over the windows of a part.

    Args:
        network: of scaled units.
        windows: the part.
        modules: a preset or patterns of names.
        most: at most so many windows, evenly spaced; None: all. Sample numbers are counted among these.

    Raises:
        OptionError: if no module matches.
        DataError: if there is no window.
    """
    return record(network, spread_windows(windows, most), modules=modules)


def window_occupancy(
    network: nn.Module, windows: Windows, most: int | None = None
) -> list[Occupancy]:
    """How often every bucket of a network's memory layers is read over the windows of a part.

    Args:
        network: of scaled units.
        windows: the part.
        most: at most so many windows, evenly spaced; None: all.

    Raises:
        DataError: if there is no window.
    """
    with record_buckets(network) as counts, torch.no_grad():
        for batch in spread_windows(windows, most):
            network(**batch)
    return occupancies(network, counts)


def spread(windows: Windows, most: int | None = None) -> Tensor:
    """Numbers of the windows of a part, at most so many, evenly spaced: sample ``i`` is the window ``[i]``.

    Raises:
        DataError: if there is none.
    """
    if len(windows) == 0:
        raise DataError("this part of the split holds no window.")
    count = len(windows) if most is None else min(most, len(windows))
    return torch.arange(count) * len(windows) // count


def spread_windows(windows: Windows, most: int | None = None) -> Iterator[dict[str, Tensor]]:
    """Inputs of the windows of a part in batches, at most so many, evenly spaced.

    Raises:
        DataError: if there is none.
    """
    chosen = spread(windows, most)
    size = max(MEASURED_FLOATS // (windows.values.shape[1] * windows.lookback), 1)
    return (windows.inputs(batch) for batch in chosen.split(size))


def quantized_errors(
    network: STanHopNet,
    train: Windows,
    test: Windows,
    scaler: Scaler,
    configs: Sequence[QuantizationConfig],
) -> pd.DataFrame:
    """Errors of a network in float and in simulated low-bit arithmetic.

    Args:
        network: trained, of scaled units.
        train: windows of training rows, for calibration.
        test: windows that are scored.
        scaler: of the table, `Panel.outer_scaler`.
        configs: one row each and part.

    Returns:
        Index (model, bits), columns mse, mae in scaled units, and change of the mse against float.

    Raises:
        DataError: if there is no test window.
        OptionError: if two configs have the same bits.
    """
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        raise OptionError(f"each number of bits must be named once, got {', '.join(names)}.")
    if len(test) == 0:
        raise DataError("this part of the split holds no window; bits are judged on test windows.")
    batches, holes = calibration_batches(train), network.config.holes
    networks = {"float": network}
    networks |= {config.name: quantize(network, batches, config) for config in configs}  # type: ignore[misc]
    rows = {}
    for model in (WHOLE, DEEP) if network.config.linear_skip else (WHOLE,):
        for bits, low in networks.items():
            predict = low if model == WHOLE else low.deep
            predictor = Predictor(
                predict=predict, lookback=test.lookback, holes=holes, reads_beside=True
            )
            errors = score(predictor, test, scaler)
            rows[model, bits] = {"mse": errors.mse, "mae": errors.mae}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["model", "bits"])
    reference = table["mse"].xs("float", level="bits")
    return table.assign(change=table["mse"] / reference.reindex(table.index, level="model") - 1)
