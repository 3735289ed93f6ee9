"""What covariates that are known ahead add to the values, once the regression on them is fitted.

Shape letters: M rows, C columns, K features, S series.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from stanhop_app.data.encoder import Encoder
from stanhop_app.forecasting.effects.basis import Basis

AT_ONCE = 2**16
"""Rows of features that are in double precision at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Effect:
    """A regression on covariates (`stanhop_app.forecasting.effects.regression`), in scaled units."""

    basis: Basis
    weights: np.ndarray
    """(K, C) float64, one regression for all series."""
    own: np.ndarray | None
    """(S, K, C), where every series has one of its own; those of new series are ``weights``."""

    def at(
        self, encoder: Encoder, rows: np.ndarray, index: pd.DatetimeIndex, number: np.ndarray
    ) -> np.ndarray:
        """(M, C) float32 of rows of the encoder.

        Args:
            encoder: that made the rows.
            rows: (M, its features).
            index: time stamps.
            number: (M,) series of each row, as at the fit; -1: a new one.
        """
        features = self.basis.features(encoder, rows, index)
        parts = [features[a : a + AT_ONCE] for a in range(0, max(len(features), 1), AT_ONCE)]
        added = np.concatenate([part.astype(np.float64) @ self.weights for part in parts])
        if self.own is not None:
            edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
            for first, last in pairwise(edges):  # rows of one series follow each other
                if last > first and number[first] >= 0:
                    own = self.own[number[first]]
                    added[first:last] = features[first:last].astype(np.float64) @ own
        return added.astype(np.float32)
