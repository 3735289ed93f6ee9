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

ROWS_AT_ONCE = 2**16
"""Windows whose products with the first value are summed at a time."""


def whole_moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """What `stanhop_app.forecasting.linear.moments.moments` returns, in less time where that is possible.

    That is: of one series without holes. Sums are of float64 in another order.
    """
    if isinstance(windows, SeriesWindows) or windows.holes or len(windows) == 0:
        return moments(windows, pooled=pooled)
    start = max(windows.first, windows.lookback) - windows.lookback
    count, size = len(windows), windows.lookback + windows.horizon
    values = windows.values[start : start + count + size - 1].T.double()
    parts = [_of_variate(products(row, count, size), windows.lookback, count) for row in values]
    whole = Moments(
        gram=torch.stack([part.gram[0] for part in parts]),
        cross=torch.stack([part.cross[0] for part in parts]),
        energy=torch.cat([part.energy for part in parts]),
        count=count,
    )
    return whole.pooled() if pooled else whole


def products(row: Tensor, count: int, size: int) -> Tensor:
    """``R_ij = sum_o row[o + i] row[o + j]`` over ``count`` windows of ``size`` values: (S, S)."""
    first_row = torch.zeros(size, dtype=row.dtype)
    views = row.unfold(0, size, 1)  # (n, S), no copy
    for start in range(0, count, ROWS_AT_ONCE):
        some = views[start : min(start + ROWS_AT_ONCE, count)]
        first_row += some[:, 0] @ some
    a, b = row[:size], row[count - 1 : count - 1 + size]
    step = torch.outer(b[1:], b[1:]) - torch.outer(a[:-1], a[:-1])
    result = torch.zeros(size, size, dtype=row.dtype)
    result[0] = first_row
    result[:, 0] = first_row
    for i in range(1, size):
        result[i, 1:] = result[i - 1, :-1] + step[i - 1]
    return result


def _of_variate(sums: Tensor, lookback: int, count: int) -> Moments:
    """Moments in the coordinates of `from_last`, of changes from the last value, from the products."""
    last = lookback - 1
    corner = sums[last, last]
    moved = sums - sums[:, [last]] - sums[[last]] + corner  # of all values less the last one
    gram = moved[:lookback, :lookback].clone()
    to_last = sums[:, last] - corner
    gram[last], gram[:, last] = to_last[:lookback], to_last[:lookback]
    gram[last, last] = corner
    cross = moved[:lookback, lookback:].clone()
    cross[last] = to_last[lookback:]
    energy = moved.diagonal()[lookback:].sum()
    return Moments(gram=gram[None], cross=cross[None], energy=energy[None], count=count)
