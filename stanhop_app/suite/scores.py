"""What a model of the suite comes to: scores in float and at fewer bits, outliers, sinks."""

from typing import Any

import torch
from torch import nn

from stanhop_app.outliers import preset_outliers, record
from stanhop_app.quantization import QuantizationConfig, parse_bits, quantize
from stanhop_app.suite.sinks import measure_sinks
from stanhop_app.suite.tasks import SuiteTask
from stanhop_app.training.draws import drawing

CALIBRATION_BATCHES, CALIBRATION_SIZE = 16, 32
"""As in the papers."""
RECORDED = 512
"""Test samples, evenly spaced, over which outliers are measured."""


def score_model(network: nn.Module, task: SuiteTask, part: str = "test") -> dict[str, float]:
    """Loss in nats, accuracy, and perplexity where there are tokens."""
    scores = task.score(network.eval(), part)
    if not hasattr(task, "labels"):
        scores["perplexity"] = float(torch.tensor(scores["loss"], dtype=torch.float64).exp())
    return scores


def score_bits(network: nn.Module, task: SuiteTask, bits: str) -> dict[str, float]:
    """Scores in simulated low-bit arithmetic, such as "W8A8", calibrated on training samples.

    Ranges are minima and maxima for all models; for OPT the papers choose a percentile and the range of
    weights by squared error, which `stanhop_app.quantization.quantize` offers.
    """
    weights, activations = parse_bits(bits)
    with drawing(0):
        samples = CALIBRATION_BATCHES * CALIBRATION_SIZE
        batches = [
            part for b in task.batches("train", samples) for part in b.split(CALIBRATION_SIZE)
        ]
    config = QuantizationConfig(weight_bits=weights, activation_bits=activations)
    return score_model(quantize(network, batches, config), task)


def measure(network: nn.Module, task: SuiteTask) -> dict[str, Any]:
    """Outliers over every preset and of every module, and sinks, on test samples; JSON values."""
    report = record(network, task.batches("test", RECORDED))
    left = [row.no_op for row in report.rows if row.no_op is not None]
    return {
        "outliers": preset_outliers(report, network),
        "modules": {
            row.module: [round(row.kurtosis, 4), round(row.max_inf_norm, 4)] for row in report.rows
        },
        "no_op": sum(left) / len(left),
        "sinks": measure_sinks(network, task.batches("test", RECORDED)),
    }
