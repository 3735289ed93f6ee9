"""What the suite's models learn: masked tokens, next tokens, classes of images.

Shape letters: N samples, L tokens, V vocabulary.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from stanhop_app.suite.config import SPECIAL
from stanhop_app.suite.corpus import MASK, Corpus

MASKED_SHARE = 0.15
"""Share of the tokens that BERT must tell; 80% of these are shown as <mask>, 10% as another token."""
SCORED = 64
"""Samples scored at a time."""


class SuiteTask(Protocol):
    """A task of `stanhop_app.training.loop.train` that can be scored too."""

    train_size: int
    validation_size: int

    def to(self, device: torch.device) -> None:
        """Move the data."""

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean loss of samples."""

    def batches(self, part: str, most: int | None = None) -> list[Tensor]:
        """What the model is called with, for the recorder and the quantiser."""

    def samples(self, model: nn.Module, part: str, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, loss and number of every sample, at most so many."""

    def score(self, model: nn.Module, part: str) -> dict[str, float]:
        """Loss in nats, perplexity of texts, and accuracy, over a part."""


class _Task:
    """What the three have in common: samples by part."""

    def __init__(self, corpus: Corpus):
        self.inputs = dict(corpus.inputs)
        self.train_size = len(self.inputs["train"])
        self.validation_size = len(self.inputs["validation"])

    def to(self, device: torch.device) -> None:
        """Move the training and validation samples."""
        self.inputs = {part: x.to(device) for part, x in self.inputs.items()}

    def pairs(self, part: str, indices: Tensor) -> tuple[Tensor, Tensor]:
        """What the model reads, and what it should say, -100 where nothing is asked."""
        raise TypeError(f"{type(self).__name__} asks nothing.")

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean cross-entropy in nats of what is asked of these samples."""
        x, y = self.pairs("validation" if validation else "train", indices)
        return F.cross_entropy(model(x).flatten(0, -2), y.flatten())

    def batches(self, part: str, most: int | None = None) -> list[Tensor]:
        """Inputs of a part, at most so many samples, evenly spaced."""
        size = len(self.inputs[part])
        count = size if most is None else min(most, size)
        chosen = torch.arange(count) * size // count
        return [self.pairs(part, batch)[0] for batch in chosen.split(SCORED)]

    @torch.no_grad()
    def samples(self, model: nn.Module, part: str, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, mean losses and numbers of samples of a part, evenly spaced, at most so many."""
        size = len(self.inputs[part])
        count = min(most, size)
        chosen = torch.arange(count) * size // count
        inputs, losses = [], []
        for batch in chosen.split(SCORED):
            x, y = self.pairs(part, batch)
            logits = model(x).flatten(0, -2)
            each = F.cross_entropy(logits, y.flatten(), reduction="none").reshape(len(x), -1)
            asked = (y != -100).reshape(len(x), -1).sum(1)
            inputs.append(x)
            losses.append(each.sum(1) / asked)
        return torch.cat(inputs), torch.cat(losses), chosen

    @torch.no_grad()
    def score(self, model: nn.Module, part: str) -> dict[str, float]:
        """Loss in nats, and share of answers that are right, over everything that is asked in a part."""
        loss, right, asked = 0.0, 0, 0
        for batch in torch.arange(len(self.inputs[part])).split(SCORED):
            x, y = self.pairs(part, batch)
            logits, y = model(x).flatten(0, -2), y.flatten()
            told = y != -100
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += int((logits.argmax(-1) == y)[told].sum())
            asked += int(told.sum())
        return {"loss": loss / asked, "accuracy": right / asked}


class CausalTask(_Task):
    """Every token from those before it."""

    def pairs(self, part: str, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks, and the tokens that follow; after the last nothing is asked."""
        x = self.inputs[part][indices]
        y = x.roll(-1, 1)
        y[:, -1] = -100
        return x, y


class MaskedTask(_Task):
    """Hidden tokens from those around them.

    Training hides others every time, by the random state of the training; the other parts always the same.
    """

    def __init__(self, corpus: Corpus):
        super().__init__(corpus)
        self.vocab_size = corpus.vocab_size
        self.fixed = {
            part: hide(self.inputs[part], corpus.vocab_size, torch.Generator().manual_seed(number))
            for number, part in enumerate(("validation", "test"), start=1)
        }

    def to(self, device: torch.device) -> None:
        """Move the samples, and what is hidden of them."""
        super().to(device)
        self.fixed = {p: (x.to(device), y.to(device)) for p, (x, y) in self.fixed.items()}

    def pairs(self, part: str, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks with tokens hidden, and these tokens."""
        if part in self.fixed:
            x, y = self.fixed[part]
            return x[indices], y[indices]
        return hide(self.inputs[part][indices], self.vocab_size)


class ImageTask(_Task):
    """The class of an image."""

    def __init__(self, corpus: Corpus):
        super().__init__(corpus)
        assert corpus.labels is not None
        self.labels = dict(corpus.labels)

    def to(self, device: torch.device) -> None:
        """Move images and classes."""
        super().to(device)
        self.labels = {part: y.to(device) for part, y in self.labels.items()}

    def pairs(self, part: str, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images and their classes."""
        return self.inputs[part][indices], self.labels[part][indices]


def hide(
    tokens: Int[Tensor, "N L"], vocab_size: int, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "N L"], Int[Tensor, "N L"]]:
    """Hide 15% of the tokens; returns what is shown, and the hidden tokens (-100 elsewhere).

    Special tokens are never hidden. Where chance hides nothing of a block, its first other token is.
    """

    def draw() -> Tensor:
        return torch.rand(tokens.shape, generator=generator).to(tokens.device)

    plain = tokens >= len(SPECIAL)
    chosen: Bool[Tensor, "N L"] = (draw() < MASKED_SHARE) & plain
    first = plain & (plain.cumsum(1) == 1)
    chosen |= first & ~chosen.any(1, keepdim=True)
    how = draw()
    other = torch.randint(len(SPECIAL), vocab_size, tokens.shape, generator=generator)
    shown = tokens.clone()
    shown[chosen & (how < 0.8)] = MASK
    replaced = chosen & (how >= 0.8) & (how < 0.9)
    shown[replaced] = other.to(tokens.device)[replaced]
    return shown, tokens.masked_fill(~chosen, -100)


TASKS = {"bert": MaskedTask, "opt": CausalTask, "vit": ImageTask}
"""Tasks by model."""


def make_task(model: str, corpus: Corpus) -> SuiteTask:
    """The task of a model on a corpus."""
    task: SuiteTask = TASKS[model](corpus)
    return task
