"""What predictors without a network say to the same tokens: without context, and by the left neighbour.

A language model that does not beat the second one has learned no context, and comparisons of such models say
nothing about attention.
"""

import math

import torch
from torch import Tensor

from stanhop_app.suite.config import SPECIAL
from stanhop_app.suite.corpus import MASK, Corpus
from stanhop_app.suite.tasks import SCORED, MaskedTask

NONE = -1
"""The left neighbour of a token that has none."""
WEIGHTS = (1.0, 10.0, 100.0, 1000.0)
"""Tokens that frequencies count for beside those after a neighbour; the best on validation is taken."""


def context_scores(corpus: Corpus, task: object) -> dict[str, float]:
    """Perplexities of the test part of a text, over exactly what its models are asked.

    "context_free": frequencies in the training part. "bigram": frequencies after the token on the left, where
    it is shown, smoothed by the former. Where BERT shows a token in place of the hidden one, both also know
    that it is the right one as often as any other.

    Args:
        corpus: of the task.
        task: `stanhop_app.suite.tasks.make_task` of it.

    Returns:
        Both; nothing for images.
    """
    if not corpus.is_text:
        return {}
    counts = _Counts(corpus.inputs["train"].cpu(), corpus.vocab_size)
    losses = {weight: _loss(counts, task, "validation", weight) for weight in WEIGHTS}
    weight = min(losses, key=lambda each: losses[each])
    return {
        "context_free": math.exp(_loss(counts, task, "test", None)),
        "bigram": math.exp(_loss(counts, task, "test", weight)),
    }


class _Counts:
    """How often tokens, and pairs of neighbours, stand in a text; pairs are few of all that could be."""

    def __init__(self, tokens: Tensor, size: int):
        self.size = size
        left, right = tokens[:, :-1].flatten(), tokens[:, 1:].flatten()
        single = torch.bincount(tokens.flatten(), minlength=size).double() + 1
        self.free = single / single.sum()
        self.before = torch.bincount(left, minlength=size).double()
        self.pairs, self.often = (left * size + right).unique(return_counts=True)

    def share(self, left: Tensor, token: Tensor, weight: float | None) -> Tensor:
        """Probability of a token after another; without context if the weight is None."""
        free = self.free[token]
        if weight is None:
            return free
        pair = left * self.size + token
        place = torch.searchsorted(self.pairs, pair).clamp_max(len(self.pairs) - 1)
        often = torch.where(self.pairs[place] == pair, self.often[place], 0).double()
        beside = (often + weight * free) / (self.before[left.clamp_min(0)] + weight)
        return torch.where(left == NONE, free, beside)


def _loss(counts: _Counts, task: object, part: str, weight: float | None) -> float:
    """Mean loss in nats."""
    total, asked = 0.0, 0
    size = len(task.inputs[part])  # type: ignore[attr-defined]
    for batch in torch.arange(size).split(SCORED):
        shown, wanted = (x.cpu() for x in task.pairs(part, batch))  # type: ignore[attr-defined]
        where = wanted != -100
        if isinstance(task, MaskedTask):
            left = torch.cat([torch.full_like(shown[:, :1], NONE), shown[:, :-1]], dim=1)
            left = left.masked_fill(left == MASK, NONE)
            share = _of_shown(counts, left[where], shown[where], wanted[where], weight)
        else:
            share = counts.share(shown[where], wanted[where], weight)
        total -= float(share.log().sum())
        asked += int(where.sum())
    return total / asked


def _of_shown(
    counts: _Counts, left: Tensor, shown: Tensor, wanted: Tensor, weight: float | None
) -> Tensor:
    """Probability of a hidden token: <mask> says nothing of it, another one is right or drawn evenly.

    By Bayes: ``P(y | s) ~ P(y) (1[y = s] + 1 / V)``, as `stanhop_app.suite.tasks.hide` leaves as many tokens
    as it replaces.
    """
    prior, evenly = counts.share(left, wanted, weight), 1 / (counts.size - len(SPECIAL))
    of_shown = counts.share(left, shown, weight)
    seen = prior * ((wanted == shown) + evenly) / (of_shown + evenly)
    return torch.where(shown == MASK, prior, seen)
