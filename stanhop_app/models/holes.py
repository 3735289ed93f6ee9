"""Windows with holes: values that are not known are NaN.

Shape letters: B batch, T steps, C variates.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def between(x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
    """Windows with holes filled by straight lines between the values around them, within the window.

    Before the first known value that one stands, after the last one that; in a window of none, 0. A known
    value stays what it is, to the bit.
    """
    steps = torch.arange(x.shape[1], device=x.device)[None, :, None].expand_as(x)
    known = ~x.isnan()
    before = torch.where(known, steps, -1).cummax(1).values
    after = torch.where(known, steps, x.shape[1]).flip(1).cummin(1).values.flip(1)
    left = torch.where(before >= 0, before, after).clamp(max=x.shape[1] - 1)
    right = torch.where(after < x.shape[1], after, left)
    start, end = x.gather(1, left), x.gather(1, right)
    share = (steps - left) / (right - left).clamp_min(1)
    return torch.where(known, x, start + share * (end - start)).nan_to_num(0.0)
