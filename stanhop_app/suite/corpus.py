"""Texts as blocks of tokens, images as standardised tensors: what the suite's models are trained on.

Everything is split 14/5/5 in reading order (texts) or by a seeded shuffle (images); tokenizer and scale are
fitted on the training part.
"""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stanhop_app.datasets.images import SOURCES, load_images
from stanhop_app.datasets.text import TEXTS, load_text
from stanhop_app.errors import DataError
from stanhop_app.layers.names import PARTS
from stanhop_app.suite.backcopy import BACKCOPY, CONCENTRATION, TRIGGER_SHARE, VOCABULARY, backcopy
from stanhop_app.suite.config import SPECIAL

SHARES = (14, 5, 5)
"""Shares of training, validation and test."""
MASK = SPECIAL.index("<mask>")
NAMES = (*TEXTS, BACKCOPY, *SOURCES)
"""Data that have a name."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Samples of the three parts."""

    name: str
    sha256: str
    """Fingerprint of what it was made from, so that a run knows its data."""
    inputs: dict[str, Tensor]
    """Samples by part: blocks of tokens (N, length), or images (N, channels, height, width)."""
    labels: dict[str, Tensor] | None
    """Labels by part: classes of images; None for texts."""
    vocab_size: int
    """Tokens of a text's vocabulary; classes of images."""
    tokenizer: str | None
    """JSON of the tokenizer of a text."""

    @property
    def is_text(self) -> bool:
        """Whether it holds tokens."""
        return self.labels is None


def load_corpus(
    model: str, data: str, *, length: int, vocab_size: int, tokenizer: str | None = None
) -> Corpus:
    """The samples of a model.

    Args:
        model: "bert", "opt" or "vit".
        data: name of a text or of images, a text file, a folder of images, or "backcopy".
        length: tokens in a block.
        vocab_size: tokens of the vocabulary at most.
        tokenizer: JSON of one that was trained before; None: train one.

    Raises:
        DataError: if the data cannot be had, or are too short for a block in every part.
    """
    if model == "vit":
        if data in TEXTS or is_backcopy(data):
            raise DataError(f"{data}: is no set of images; choose one of {', '.join(SOURCES)}.")
        return _image_corpus(data)
    if data in SOURCES:
        raise DataError(f"{data}: is no text; choose one of {', '.join(TEXTS)}, {BACKCOPY}.")
    if is_backcopy(data):
        return _backcopy_corpus(data, length)
    text = load_text(data)
    first, second = _borders(len(text.content))
    parts = (text.content[:first], text.content[first:second], text.content[second:])
    tokenizer = tokenizer or train_tokenizer(parts[0], vocab_size)
    blocks = {
        name: _blocks(tokenizer, part, length, f"{text.name}, {name} part")
        for name, part in zip(PARTS, parts, strict=True)
    }
    return Corpus(
        name=text.name,
        sha256=hashlib.sha256(text.content.encode()).hexdigest(),
        inputs=blocks,
        labels=None,
        vocab_size=_tokenizer(tokenizer).get_vocab_size(),
        tokenizer=tokenizer,
    )


def train_tokenizer(text: str, vocab_size: int) -> str:
    """JSON of a byte-level byte-pair encoding: any text goes in and comes out unchanged.

    Raises:
        DataError: without the package tokenizers.
    """
    models, decoders, pre_tokenizers, trainers, tokenizer_class = _library()
    tokenizer = tokenizer_class(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    written: str = tokenizer.to_str()
    return written


def encode(tokenizer: str, text: str) -> Int[Tensor, " N"]:
    """Numbers of the tokens of a text."""
    lines = text.splitlines(keepends=True)
    encoded = _tokenizer(tokenizer).encode_batch(lines, add_special_tokens=False)
    return torch.tensor([number for line in encoded for number in line.ids], dtype=torch.long)


def decode(tokenizer: str, tokens: Int[Tensor, " N"]) -> str:
    """The text of tokens."""
    text: str = _tokenizer(tokenizer).decode(tokens.tolist(), skip_special_tokens=False)
    return text


def pack(tokens: Int[Tensor, " N"], length: int, name: str) -> Int[Tensor, "B L"]:
    """Blocks of ``length`` tokens, one after the other; what is left over at the end is dropped.

    Raises:
        DataError: if there is not one block.
    """
    if len(tokens) < length:
        raise DataError(
            f"{name}: has {len(tokens):,} tokens, a block needs {length:,}; bring a longer text or choose a "
            "smaller --length."
        )
    return tokens[: len(tokens) // length * length].reshape(-1, length)


def standardise(
    pixels: Float[Tensor, "N C Y X"],
    mean: Float[Tensor, "C 1 1"],
    deviation: Float[Tensor, "C 1 1"],
) -> Float[Tensor, "N C Y X"]:
    """Pixels with mean 0 and deviation 1 by channel; one that never changes in training is only centred."""
    return (pixels - mean) / torch.where(deviation > 1e-6, deviation, 1.0)


def _blocks(tokenizer: str, text: str, length: int, name: str) -> Tensor:
    return pack(encode(tokenizer, text), length, name)


def _borders(count: int) -> tuple[int, int]:
    total = sum(SHARES)
    return count * SHARES[0] // total, count * (SHARES[0] + SHARES[1]) // total


def _image_corpus(data: str) -> Corpus:
    images = load_images(data)
    height, width = images.pixels.shape[2:]
    if height != width:
        raise DataError(f"{images.name}: images are {width} x {height}; square ones are needed.")
    # By chance, but always the same: files are often sorted by class.
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(0))
    first, second = _borders(len(order))
    if first == 0 or second == first or second == len(order):
        raise DataError(
            f"{images.name}: has {len(order)} images; each of the three parts needs one."
        )
    chosen = dict(zip(PARTS, (order[:first], order[first:second], order[second:]), strict=True))
    pixels = torch.from_numpy(images.pixels).float()
    learn = pixels[chosen["train"]]
    mean = learn.mean((0, 2, 3))[:, None, None]
    deviation = learn.std((0, 2, 3))[:, None, None]
    labels = torch.from_numpy(images.labels)
    digest = hashlib.sha256(images.pixels.tobytes() + images.labels.tobytes()).hexdigest()
    return Corpus(
        name=images.name,
        sha256=digest,
        inputs={p: standardise(pixels[i], mean, deviation) for p, i in chosen.items()},
        labels={p: labels[i] for p, i in chosen.items()},
        vocab_size=len(images.classes),
        tokenizer=None,
    )


def is_backcopy(data: str) -> bool:
    """Whether data are the task, with or without numbers: "backcopy", "backcopy:0.3", "backcopy:0.1:0.02"."""
    return data.split(":")[0] == BACKCOPY


def _backcopy_corpus(data: str, length: int) -> Corpus:
    given = data.split(":")[1:]
    try:
        share, concentration = (
            *map(float, given),
            *(TRIGGER_SHARE, CONCENTRATION)[len(given) :],
        )
    except ValueError:
        raise DataError(
            f"{data}: write backcopy, backcopy:0.3 for a share of triggers, or backcopy:0.1:0.02 for a share "
            "and the concentration of what follows."
        ) from None
    parts = {
        part: backcopy(samples, length, share, concentration=concentration, seed=seed)
        for seed, (part, samples) in enumerate(
            (("train", 8192), ("validation", 512), ("test", 1024))
        )
    }
    digest = hashlib.sha256(b"".join(p.numpy().tobytes() for p in parts.values())).hexdigest()
    return Corpus(
        name=data,
        sha256=digest,
        inputs=parts,
        labels=None,
        vocab_size=VOCABULARY,
        tokenizer=None,
    )


def _library() -> tuple:  # type: ignore[type-arg]
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise DataError(
            "texts need the package tokenizers: pip install 'stanhop-app[suite]'"
        ) from None
    return models, decoders, pre_tokenizers, trainers, Tokenizer


def _tokenizer(content: str):  # type: ignore[no-untyped-def]
    return _library()[-1].from_str(content)
