"""What maps windows to forecasts: a network, a part of one, or a baseline."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stanhop_app.data.windows import Windows
from stanhop_app.models.holes import between


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A fitted predictor with the number of time steps that it reads."""

    predict: Callable[[Tensor], Tensor]
    lookback: int
    holes: bool = False
    """Whether it takes windows with holes; else they are filled for it (`stanhop_app.models.holes`)."""
    note: str = ""
    """What validation chose."""

    def on(self, windows: Windows, x: Tensor) -> Tensor:
        """Forecasts (B, L, C) of some of the windows (B, T, C)."""
        return self.predict(between(x) if windows.holes and not self.holes else x)
