"""What the first token is to a network: where attention goes that has nowhere to go, and what that does.

References:
    Xiao et al., arXiv 2309.17453 (sinks); Guo et al., arXiv 2410.13835 (small values at the sink); Kaul et
    al., arXiv 2410.17174 (which say that softmax1 ends the dominance of the first token).
"""

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stanhop_app.layers.observe import Watcher, hooked, record_weights
from stanhop_app.layers.retrieval import Retrieval

BLOCK = re.compile(r"blocks\.\d+")
MEASURES = ("attention", "even", "norm", "norm_rest", "value", "value_rest")


@torch.no_grad()
def measure_sinks(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, list[float]]:
    """Means over samples, heads and tokens, a number a block.

    Args:
        network: with blocks named ``blocks.0``, ``blocks.1``, ...
        batches: what it is called with.

    Returns:
        "attention": weight that later tokens give the first one; "even": what they would give it if they
        gave all that they see the same; "norm" and "norm_rest": of what the block puts out at the first
        token, and at all others; "value" and "value_rest": of what would be retrieved from it, and from
        others.
    """
    blocks = {n: m for n, m in network.named_modules() if BLOCK.fullmatch(n)}
    sums = {name: torch.zeros(len(MEASURES), dtype=torch.float64) for name in blocks}
    count = 0

    def add(name: str, place: int, x: Tensor) -> None:
        """Mean norms of the first token and the rest, the last dimension but one."""
        norms = x.norm(dim=-1).double()
        sums[name][place] += norms[..., 0].mean() * len(x)
        sums[name][place + 1] += norms[..., 1:].mean() * len(x)

    def of_block(name: str) -> Watcher:
        return lambda module, given, named, output: add(name, 2, output)

    def of_values(name: str) -> Watcher:
        def look(module: nn.Module, given: tuple[Any, ...], named: Any, output: Any) -> None:
            add(name, 4, given[2])
            stored = given[1].shape[-2]
            seen = torch.arange(2, stored + 1) if named.get("is_causal") else torch.tensor([stored])
            sums[name][1] += (1 / seen.double()).mean() * len(given[2])

        return look

    watchers = [(block, of_block(name)) for name, block in blocks.items()]
    watchers += [
        (part, of_values(name.rsplit(".", 2)[0]))
        for name, part in network.named_modules()
        if isinstance(part, Retrieval)
    ]
    with record_weights(network) as weights, hooked(watchers):
        for batch in batches:
            network(batch)
            count += len(batch)
            for name, given in weights.items():
                sums[name.rsplit(".", 1)[0]][0] += given[:, :, 1:, 0].double().mean() * len(batch)
    rows = [(sums[name] / count).tolist() for name in blocks]
    return {name: [round(row[i], 5) for row in rows] for i, name in enumerate(MEASURES)}
