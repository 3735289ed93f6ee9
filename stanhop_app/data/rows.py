"""Rows of one or many series of the same columns, one series behind the other.

Shape letters: N rows of all series, C columns.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from stanhop_app.data.cutting import spans_of
from stanhop_app.data.frame import frame_frequency


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """One or many series, flat: the rows of one series follow those of the one before."""

    frame: pd.DataFrame
    """Rows of all series (N, C), original units; of one series a regular frame (`data.frame.to_frame`)."""
    starts: tuple[int, ...] = (0,)
    """First row of every series in the flat frame."""
    ids: tuple[str, ...] = ("",)
    """Name of every series; empty for the only series of a wide table."""
    id_name: str = ""
    """Name of the column of ids of a long table; empty for a wide one."""
    numbered: bool = False
    """Whether that column holds whole numbers."""
    steps: str | None = None
    """Frequency of many series; that of a wide table is its index's own."""

    def __len__(self) -> int:
        """Rows of all series."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Names of the variates."""
        return list(self.frame.columns)

    @property
    def index(self) -> pd.Index:
        """Time stamps, or numbers, of the rows."""
        return self.frame.index

    @property
    def frequency(self) -> str | None:
        """Pandas alias, or None where rows are only numbered."""
        return frame_frequency(self.frame) if self.steps is None else self.steps

    @property
    def is_many(self) -> bool:
        """Whether it is of a long table as many series, if only one of them is there."""
        return self.id_name != ""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First row of every series, and the row after its last."""
        return spans_of(self.starts, len(self))

    @property
    def lengths(self) -> list[int]:
        """Rows of every series."""
        return [last - first for first, last in self.spans]

    @cached_property
    def values(self) -> np.ndarray:
        """(N, C) float64, original units."""
        return self.frame.to_numpy(dtype=np.float64)
