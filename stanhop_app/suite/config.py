"""What a run of the suite is made from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import nn

from stanhop_app.models.bert import BERT, BERTConfig
from stanhop_app.models.opt import OPT, OPTConfig
from stanhop_app.models.vit import ViT, ViTConfig
from stanhop_app.suite.corpus import SPECIAL, Corpus, default_data
from stanhop_app.training.config import TrainingConfig

MODELS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "bert": (BERTConfig, BERT),
    "opt": (OPTConfig, OPT),
    "vit": (ViTConfig, ViT),
}
"""Configuration and network, by name."""
SMALLEST_VOCABULARY = 256 + len(SPECIAL)
OF_DATA = ("vocab_size", "max_length", "image_size", "channels", "num_classes")
"""Fields of the networks that follow from the data."""


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """One training of one model."""

    model: str
    """"bert", "opt" or "vit"."""
    data: str = ""
    """Name or path, see `stanhop_app.suite.corpus.load_corpus`; empty: a default that needs no download."""
    length: int = 128
    """Tokens in a block of text."""
    vocab_size: int = 2048
    """Tokens of a text's vocabulary, at most; 256 bytes and 5 special tokens are always in it."""
    max_steps: int = 1000
    """Optimiser steps; the learning-rate cycle spans all of them."""
    batch_size: int = 32
    """Samples in an optimiser step."""
    learning_rate: float = 1e-3
    """Top of the one-cycle schedule."""
    weight_decay: float = 0.1
    """Of AdamW; OPT's."""
    decay_gains: bool = True
    """Whether it also draws the gains of norms towards 0."""
    seed: int = 0
    """Fixes initial weights, order, hidden tokens and dropout."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the network's configuration; what follows from the data is not among them."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `TrainingConfig`."""

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model must be one of {', '.join(MODELS)}, got {self.model!r}.")
        for name in ("length", "vocab_size", "max_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.vocab_size < SMALLEST_VOCABULARY:
            raise ValueError(
                f"vocab_size must be at least {SMALLEST_VOCABULARY} (bytes and special tokens), got "
                f"{self.vocab_size}."
            )
        if self.length < 4:
            raise ValueError(f"length must be at least 4, got {self.length}.")
        known = {f.name for f in fields(MODELS[self.model][0])} - set(OF_DATA)
        for name in self.network:
            if name not in known:
                raise ValueError(
                    f"network has no option {name!r}; choose from {', '.join(sorted(known))}."
                )
        if not self.data:
            object.__setattr__(self, "data", default_data(self.model))

    def make_network(self, corpus: Corpus) -> nn.Module:
        """An untrained network for a corpus; random weights are drawn from the current state."""
        config, network = MODELS[self.model]
        if corpus.is_text:
            of_data = {"vocab_size": corpus.vocab_size, "max_length": self.length}
        else:
            channels, size = corpus.inputs["train"].shape[1:3]
            of_data = {
                "image_size": size,
                "channels": channels,
                "num_classes": corpus.vocab_size,
            }
        made: nn.Module = network(config(**{**self.network, **of_data}))
        return made

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
                "seed": self.seed,
                "warmup": 0.1,
                "keep": "last",
                **self.training,
            }
        )

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)
