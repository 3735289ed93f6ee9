"""Has a model of the suite memorised its training part?"""

import torch

from stanhop_app.outliers import find_modules
from stanhop_app.suite.corpus import Corpus
from stanhop_app.suite.run import SuiteRun
from stanhop_app.suite.tasks import make_task
from stanhop_app.theory.memorization import Group, MemorizationReport, memorization_report
from stanhop_app.training.draws import drawing

MOST = 500
"""Samples of a part, evenly spaced."""


def suite_memorization(
    run: SuiteRun, corpus: Corpus, *, most: int = MOST, seed: int = 0
) -> MemorizationReport:
    """Samples of the training part against samples of the test part, by the outputs of the last block.

    The naive losses are those of an untrained network.
    """
    task = make_task(run.config.model, corpus)
    with drawing(seed):
        parts = {part: task.samples(run.network, part, most) for part in ("train", "test")}
        torch.manual_seed(run.config.seed + 1)
        untrained = run.config.make_network(corpus).eval()
        torch.manual_seed(seed)  # what is hidden for the one is hidden for the other
        naive = {part: task.samples(untrained, part, most)[1] for part in ("train", "test")}
    members, others = (
        Group(
            inputs=parts[part][0],
            losses=parts[part][1],
            naive_losses=naive[part],
            positions=parts[part][2] + offset,
        )
        for part, offset in (("train", 0), ("test", 10**9))
    )
    layer = list(find_modules(run.network, "layer-outputs"))[-1]
    return memorization_report(run.network, untrained, members, others, layer=layer, seed=seed)
