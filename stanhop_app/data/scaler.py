"""Standardisation by the training rows. Nothing here needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stanhop_app.errors import DataError

FARTHEST = 1e15
"""Deviations from the training rows whose squares, summed, a 32-bit float holds."""


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


def check_near(scaled: np.ndarray, values: np.ndarray, columns: Sequence[str]) -> None:
    """Refuse values so far from the training rows that their squares are no numbers.

    Args:
        scaled: (N, C).
        values: the same in original units; not a number where none is known.
        columns: their names.

    Raises:
        DataError: naming the first.
    """
    far = np.argwhere(~(np.abs(scaled) <= FARTHEST) & ~np.isnan(values))
    if len(far):
        row, column = far[0]
        raise DataError(
            f"column {columns[column]!r} has {len(far)} values more than {FARTHEST:g} deviations of "
            f"the training rows away, first in row {row + 1}: {values[row, column]:g}; mend them, "
            "or choose other columns (--columns)."
        )
