"""Windows with holes: values that are not known are NaN.

Shape letters: B batch, T steps, C variates.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def between(x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
    """Windows with holes filled by straight lines between the values around them, within the window.

    Before the first known value that one stands, after the last one that; in a window of none, 0. A known
    value stays what it is, to the bit.
    """
    last = x.shape[1] - 1
    steps = torch.arange(x.shape[1], device=x.device)[None, :, None].expand_as(x)
    known = ~x.isnan()
    before = _latest(torch.where(known, steps, -1))
    after = last - _latest(torch.where(known, last - steps, -1).flip(1)).flip(1)
    left = torch.where(before >= 0, before, after).clamp(max=last)
    right = torch.where(after <= last, after, left)
    start, end = x.gather(1, left), x.gather(1, right)
    share = (steps - left) / (right - left).clamp_min(1)
    return torch.where(known, x, start + share * (end - start)).nan_to_num(0.0)


def _latest(x: Int[Tensor, "B T C"]) -> Int[Tensor, "B T C"]:
    """The largest number, -1 or above, up to every step."""
    if not torch.compiler.is_exporting():
        return x.cummax(1).values
    return doubled_latest(x)


def doubled_latest(x: Int[Tensor, "B T C"]) -> Int[Tensor, "B T C"]:
    """The same in log2(T) steps of what every format of exports knows; here it takes twice as long."""
    step = 1
    while step < x.shape[1]:
        x = torch.maximum(x, torch.nn.functional.pad(x[:, :-step], (0, 0, step, 0), value=-1))
        step *= 2
    return x
