"""Features of covariates for a regression: as they are, or bent and crossed with the time of day.

Nothing here needs torch.

Shape letters: M rows, K features of the encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import waves
from stanhop_app.data.encoder import Encoder

Kind = Literal["plain", "bent"]
LEVELS = (0.2, 0.5, 0.8)
"""Shares of the training rows that lie below the knots of a bent feature."""
DAILY = 6
"""Waves of a day that features are crossed with: three sines and three cosines."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """Plain: the encoder's features that are known ahead, the calendar's too.

    Bent: beside them ``max(z - knot, 0)`` of every column of a scale, so that heat and cold may both raise
    a demand; and all of them times the waves of a day, where a day has several steps, so that a holiday may
    change the shape of a day; and, of the calendar, the products of the waves of day and week.
    """

    kind: Kind
    knots: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Knots of every column of a scale, in units of the encoder."""
    by_hour: bool = False
    """Whether a day has several steps."""

    @classmethod
    def of(cls, kind: Kind, encoder: Encoder, rows: np.ndarray, *, by_hour: bool) -> "Basis":
        """The basis of some training rows.

        Args:
            kind: plain or bent.
            encoder: that made the rows.
            rows: (M, K).
            by_hour: whether a day has several steps.
        """
        if kind == "plain":
            return cls(kind=kind)
        places = encoder.future_columns()
        knots = {
            column: tuple(np.unique(np.quantile(rows[:, place.start], LEVELS)).tolist())
            for column, place in places.items()
            if column in encoder.varied
        }
        return cls(kind=kind, knots=knots, by_hour=by_hour)

    def width(self, encoder: Encoder) -> int:
        """How many features there are."""
        blank = np.zeros((1, encoder.num_future + encoder.num_past), dtype=np.float32)
        return self.features(encoder, blank, pd.DatetimeIndex(["2024-01-01"])).shape[1]

    def features(self, encoder: Encoder, rows: np.ndarray, index: pd.DatetimeIndex) -> np.ndarray:
        """(M, K) rows of the encoder -> (M, features) float32."""
        known = rows[:, : encoder.num_future]
        if self.kind == "plain":
            return known
        columns = encoder.future_columns()
        own = known[:, : max((place.stop for place in columns.values()), default=0)]
        bends = [
            np.maximum(rows[:, [columns[column].start]] - knot, 0)
            for column, knots in self.knots.items()
            for knot in knots
        ]
        table = np.concatenate([own, *bends], axis=1)
        parts = [known, *bends]
        if self.by_hour:
            day = waves(index, "day")[:, :DAILY]
            parts.append(_crossed(table, day))
            if "week" in encoder.calendar:
                parts.append(_crossed(waves(index, "week"), day))
        return np.concatenate(parts, axis=1).astype(np.float32)


def _crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All products of a column of the one and a column of the other."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
