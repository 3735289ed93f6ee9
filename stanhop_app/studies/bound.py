"""A claim beside its measurement: "the cross-entropy is at least 1".

Proposition 4 of the paper bounds a cross-entropy between Diracs in the space of activations by
``log Z + 1 / Z >= 1``; the paper reads losses of language models near 1.6 as a sign of it. The loss of a
network over tokens has no such floor: overfitted on a short text it goes far below 1.

References:
    "Beyond Scaling Laws", arXiv 2405.08707, proposition 4.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from stanhop_app.datasets.text import load_text
from stanhop_app.layers.names import PARTS
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.suite.config import SuiteConfig
from stanhop_app.suite.corpus import Corpus, encode, pack, train_tokenizer
from stanhop_app.suite.tasks import make_task
from stanhop_app.training.draws import drawing
from stanhop_app.training.loop import train

KIND, VERSION = "bound", 1
"""Kind and version of the results file."""
CLAIM = 1.0
"""What the loss is said to be at least, in nats."""
LENGTH = 32
NETWORK = {"dim": 64, "num_heads": 4, "num_layers": 2, "hidden_dim": 256, "dropout": 0.0}


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Losses in nats a token."""

    data: str
    tokens: int
    """Tokens of the training text."""
    steps: tuple[int, ...]
    train: tuple[float, ...]
    """Mean of every epoch."""
    validation: tuple[float, ...]
    final: float
    """Loss on the training text after the last step."""
    unigram: float
    """Entropy of the training text's tokens."""
    bigram: float
    """Entropy of a token given the one before it."""

    @property
    def verdict(self) -> str:
        """One sentence."""
        holds = "holds" if self.final >= CLAIM else "does not hold"
        return (
            f'"The cross-entropy is at least 1" {holds} for an OPT over {self.tokens:,} tokens of '
            f"{self.data}: {self.final:.4f} nats after {self.steps[-1]:,} steps (validation "
            f"{self.validation[-1]:.2f}, unigrams {self.unigram:.2f}, bigrams {self.bigram:.2f})."
        )


def run_bound(
    data: str,
    characters: int,
    max_steps: int,
    *,
    results: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """`overfit`, kept in a results file of one cell, named after the data.

    Args:
        data: as of `overfit`, and so the next two.
        characters: of the training text.
        max_steps: optimiser steps.
        results: JSON file; None: nothing is written.
        say: told that it begins.
    """
    digest = hashlib.sha256(load_text(data).content.encode()).hexdigest()
    options = {"sha256": digest, "characters": characters, "max_steps": max_steps}
    return fill(
        open_results(results, KIND, VERSION, {"options": options}),
        results,
        [{"data": data}],
        lambda cell, folder: asdict(
            overfit(cell["data"], characters=characters, max_steps=max_steps)
        ),
        name=lambda cell: str(cell["data"]),
        say=say,
    )


def overfit(data: str = "python-docs", *, characters: int = 6000, max_steps: int = 600) -> Bound:
    """Train a small OPT on the beginning of a text until it knows it by heart.

    Args:
        data: name of a text, or a file.
        characters: of the training text; as many that follow are validated on.
        max_steps: optimiser steps.
    """
    text = load_text(data).content
    parts = [text[i * characters : (i + 1) * characters] for i in range(2)]
    tokenizer = train_tokenizer(parts[0], 512)
    blocks = [pack(encode(tokenizer, part), LENGTH, data) for part in parts]
    inputs = dict(zip(PARTS, (blocks[0], blocks[1], blocks[1]), strict=True))
    vocab_size = 1 + max(int(block.max()) for block in blocks)
    corpus = Corpus(
        name=data,
        sha256="",
        inputs=inputs,
        labels=None,
        vocab_size=vocab_size,
        tokenizer=tokenizer,
    )
    config = SuiteConfig(
        model="opt", length=LENGTH, max_steps=max_steps, learning_rate=3e-3, network=NETWORK
    )
    task = make_task("opt", corpus)
    with drawing(0):
        network = config.make_network(corpus)
    history = train(network, task, config.make_training(task.train_size))
    return Bound(
        data=data,
        tokens=blocks[0].numel(),
        steps=tuple(int(row["step"]) for row in history),
        train=tuple(row["train_loss"] for row in history),
        validation=tuple(row["validation_loss"] for row in history),
        final=task.score(network, "train")["loss"],
        unigram=entropy(blocks[0].flatten()),
        bigram=conditional_entropy(blocks[0].flatten()),
    )


def entropy(tokens: Int[Tensor, " N"]) -> float:
    """Entropy of the frequencies of tokens, in nats."""
    shares = tokens.unique(return_counts=True)[1] / len(tokens)
    return float(-(shares * shares.log()).sum())


def conditional_entropy(tokens: Int[Tensor, " N"]) -> float:
    """Entropy of a token given the one before it, by the frequencies of pairs, in nats."""
    pairs = torch.stack([tokens[:-1], tokens[1:]], 1)
    joint = pairs.unique(dim=0, return_counts=True)[1] / len(pairs)
    before = entropy(tokens[:-1])
    return float(-(joint * joint.log()).sum()) - before


def partition_curve(values: Sequence[float]) -> list[float]:
    """``log Z + 1 / Z``, the paper's bound, which is 1 at Z = 1 and larger everywhere else."""
    return [math.log(z) + 1 / z for z in values]
