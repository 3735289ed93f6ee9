"""Standardisation by the training rows. Nothing here needs torch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Standardisation per variate: ``(x - mean) / scale``."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, rows: np.ndarray) -> "Scaler":
        """Mean and deviation of (N, C) rows; a constant column gets scale 1."""
        if np.isnan(rows).any():  # of the values that are known; a column of none is that of zeros
            rows = np.ma.masked_invalid(rows)
        deviation = np.asarray(rows.std(axis=0), dtype=np.float64)
        largest = np.asarray(np.abs(rows).max(axis=0), dtype=np.float64)
        deviation = np.where(deviation > 1e-12 * largest, deviation, 1.0)
        mean = np.nan_to_num(np.ma.filled(rows.mean(axis=0), 0.0))
        return cls(mean=tuple(mean.tolist()), scale=tuple(deviation.astype(float).tolist()))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """(..., C) original units -> (..., C) float32 scaled units."""
        with np.errstate(
            over="ignore"
        ):  # what is too large becomes infinite, as whoever calls finds
            scaled: np.ndarray = ((values - np.array(self.mean)) / np.array(self.scale)).astype(
                np.float32
            )
        return scaled

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """(..., C) scaled units -> (..., C) float64 original units."""
        original: np.ndarray = values.astype(np.float64) * np.array(self.scale) + np.array(
            self.mean
        )
        return original
