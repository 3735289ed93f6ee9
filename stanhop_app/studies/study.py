"""What the cells of a study share: one panel, its windows by horizon, and untrained networks for it."""

from collections.abc import Mapping
from typing import Any

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.linear.anchor import fit_anchor
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.draws import drawing


class Study:
    """A panel, and how much of it networks read.

    Args:
        panel: one series.
        lookback: time steps read.
    """

    def __init__(self, panel: Panel, lookback: int):
        self.panel, self.lookback, self.scaler = panel, lookback, panel.scaler

    def parts(self, horizon: int) -> tuple[Windows, Windows, Windows]:
        """Train, validation and test windows.

        Raises:
            DataError: if a part is too short for one window.
        """
        train, validation, test = self.panel.windows(self.lookback, horizon).values()
        return train, validation, test

    def network(self, options: Mapping[str, Any], horizon: int, seed: int) -> STanHopNet:
        """An untrained network; what ``options`` (fields of `STanHopConfig`) does not name is the default."""
        config = STanHopConfig(
            num_variates=len(self.panel.columns),
            horizon=horizon,
            lookback=self.lookback,
            **options,
        )
        with drawing(seed):
            network = STanHopNet(config)
        fit_anchor(network, self.parts(horizon)[0])
        return network
