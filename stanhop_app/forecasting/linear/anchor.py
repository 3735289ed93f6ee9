"""The weights of the deep part's anchor, by least squares on training windows.

Shape letters: B batch, C variates, L horizon, K levels.
"""

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
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
BINDING = 1e4
"""Weight of the condition that weights sum to 1, where without it they would sum to more."""


@torch.no_grad()
def fit_anchor(network: STanHopNet, train: Windows) -> None:
    """Fill the anchor of a network in place, if it has one: the level that best foretells the targets' mean.

    Per variate c, over windows with levels m (K) and a mean target y::

        min_w  sum (y - w m)^2 + p g |w - e|^2      with w >= 0, sum w <= 1

    with e the latest level alone (the last value, or where there is but one level that), g the mean over k of
    sum m_k^2, and p `PENALTY`: what the levels of a variate do not tell apart is left to the latest. Without
    the bounds a series whose level tells nothing had weights of any sign, and a shift of its level was
    answered in the wrong direction.

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
        known = (~x.isnan()).transpose(1, 2) if windows.holes else None
        filled = between(x) if windows.holes else x
        levels = anchor.levels(filled.transpose(1, 2), known).double()
        target = y.double().nanmean(1)
        told = ~target.isnan()
        levels, target = levels * told[..., None], target.nan_to_num(0.0)
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
    pairs = zip((gram + penalty).numpy(), drawn.numpy(), strict=True)
    return torch.from_numpy(np.stack([_bounded(*pair) for pair in pairs]))


def _bounded(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """``min_w w G w - 2 w b`` with w >= 0 and a sum of at most 1, of one variate."""
    scale = np.sqrt(np.trace(gram))
    root = cholesky(gram) / scale
    target = solve_triangular(root, moment / scale**2, trans="T")
    weight: np.ndarray = nnls(root, target)[0]
    if weight.sum() > 1.0:
        ones = np.full((1, len(root)), BINDING)
        weight = nnls(np.concatenate([root, ones]), np.append(target, BINDING))[0]
        weight /= max(weight.sum(), 1.0)
    return weight
