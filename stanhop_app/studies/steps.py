"""The plain training loop of the experiments: Adam on cross-entropy, one step at a time."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def train_steps(
    network: nn.Module,
    x: Float[Tensor, "N ..."],
    y: Int[Tensor, " N"],
    *,
    max_steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Iterator[int]:
    """Train a classifier in place, and yield the number of every step that is done.

    The caller looks at the network between steps, as often as it wants, and stops by taking no more.

    Args:
        network: called with a batch of x, returns logits.
        x: samples.
        y: their classes.
        max_steps: after which the rate, falling as a cosine, is 0.
        batch_size: samples of a step, drawn with replacement; all samples at most.
        learning_rate: of Adam.
        seed: of the draws.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, max_steps + 1):
        batch = torch.randint(0, len(x), (min(batch_size, len(x)),), generator=generator)
        loss = F.cross_entropy(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield step
