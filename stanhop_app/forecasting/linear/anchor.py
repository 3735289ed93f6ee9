"""The weights of the deep part's anchor, by least squares on training windows.

Shape letters: B batch, C variates, L horizon, K levels.
"""

import torch
from torch import Tensor

from stanhop_app.data.windows import Windows
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import STanHopNet

MOST = 2**14
"""Windows that they are fitted on, at most; evenly over all."""
SMALLEST = 1e-12
"""Size of levels that are all 0."""
PENALTY = 1e-3
"""Strength with which weights are drawn to the latest level alone, relative to the mean square of a level."""


@torch.no_grad()
def fit_anchor(network: STanHopNet, train: Windows) -> None:
    """Fill the anchor of a network in place, if it has one: the level that best foretells the targets' mean.

    Per variate c, over windows with levels m (K) and a mean target y::

        min_w  sum (y - w m)^2 + p g |w - e|^2

    with e the latest level alone (the last value, or where there is but one level that), g the mean over k of
    sum m_k^2, and p `PENALTY`: what the levels of a variate do not tell apart is left to the latest. At most
    four numbers a variate are fitted on thousands of windows, so that no validation is needed.

    Args:
        network: its deep part is not trained yet.
        train: windows that it will be trained on, in scaled units.
    """
    anchor = network.deep.anchor
    if anchor is None:
        return
    windows = train.thinned(MOST)
    variates, count = anchor.weight.shape
    gram = torch.zeros(variates, count, count, dtype=torch.float64)
    moment = torch.zeros(variates, count, dtype=torch.float64)
    for batch in windows.batches():
        x, y = windows.gather(batch)
        x = x[:, -network.config.deep_steps :]
        levels = anchor.levels((between(x) if windows.holes else x).transpose(1, 2)).double()
        target = y.double().nanmean(1)
        known = ~target.isnan()
        levels, target = levels * known[..., None], target.nan_to_num(0.0)
        gram += torch.einsum("bck,bcj->ckj", levels, levels)
        moment += torch.einsum("bck,bc->ck", levels, target)
    anchor.weight.copy_(solved(gram, moment))


def solved(gram: Tensor, moment: Tensor) -> Tensor:
    """The weights (C, K) from sums of products of levels (C, K, K), and of these and the targets (C, K)."""
    size = gram.diagonal(dim1=1, dim2=2).mean(-1).clamp_min(SMALLEST)
    penalty = PENALTY * size[:, None, None] * torch.eye(gram.shape[-1], dtype=gram.dtype)
    last = torch.zeros_like(moment)
    last[:, 0] = 1.0
    drawn = moment + (penalty @ last[..., None])[..., 0]
    return torch.linalg.solve(gram + penalty, drawn)
