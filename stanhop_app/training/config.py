"""How a model is trained: what can be chosen, and the learning rate over the steps."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from stanhop_app.options import check, option

Loss = Literal["mse", "mae", "huber"]
Precision = Literal["32-true", "bf16-mixed"]
Keep = Literal["best", "last"]
Schedule = Literal["one-cycle", "constant"]
FinalKind = Literal["all", "linear", "none"]
MemoryKind = Literal["none", "plug"]
"""Which parts forecast the real future fitted on all rows, after the scores."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained."""

    loss: Loss = option(
        "mse",
        "What is minimised, in scaled units, on training and on validation windows; huber has delta 1.",
        choices=get_args(Loss),
    )
    max_epochs: int = option(
        6,
        "Passes over the training windows; the learning-rate cycle spans all of them.",
        least=1,
        search=(3, 12),
    )
    max_steps: int | None = option(
        None,
        "Optimiser steps after which training ends in any case; the cycle is shorter then. Default: none.",
        least=1,
    )
    epoch_windows: int | None = option(
        None,
        "Training windows in an epoch, drawn anew each time, where there are more. Default: all.",
        least=1,
    )
    batch_size: int = option(
        64,
        "Windows in an optimiser step, over all devices together.",
        least=1,
        search=(32, 64, 128, 256),
    )
    # On ETTh1's validation rows .003 was better than .001 at 24, 96, 336 and 720 hours.
    learning_rate: float = option(
        3e-3, "Learning rate at the top of the one-cycle schedule.", above=0.0, search=(3e-4, 1e-2)
    )
    warmup: float = option(
        0.3, "Share of the steps in which the learning rate rises.", least=0.0, below=1.0
    )
    schedule: Schedule = option(
        "one-cycle",
        "The learning rate over the steps: one cycle, or constant after it rose.",
        choices=get_args(Schedule),
    )
    beta2: float = option(
        0.999, "Decay of AdamW's running mean of squared gradients.", least=0.0, below=1.0
    )
    weight_decay: float = option(0.01, "Decoupled weight decay of AdamW.", search=(1e-3, 0.3))
    # arXiv 2306.12929, table 6.
    decay_gains: bool = option(
        True,
        "Whether weight decay also draws the gains of norms towards 0, which keeps outliers small.",
    )
    gradient_clip: float = option(1.0, "Largest norm of the gradient.", above=0.0)
    average_decay: float = option(
        0.99,
        "Decay of the running average of weights that is validated and kept; 0 keeps the last weights.",
        least=0.0,
        below=1.0,
    )
    # What grows with training, as outliers do, is compared at one and the same step only with the last.
    keep: Keep = option(
        "best",
        "Which averaged weights the model ends with: those best on validation, or the last ones.",
        choices=get_args(Keep),
    )
    patience: int = option(
        3, "Epochs without a better validation loss after which training stops.", least=1
    )
    balanced: bool = option(
        False,
        "Whether every series of many gives as many training windows as any other, however long it is.",
    )
    seed: int = option(
        0,
        "Fixes initial weights, order and dropout; on a CPU the result to the bit.",
        least=0,
        below=2**32,
    )
    device: str = option("auto", "Accelerator to train on.", choices=("auto", "cpu", "cuda", "mps"))
    devices: int = option(
        1,
        "Processes on each machine, a device each; more than one train data-parallel (DDP).",
        least=1,
    )
    num_nodes: int = option(
        1,
        "Machines, of which each is given the same command, by torchrun, Slurm or by hand.",
        least=1,
    )
    precision: Precision = option(
        "32-true", "Precision of Lightning Fabric.", choices=get_args(Precision)
    )

    def __post_init__(self) -> None:
        check(self)


def rate_factor(step: int, total: int, config: TrainingConfig) -> float:
    """Factor of the learning rate at a step, by the schedule of a configuration."""
    if config.schedule == "constant":
        rising = max(round(config.warmup * total), 1)
        return min((step + 1) / rising, 1.0)
    return one_cycle(step, total, config.warmup)


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
