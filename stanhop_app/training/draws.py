"""Random numbers of PyTorch, drawn by one caller at a time.

PyTorch has one random state a process. Two fits in threads, as `GridSearchCV` starts them, would draw from it
in turn, and neither would be what its seed says; so the second waits for the first.
"""

import contextlib
import threading
from collections.abc import Iterator

import torch

_turn = threading.RLock()


@contextlib.contextmanager
def drawing(seed: int | None = None) -> Iterator[None]:
    """Draw alone, and leave the random state as it was.

    Args:
        seed: the state to begin with; None: the current one.
    """
    with _turn, torch.random.fork_rng():
        if seed is not None:
            torch.manual_seed(seed)
        yield
