"""What a run of the suite is made from."""

import importlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from stanhop_app.errors import OptionError
from stanhop_app.models.config import BERTConfig, OPTConfig, ViTConfig
from stanhop_app.options import check, check_known, like, option
from stanhop_app.training.config import TrainingConfig

if TYPE_CHECKING:
    from torch import nn

MODELS: dict[str, type[Any]] = {"bert": BERTConfig, "opt": OPTConfig, "vit": ViTConfig}
"""Configuration of the network, by name."""
NETWORKS = {"bert": "BERT", "opt": "OPT", "vit": "ViT"}
"""Class of the network, in `stanhop_app.models.NAME`."""
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""The first tokens of every vocabulary, as OPT numbers them."""
SMALLEST_VOCABULARY = 256 + len(SPECIAL)
OF_DATA = ("vocab_size", "max_length", "image_size", "channels", "num_classes")
"""Fields of the networks that follow from the data."""


class Samples(Protocol):
    """What a network's sizes follow from: a `stanhop_app.suite.corpus.Corpus`."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Inputs of each part: training, validation and test."""

    @property
    def vocab_size(self) -> int:
        """Tokens, or classes of images."""

    @property
    def is_text(self) -> bool:
        """Whether the samples are tokens."""


def default_data(model: str) -> str:
    """What a model is trained on where nothing is said: it needs no download."""
    return "digits" if model == "vit" else "python-docs"


def make_network(model: str, config: Any) -> "nn.Module":
    """An untrained network; random weights are drawn from the current state."""
    module = importlib.import_module(f"stanhop_app.models.{model}")
    made: nn.Module = getattr(module, NETWORKS[model])(config)
    return made


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """One training of one model."""

    model: str = option(MISSING, "The model.", choices=tuple(MODELS))
    data: str = option(
        "",
        "Data: python-docs, shakespeare, backcopy[:SHARE[:SPREAD]] or a text file; of vit digits, "
        "mnist-5k, fashion-mnist or a folder of images. Default: python-docs, digits.",
    )
    length: int = option(128, "Tokens in a block of text.", least=4)
    vocab_size: int = option(
        2048,
        "Tokens of a text's vocabulary, at most; 256 bytes and 5 special tokens are always in it.",
        least=1,
    )
    max_steps: int = option(
        1000, "Optimiser steps; the learning-rate cycle spans all of them.", least=1
    )
    batch_size: int = like(
        TrainingConfig, "batch_size", default=32, sentence="Samples in an optimiser step."
    )
    learning_rate: float = like(TrainingConfig, "learning_rate", default=1e-3)
    # The decay is OPT's.
    weight_decay: float = like(TrainingConfig, "weight_decay", default=0.1)
    decay_gains: bool = like(TrainingConfig, "decay_gains")
    schedule: str = like(TrainingConfig, "schedule")
    beta2: float = like(TrainingConfig, "beta2")
    gradient_clip: float = like(TrainingConfig, "gradient_clip")
    average_decay: float = like(TrainingConfig, "average_decay")
    seed: int = like(
        TrainingConfig, "seed", sentence="Fixes initial weights, order, hidden tokens and dropout."
    )
    network: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the network's configuration; what follows from the data is not among them."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `TrainingConfig`."""
    start: str = ""
    """SHA-256 of the weights that a training starts from (`stanhop_app.suite.start`); empty: random ones."""

    def __post_init__(self) -> None:
        check(self)
        if self.vocab_size < SMALLEST_VOCABULARY:
            raise OptionError(
                f"vocab_size must be at least {SMALLEST_VOCABULARY} (bytes and special tokens), got "
                f"{self.vocab_size}."
            )
        known = {f.name for f in fields(MODELS[self.model])} - set(OF_DATA)
        check_known(self.network, known, "network")
        if not self.data:
            object.__setattr__(self, "data", default_data(self.model))

    def make_network(self, corpus: Samples) -> "nn.Module":
        """An untrained network for a corpus; random weights are drawn from the current state."""
        config = MODELS[self.model]
        if corpus.is_text:
            of_data = {"vocab_size": corpus.vocab_size, "max_length": self.length}
        else:
            channels, size = corpus.inputs["train"].shape[1:3]
            of_data = {
                "image_size": size,
                "channels": channels,
                "num_classes": corpus.vocab_size,
            }
        return make_network(self.model, config(**{**self.network, **of_data}))

    def make_training(self, samples: int) -> TrainingConfig:
        """Options of the loop for so many training samples: as many epochs as the steps need."""
        epochs = -(-self.max_steps // -(-samples // self.batch_size))
        return TrainingConfig(
            **{
                "max_epochs": epochs,
                "max_steps": self.max_steps,
                "patience": epochs,
                "batch_size": self.batch_size,
                "learning_rate": self.learning_rate,
                "weight_decay": self.weight_decay,
                "decay_gains": self.decay_gains,
                "schedule": self.schedule,
                "beta2": self.beta2,
                "gradient_clip": self.gradient_clip,
                "average_decay": self.average_decay,
                "seed": self.seed,
                "warmup": 0.1,
                "keep": "last",
                **self.training,
            }
        )

    def as_json(self) -> dict[str, Any]:
        """JSON values; what a training starts from comes first, as it tells most where two differ."""
        return {"start": self.start, **asdict(self)}
