"""Is a damaged window told from a sound one, and a sound one of the training period not?

    python tests/benchmarks/novelty.py RUN

RUN is a run of ETTh1. Prints the AUC between test windows and the same windows with a level shift of 4
deviations in their last 24 hours, and the share of windows of purged blocks of the training period that
score above the 95th percentile: of each block in turn no window, and none that shares a row with one of
it, is in the store.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from stanhop_app import datasets
from stanhop_app.runs.novelty import remember, window_activations
from stanhop_app.runs.run import Run
from stanhop_app.theory.bootstrap import auc

BLOCKS, WINDOWS, SHIFT, HOURS = 8, 400, 4.0, 24


def main(run: Path) -> None:
    """Print both."""
    opened = Run.open(run).on(datasets.load("etth1"))
    fitted = opened.fitted
    store = remember(opened)
    test = opened.parts["test"]
    windows = test.gather(torch.arange(WINDOWS) * len(test) // WINDOWS)[0]
    damaged = windows.clone()
    damaged[:, -HOURS:] += SHIFT
    sound, broken = (store.energy(window_activations(fitted, x)) for x in (windows, damaged))
    own = windows.clone()
    own[:, -HOURS:] += SHIFT * windows.std(1, keepdim=True)
    print(f"AUC, shift of {SHIFT:g} deviations of the training part: {auc(broken, sound):.3f}")
    print(
        f"AUC, of each window's own: {auc(store.energy(window_activations(fitted, own)), sound):.3f}"
    )
    zone = fitted.lookback + fitted.horizon
    count, above = len(store.origins), 0
    for block in torch.arange(count).tensor_split(BLOCKS):
        inside = store.origins[block]
        kept = (store.origins < inside.min() - zone) | (store.origins > inside.max() + zone)
        purged = replace(store, patterns=store.patterns[kept])
        raw = store.patterns[block] * store.deviation + store.mean
        above += int((purged.novelty(raw) > 95).sum())
    print(f"windows of purged blocks above the 95th percentile: {100 * above / count:.1f}%")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
