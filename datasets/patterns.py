"""Patterns for associative memories: images as unit vectors."""

import torch
from torch import Tensor

from stanhop_app.theory.recall import standardise

PATCH = 32
"""Height and width of a patch of a colour photograph."""


def load_patterns(name: str) -> Tensor:
    """Patterns (S, D) with mean 0 and norm 1, in a random order that is always the same.

    "photo-patches" are 32 x 32 colour patches of the two photographs that scikit-learn ships (they are not
    CIFAR-10, whose size they have); all else is a set of `stanhop_app.datasets.images`.
    """
    if name == "photo-patches":
        from sklearn.datasets import load_sample_images

        stride = PATCH // 2  # patches overlap, as neighbours of a real set resemble each other
        patches = []
        for photo in load_sample_images().images:
            views = torch.tensor(photo).float()
            views = views.unfold(0, PATCH, stride).unfold(1, PATCH, stride)
            patches.append(views.reshape(-1, 3 * PATCH * PATCH))
        patterns = torch.cat(patches)
    else:
        from stanhop_app.datasets.images import load_images

        patterns = torch.from_numpy(load_images(name).pixels).float().flatten(1)
    patterns = patterns[patterns.amax(1) > patterns.amin(1)].unique(dim=0)
    order = torch.randperm(len(patterns), generator=torch.Generator().manual_seed(0))
    return standardise(patterns[order])
