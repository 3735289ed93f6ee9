"""Intervals of any predictor: split conformal, per step and variate, of what validation windows missed.

With n residuals of windows that were not fitted on, sorted, the quantile at level q of what will be missed is
the one of rank ``ceil(q (n + 1))``, below the median ``floor(q (n + 1))``, within 1 and n. Where windows are
exchangeable, at least as many truths lie between two quantiles as their levels say. Windows that follow each
other are not, so that coverage is measured (`stanhop_app.runs.backtest`).

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al., arXiv 1604.04173.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stanhop_app.data.windows import Windows, evenly
from stanhop_app.forecasting.evaluation import Predictor

LARGEST = 2**26
"""Bytes of residuals that are sorted at most; of more windows some are left out, evenly over all."""


@torch.no_grad()
def conformal(predictor: Predictor, validation: Windows, levels: Sequence[float]) -> Tensor:
    """Quantiles of what a predictor misses, (Q, L, C), rising with the level; scaled units.

    Args:
        predictor: not fitted on these windows.
        validation: windows with the predictor's lookback.
        levels: above 0 and below 1, rising.
    """
    validation = predictor.suited(validation)
    size = 4 * validation.horizon * validation.values.shape[1]
    numbers = evenly(len(validation), max(LARGEST // size, 1))
    batches = numbers.split(len(validation.batches()[0]))
    pairs = [predictor.pairs(validation, batch) for batch in batches]
    missed = torch.cat([truth - made for truth, made in pairs]).sort(0).values  # NaN come last
    known = (~missed.isnan()).sum(0)
    ranks = [
        (level * (known + 1)).floor() if level < 0.5 else (level * (known + 1)).ceil()
        for level in levels
    ]
    places = torch.stack([torch.minimum(rank, known).long() for rank in ranks]) - 1
    return missed.gather(0, places.clamp_min(0))
