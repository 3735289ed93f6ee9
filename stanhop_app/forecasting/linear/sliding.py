"""Moments of all windows of one series, without looking at each window.

Windows that follow each other share all their values but one. With R_ij the sum over the windows of the
product of their i-th and j-th values, ``R_{i+1,j+1}`` is a sum of the same products as ``R_ij``, but for the
first and the last window::

    R_{i+1,j+1} = R_ij - a_i a_j + b_{i+1} b_{j+1}      a: the first window, b: the last

So the first row of R says all: ``S n`` products and ``S^2`` sums for n windows of S values, where the sum
over windows takes ``S^2 n``.

Shape letters: N rows, C variates, T lookback, L horizon, S = T + L.
"""

import torch
from torch import Tensor

from stanhop_app.data.windows import SeriesWindows, Windows
from stanhop_app.forecasting.linear.moments import Moments, moments

BLOCK = 2**25
"""Bytes of products of all pairs of values, of as many columns as are looked at together."""


def whole_moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """What `stanhop_app.forecasting.linear.moments.moments` returns, in less time where that is possible.

    That is: of one series without holes. Sums are of float64 in another order.
    """
    if isinstance(windows, SeriesWindows) or windows.holes or len(windows) == 0:
        return moments(windows, pooled=pooled)
    start = max(windows.first, windows.lookback) - windows.lookback
    count, size = len(windows), windows.lookback + windows.horizon
    values = windows.values[start : start + count + size - 1].T
    width = max(BLOCK // (8 * size**2), 1)
    parts = []
    for block in values.split(width):
        part = _from_last(products(block.double(), count, size), windows.lookback, count)
        if not pooled:
            parts.append(part)
        else:
            parts = [added(parts[0], part.pooled())] if parts else [part.pooled()]
    return Moments(
        gram=torch.cat([part.gram for part in parts]),
        cross=torch.cat([part.cross for part in parts]),
        energy=torch.cat([part.energy for part in parts]),
        count=parts[0].count,
    )


def added(a: Moments, b: Moments) -> Moments:
    """Moments of the windows of both."""
    return Moments(
        gram=a.gram + b.gram,
        cross=a.cross + b.cross,
        energy=a.energy + b.energy,
        count=a.count + b.count,
    )


def products(rows: Tensor, count: int, size: int) -> Tensor:
    """``R_ij = sum_o row[o + i] row[o + j]`` over windows of ``size`` values: (C, N) -> (C, S, S)."""
    a, b = rows[:, :size], rows[:, count - 1 : count - 1 + size]
    step = b[:, 1:, None] * b[:, None, 1:] - a[:, :-1, None] * a[:, None, :-1]
    result = rows.new_zeros(len(rows), size, size)
    result[:, 0] = result[:, :, 0] = _first_row(rows, count, size)
    for i in range(1, size):
        result[:, i, 1:] = result[:, i - 1, :-1] + step[:, i - 1]
    return result


def _first_row(rows: Tensor, count: int, size: int) -> Tensor:
    """``sum_o row[o] row[o + j]`` for every j, (C, S): a correlation, by fast Fourier transforms."""
    length = 1 << (rows.shape[1] + count - 1).bit_length()
    starts, whole = (torch.fft.rfft(x, length) for x in (rows[:, :count], rows))
    return torch.fft.irfft(starts.conj() * whole, length)[:, :size]


def _from_last(sums: Tensor, lookback: int, count: int) -> Moments:
    """Moments in the coordinates of `from_last`, of changes from the last value, from the products."""
    last = lookback - 1
    corner = sums[:, last, last]
    column, row = sums[:, :, [last]], sums[:, [last]]
    moved = sums - column - row + corner[:, None, None]  # of all values less the last one
    gram, cross = moved[:, :lookback, :lookback].clone(), moved[:, :lookback, lookback:].clone()
    to_last = column[..., 0] - corner[:, None]
    gram[:, last] = gram[:, :, last] = to_last[:, :lookback]
    gram[:, last, last] = corner
    cross[:, last] = to_last[:, lookback:]
    energy = moved.diagonal(dim1=1, dim2=2)[:, lookback:].sum(1)
    return Moments(gram=gram, cross=cross, energy=energy, count=count)
