"""What maps windows to forecasts: a network, a part of one, or a baseline."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A fitted predictor with the number of time steps that it reads."""

    predict: Callable[[Tensor], Tensor]
    lookback: int
    note: str = ""
    """What validation chose."""
