"""What the cells of a study share: one table, split and scaled, and its windows by horizon."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Windows, split_rows, split_windows
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet


class Study:
    """A table, split and scaled by its training rows.

    Args:
        frame: regular frame.
        split: by name or ratio.
        lookback: time steps read.
    """

    def __init__(self, frame: pd.DataFrame, split: str, lookback: int):
        array = frame.to_numpy(dtype=np.float64)
        self.borders, self.lookback = split_rows(len(frame), split), lookback
        self.scaler = Scaler.fit(array[: max(self.borders.train, 1)])
        self.scaled = torch.from_numpy(self.scaler.transform(array))

    def parts(self, horizon: int) -> tuple[Windows, Windows, Windows]:
        """Train, validation and test windows.

        Raises:
            DataError: if a part is too short for one window.
        """
        return split_windows(self.scaled, self.borders, self.lookback, horizon)

    def network(self, options: Mapping[str, Any], horizon: int, seed: int) -> STanHopNet:
        """An untrained network; what ``options`` (fields of `STanHopConfig`) does not name is the default."""
        config = STanHopConfig(
            num_variates=self.scaled.shape[1], horizon=horizon, lookback=self.lookback, **options
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return STanHopNet(config)
