"""Predictors without a network against the same, counted with dictionaries, and against what must hold."""

import itertools
import math
from collections import Counter

import pytest
import torch

from stanhop_app.studies.suite_findings import context_claim
from stanhop_app.studies.suite_report import suite_table
from stanhop_app.suite import context
from stanhop_app.suite.config import SPECIAL
from stanhop_app.suite.context import context_scores
from stanhop_app.suite.corpus import MASK, Corpus, load_corpus
from stanhop_app.suite.tasks import make_task

VOCABULARY = 12


def chain(samples, length, seed):
    """Tokens of which each follows its left neighbour seven times in ten."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(len(SPECIAL), VOCABULARY, (samples, length), generator=draw)
    follows = torch.rand(samples, length, generator=draw) < 0.7
    for place in range(1, length):
        after = (tokens[:, place - 1] - len(SPECIAL) + 1) % (VOCABULARY - len(SPECIAL)) + len(
            SPECIAL
        )
        tokens[:, place] = torch.where(follows[:, place], after, tokens[:, place])
    return tokens


@pytest.fixture
def corpus():
    parts = {part: chain(40, 10, seed) for seed, part in enumerate(("train", "validation", "test"))}
    return Corpus(
        name="chain", sha256="", inputs=parts, labels=None, vocab_size=VOCABULARY, tokenizer=None
    )


def counted(corpus, model, weight):
    """Perplexity on test, token by token."""
    rows = corpus.inputs["train"].tolist()
    single = Counter(token for row in rows for token in row)
    pairs = Counter(pair for row in rows for pair in itertools.pairwise(row))
    before = Counter(token for row in rows for token in row[:-1])
    total = sum(single.values()) + VOCABULARY

    def share(token, left):
        free = (single[token] + 1) / total
        if weight is None or left is None or left == MASK:
            return free
        return (pairs[left, token] + weight * free) / (before[left] + weight)

    task, losses = make_task(model, corpus), []
    for shown, wanted in zip(
        *(x.tolist() for x in task.pairs("test", torch.arange(40))), strict=True
    ):
        for place, token in enumerate(wanted):
            if token == -100:
                continue
            if model == "opt":
                losses.append(-math.log(share(token, shown[place])))
                continue
            left = shown[place - 1] if place else None
            if shown[place] == MASK:
                losses.append(-math.log(share(token, left)))
                continue
            evenly = 1 / (VOCABULARY - len(SPECIAL))
            known = [share(y, left) * ((y == shown[place]) + evenly) for y in range(VOCABULARY)]
            losses.append(-math.log(known[token] / sum(known)))
    return math.exp(sum(losses) / len(losses))


@pytest.mark.parametrize("model", ["opt", "bert"])
def test_perplexities_are_those_of_counting(corpus, model, monkeypatch):
    monkeypatch.setattr(context, "WEIGHTS", (10.0,))
    told = context_scores(corpus, make_task(model, corpus))
    assert told["context_free"] == pytest.approx(counted(corpus, model, None), rel=1e-6)
    assert told["bigram"] == pytest.approx(counted(corpus, model, 10.0), rel=1e-6)
    assert told["bigram"] < 0.8 * told["context_free"]


def test_the_smoothing_is_chosen_on_validation(corpus):
    told = context_scores(corpus, make_task("opt", corpus))["bigram"]
    other = Corpus(
        **{**vars(corpus), "inputs": {**corpus.inputs, "test": corpus.inputs["validation"]}}
    )
    best = min(context.WEIGHTS, key=lambda weight: counted(other, "opt", weight))
    assert told == pytest.approx(counted(corpus, "opt", best), rel=1e-6)


def test_pictures_have_no_neighbours():
    digits = load_corpus("vit", "digits", length=4, vocab_size=300)
    assert context_scores(digits, make_task("vit", digits)) == {}


@pytest.mark.parametrize(
    ("perplexities", "said"),
    [
        ((5.0, 8.0), "opt: all are 20% or more below the bigram (10.0)"),
        (
            (5.0, 10.5),
            "opt: softmax1 did not beat the bigram (perplexity 10.0) and learned no context",
        ),
        ((None, None), ""),
    ],
)
def test_a_comparison_says_whether_its_models_learned_context(perplexities, said):
    outliers = {key: {"kurtosis": 3.0, "max_inf_norm": 4.0} for key in ("all", "layer-outputs")}
    cells = {
        name: {
            **{"model": "opt", "variant": name, "seed": 0, "outliers": outliers, "no_op": 0.0},
            "metrics": {"perplexity": value or 7.0} | ({"bigram": 10.0} if value else {}),
            "bits": {key: {"perplexity": 7.0} for key in ("W8A8", "W6A6", "W4A8", "W4A4")},
            "modules": {"blocks.0": [3.0, 4.0]},
            **dict.fromkeys(("parameters", "multiply_adds", "samples_per_second"), 1),
        }
        for name, value in zip(("softmax", "softmax1"), perplexities, strict=True)
    }
    content = {"cells": cells, "models": {"opt": {}}, "shared_by": {"opt": list(cells)}}
    claim = context_claim(suite_table(content))
    assert claim.startswith(said)
    assert bool(claim) == bool(said)
