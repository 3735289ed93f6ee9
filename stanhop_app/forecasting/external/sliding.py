"""Products of a query with every stored window, by Fourier transforms: stored windows overlap.

A product with M windows of S steps that are cut from the same rows is a correlation. By blocks of F rows
(overlap-save) it costs ``M log F``, where a matrix product costs ``M S`` and reads S copies of every row. For
100,000 windows of 168 steps and 7 variates: 1 ms on one core here, the product 168 ms
(`tests/benchmarks/external/latency.py`).

Shape letters: N rows, C variates, M windows, S steps of a key, Q queries, F rows of a block.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from stanhop_app.forecasting.external.store import Store

SMALLEST_BLOCK = 1024
"""Rows of a block, at least; a power of two, and four times the steps of a key where that is more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slid:
    """The keys of a store, as `squared` needs them."""

    spectra: Tensor
    """(C, blocks, F / 2 + 1) complex64, of overlapping blocks of rows."""
    places: Tensor
    """(M,) where each window begins among all rows."""
    last: Tensor
    """(C, M) last value of each window, which its key is less."""
    norms: Tensor
    """(C, M) squared length of each key."""
    steps: int
    block: int

    @classmethod
    def of(cls, store: Store, steps: int) -> "Slid":
        """The keys of all windows. Every series is led in by its first value, as short ones are read."""
        starts, number = torch.unique(store.begins, return_inverse=True)
        edges, parts = [*starts.tolist(), len(store.rows)], []
        for first, last in pairwise(edges):
            parts += [store.rows[first : first + 1].expand(steps, -1), store.rows[first:last]]
        rows = torch.cat(parts).nan_to_num(0.0).T  # no stored window has a hole
        places = store.origins - edges[0] + steps * number  # the window before the first target
        block = SMALLEST_BLOCK
        while block < 4 * steps:
            block *= 2
        step = block - steps + 1
        count = -(-rows.shape[1] // step)
        padded = torch.nn.functional.pad(rows, (0, count * step + block - rows.shape[1]))
        blocks = padded.unfold(1, block, step)[:, :count]
        last = rows[:, places + steps - 1]
        total, squares = (_summed(x.double(), places, steps) for x in (rows, rows.double() ** 2))
        norms = squares - 2 * last * total + steps * last.double() ** 2  # sum (w - last)^2
        return cls(
            spectra=torch.fft.rfft(blocks),
            places=places,
            last=last,
            norms=norms.clamp_min(0.0).float(),
            steps=steps,
            block=block,
        )

    def squared(self, queries: Tensor) -> Tensor:
        """Squared distances of queries (Q, S, C) to every key, of each variate: (C, Q, M)."""
        q = queries.permute(2, 0, 1)  # (C, Q, S)
        spectra = torch.fft.rfft(q, self.block).conj()
        products = torch.fft.irfft(self.spectra[:, None] * spectra[:, :, None], self.block)
        products = products[..., : self.block - self.steps + 1].flatten(2)
        first, count = int(self.places[0]), len(self.places)
        if bool((self.places.diff() == 1).all()):  # all of them, one after the other
            products = products[..., first : first + count].contiguous()
        else:
            products = products[..., self.places]
        products.addcmul_(self.last[:, None], q.sum(2)[:, :, None], value=-1)
        products.mul_(-2).add_(self.norms[:, None]).add_(q.square().sum(2)[:, :, None])
        return products.clamp_min_(0.0)


def _summed(rows: Tensor, places: Tensor, steps: int) -> Tensor:
    """Sums of windows of rows (C, N), where each begins: (C, M)."""
    sums = torch.nn.functional.pad(rows.cumsum(1), (1, 0))
    return sums[:, places + steps] - sums[:, places]
