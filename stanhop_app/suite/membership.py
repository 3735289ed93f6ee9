"""Has a model of the suite memorised its training part?"""

from dataclasses import replace

import torch

from stanhop_app.outliers import find_modules
from stanhop_app.suite.corpus import Corpus
from stanhop_app.suite.run import SuiteRun
from stanhop_app.suite.tasks import make_task
from stanhop_app.theory.memorization import Group, MemorizationReport, memorization_report

MOST = 500
"""Samples of a part, evenly spaced."""


def suite_memorization(
    run: SuiteRun, corpus: Corpus, *, most: int = MOST, seed: int = 0
) -> MemorizationReport:
    """Samples of the training part against samples of the test part, by the outputs of the last block.

    What BERT must tell is hidden alike in both.
    """
    task = make_task(run.config.model, corpus)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {part: task.samples(run.network, part, most) for part in ("train", "test")}
        torch.manual_seed(run.config.seed + 1)
        untrained = replace(run.config, seed=run.config.seed + 1).make_network(corpus)
    members, others = (
        Group(inputs=x, losses=losses, positions=numbers + offset)
        for (x, losses, numbers), offset in ((parts["train"], 0), (parts["test"], 10**9))
    )
    layer = list(find_modules(run.network, "layer-outputs"))[-1]
    return memorization_report(run.network, untrained, members, others, layer=layer, seed=seed)
