"""Which rows of its tables a memory layer reads: dead buckets and entropy.

Shape letters: K tables, R rows of all tables.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from stanhop_app.layers.hashing import Hashed
from stanhop_app.layers.memory import MemoryLayer
from stanhop_app.layers.memory_int8 import Int8MemoryLayer
from stanhop_app.layers.observe import Watcher, hooked


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """How one table is used."""

    layer: str
    table: int
    hits: tuple[int, ...]
    """Tokens that fell into every bucket, in the order of the buckets' codes."""

    @property
    def dead(self) -> float:
        """Share of the buckets that were never read."""
        return sum(count == 0 for count in self.hits) / len(self.hits)

    @property
    def entropy(self) -> float:
        """``-sum f log2 f / bits`` of the frequencies f: 1 where all buckets are read equally often."""
        total = sum(self.hits)
        shares = [count / total for count in self.hits if count]
        return -sum(share * math.log2(share) for share in shares) / math.log2(len(self.hits))

    @property
    def peak(self) -> float:
        """Hits of the fullest bucket over the mean."""
        return max(self.hits) * len(self.hits) / sum(self.hits)


@contextlib.contextmanager
def record_buckets(module: nn.Module) -> Iterator[dict[str, Int[Tensor, " R"]]]:
    """Count how often every row of every memory layer is read, while the context is open.

    Yields:
        By name of the layer, hits of every row; filled as the module is called.
    """
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, MemoryLayer | Int8MemoryLayer)
    }
    counts = {
        name: torch.zeros(layer.table.shape[0], dtype=torch.int64, device="cpu")
        for name, layer in layers.items()
    }
    watchers = [(layer, _counter(counts[name])) for name, layer in layers.items()]
    with hooked(watchers, before=True):
        yield counts


def _counter(hits: Tensor) -> Watcher:
    @torch.no_grad()
    def count(
        layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: None
    ) -> None:
        given = arguments[0] if arguments else named["x"]
        assert isinstance(layer, MemoryLayer | Int8MemoryLayer)
        rows = (given if isinstance(given, Hashed) else layer.hash(given)).rows
        hits.add_(rows.flatten().cpu().bincount(minlength=len(hits)))

    return count


def occupancies(module: nn.Module, counts: dict[str, Int[Tensor, " R"]]) -> list[Occupancy]:
    """One entry a table that was read, from what `record_buckets` counted in this module."""
    entries = []
    for name, hits in counts.items():
        layer = module.get_submodule(name)
        assert isinstance(layer, MemoryLayer | Int8MemoryLayer)
        tables = hits.split([2**width for width in layer.widths])
        entries += [
            Occupancy(layer=name, table=k, hits=tuple(table.tolist()))
            for k, table in enumerate(tables)
            if table.sum() > 0
        ]
    return entries
