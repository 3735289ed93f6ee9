"""Is a damaged window told from a sound one, and a sound one of the training period not?

    python tests/benchmarks/novelty.py RUN

RUN is a run of ETTh1. By the energy of activations (``--novelty``) and by that of the external memory's keys:
the AUC between test windows and the same windows with a level shift of 4 deviations in their last 24 hours,
and with a last day that belongs to another window, half of the test part away; and the share of windows of
purged blocks of the training period that score above the 95th percentile: of each block in turn no window,
and none that shares a row with one of it, is in the store.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from stanhop_app import datasets
from stanhop_app.data.windows import evenly
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.novelty import energies, ordinary, percentile
from stanhop_app.forecasting.external.plug import plugged
from stanhop_app.runs.novelty import NoveltyStore, remember, window_activations
from stanhop_app.runs.run import Run
from stanhop_app.theory.bootstrap import auc

BLOCKS, WINDOWS, SHIFT, HOURS, OWN = 8, 400, 4.0, 24, 800


def damaged(windows: Tensor) -> dict[str, Tensor]:
    """Windows (B, T, C), damaged in three ways."""
    shifted, own, swapped = (windows.clone() for _ in range(3))
    shifted[:, -HOURS:] += SHIFT
    own[:, -HOURS:] += SHIFT * windows.std(1, keepdim=True)
    swapped[:, -HOURS:] = windows.roll(len(windows) // 2, 0)[:, -HOURS:]
    return {
        f"shift of {SHIFT:g} deviations of the training part": shifted,
        f"shift of {SHIFT:g} deviations of each window": own,
        "the last day of another window": swapped,
    }


def purged_activations(store: NoveltyStore, zone: int) -> float:
    """Share of windows of purged blocks above the 95th percentile, by activations."""
    count, above = len(store.origins), 0
    for block in torch.arange(count).tensor_split(BLOCKS):
        inside = store.origins[block]
        kept = (store.origins < inside.min() - zone) | (store.origins > inside.max() + zone)
        purged = replace(store, patterns=store.patterns[kept])
        raw = store.patterns[block] * store.deviation + store.mean
        above += int((purged.novelty(raw) > 95).sum())
    return above / count


def purged_keys(memory: Memory, zone: int) -> float:
    """The same by the keys of a memory: calibrated on what is left."""
    store = memory.store.only((memory.store.part == 0).nonzero().flatten())
    above, count = 0, 0
    for block in torch.arange(len(store)).tensor_split(BLOCKS):
        inside = store.origins[block]
        kept = (store.origins < inside.min() - zone) | (store.origins > inside.max() + zone)
        purged = replace(memory, store=store.only(kept.nonzero().flatten()))
        asked = block[evenly(len(block), OWN // BLOCKS)]
        windows, when = store.windows(memory.kind.steps, asked), store.when[asked]
        ranks = percentile(ordinary(purged), energies(purged, windows, when))
        above, count = above + int((ranks > 95).sum()), count + len(asked)
    return above / count


def main(run: Path) -> None:
    """Print all."""
    opened = Run.open(run).on(datasets.load("etth1"))
    fitted, test = opened.fitted, opened.parts["test"]
    memory = fitted.memory or plugged(fitted, opened.table).memory
    assert memory is not None
    store = remember(opened)
    trained = replace(memory, store=memory.store.only((memory.store.part == 0).nonzero().flatten()))
    numbers = torch.arange(WINDOWS) * len(test) // WINDOWS
    windows, when = test.gather(numbers)[0], test.when(numbers)
    by: dict[str, Callable[[Tensor], Tensor]] = {
        "activations": lambda x: store.energy(window_activations(fitted, x)),
        "keys": lambda x: energies(trained, x, when),
    }
    for name, energy in by.items():
        sound = energy(windows)
        for kind, broken in damaged(windows).items():
            print(f"{name}: AUC, {kind}: {auc(energy(broken), sound):.3f}")
    zone = fitted.lookback + fitted.horizon
    print(f"activations: purged blocks above 95%: {purged_activations(store, zone):.1%}")
    zone = memory.kind.steps + fitted.horizon
    print(f"keys: purged blocks above 95%: {purged_keys(memory, zone):.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
