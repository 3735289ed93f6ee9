"""Outliers and low-bit errors of a trained forecaster; calibration sees training rows only."""

import numpy as np
import pytest
import torch

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.data.windows import split_windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.evaluation import Predictor, score
from stanhop_app.quantization import ActivationQuantizer, QuantizationConfig, quantize
from stanhop_app.runs.measures import (
    calibration_batches,
    quantized_errors,
    window_outliers,
)
from stanhop_app.runs.run import Run

SMALL = {"dim": 16, "num_heads": 2, "hidden_dim": 16, "deep_lookback": 48}


@pytest.fixture(scope="module")
def frame():
    return datasets.load("sample").iloc[:900]


@pytest.fixture(scope="module")
def forecaster(frame):
    return STanHopForecaster(
        horizon=12, lookback=48, max_epochs=1, network=SMALL, training={"max_steps": 5}
    ).fit(frame)


def test_parts_are_those_of_the_training(forecaster, frame):
    parts = Run(forecaster=forecaster).on(frame).parts
    assert list(parts) == ["train", "validation", "test"]
    borders = forecaster.borders_
    assert parts["train"].last == borders.train
    assert (parts["test"].first, parts["test"].last) == (borders.validation, borders.test)
    for other in (frame.iloc[1:], frame + 1e-3):
        with pytest.raises(DataError, match="not the one that the run was trained on"):
            _ = Run(forecaster=forecaster).on(other).parts


def test_a_split_without_test_rows_cannot_judge_bits(frame):
    fitted = STanHopForecaster(
        horizon=12,
        lookback=48,
        max_epochs=1,
        split="8/2/0",
        network=SMALL,
        training={"max_steps": 1},
    ).fit(frame)
    parts = Run(forecaster=fitted).on(frame).parts
    with pytest.raises(DataError, match="holds no window"):
        quantized_errors(fitted.network_, parts["train"], parts["test"], fitted.scaler_, [])
    with pytest.raises(DataError, match="holds no window"):
        window_outliers(fitted.network_, parts["test"])


def test_bits_are_named_once(forecaster, frame):
    parts, twice = Run(forecaster=forecaster).on(frame).parts, [QuantizationConfig()] * 2
    with pytest.raises(ValueError, match="named once, got W8A8, W8A8"):
        quantized_errors(
            forecaster.network_, parts["train"], parts["test"], forecaster.scaler_, twice
        )


def test_calibration_never_sees_validation_or_test_rows(forecaster, frame):
    """Rows after the training end may hold anything: the quantised network is the same, to the bit."""
    spoiled = frame.copy()
    spoiled.iloc[forecaster.borders_.train :] = 1e6
    twins = []
    for table in (frame, spoiled):
        scaled = torch.from_numpy(forecaster.scaler_.transform(table.to_numpy(dtype=np.float64)))
        train, _, _ = split_windows(scaled, forecaster.borders_, 48, 12)
        batches = calibration_batches(train)
        assert sum(len(batch["x"]) for batch in batches) <= 16 * 32
        twins.append(quantize(forecaster.network_, batches).state_dict())
    assert twins[0].keys() == twins[1].keys()
    assert all(torch.equal(twins[0][name], twins[1][name]) for name in twins[0])
    scales = [name for name in twins[0] if name.endswith("quantizer.scale")]
    assert len(scales) > 50


def test_calibration_draws_from_the_whole_training_part(forecaster, frame):
    train = Run(forecaster=forecaster).on(frame).parts["train"]
    first = torch.cat([batch["x"][:, 0, 0] for batch in calibration_batches(train)])
    rows = {round(v, 5) for v in train.values[:, 0].tolist()}
    assert {round(v, 5) for v in first.tolist()} <= rows
    late = train.values[train.last - 100 : train.last - 60, 0]
    assert np.isin(late.numpy().round(5), first.numpy().round(5)).any()


def test_a_table_of_errors_at_fewer_bits(forecaster, frame):
    parts = Run(forecaster=forecaster).on(frame).parts
    configs = [QuantizationConfig(weight_bits=b, activation_bits=b) for b in (16, 8, 3)]
    table = quantized_errors(
        forecaster.network_, parts["train"], parts["test"], forecaster.scaler_, configs
    )
    assert list(table.loc["deep part"].index) == ["float", "W16A16", "W8A8", "W3A3"]
    direct = score(
        Predictor(predict=forecaster.network_, lookback=48), parts["test"], forecaster.scaler_
    )
    assert table.loc[("STanHop-Net", "float"), "mse"] == pytest.approx(direct.mse)
    assert table.loc[("deep part", "float"), "change"] == 0
    assert abs(table.loc[("deep part", "W16A16"), "change"]) < 1e-3
    assert abs(table.loc[("deep part", "W3A3"), "change"]) > abs(
        table.loc[("deep part", "W8A8"), "change"]
    )


def test_outliers_of_a_part(forecaster, frame):
    test = Run(forecaster=forecaster).on(frame).parts["test"]
    report = window_outliers(forecaster.network_.deep, test, "layer-outputs")
    assert report.samples == len(test)
    assert {row.module for row in report.rows} == {
        "blocks.0",
        "blocks.1",
        "readers.0",
        "readers.1",
        "readers.2",
    }
    rows = {row.module: row for row in report.rows}
    with torch.no_grad():
        x, _ = test.gather(torch.tensor([rows["blocks.0"].sample]))
        seen = []
        handle = forecaster.network_.deep.blocks[0].register_forward_hook(
            lambda m, given, out: seen.append(out.abs().max().item())
        )
        forecaster.network_.deep(x)
        handle.remove()
    assert seen[0] == pytest.approx(rows["blocks.0"].largest, rel=1e-4)


def test_nothing_of_a_quantised_forecaster_is_left_uncalibrated(forecaster, frame):
    batches = calibration_batches(Run(forecaster=forecaster).on(frame).parts["train"])
    quantized = quantize(forecaster.network_, batches)
    assert not any(m.calibrating for m in quantized.modules() if isinstance(m, ActivationQuantizer))
