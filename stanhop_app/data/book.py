"""What a forecaster keeps of many series: their names, their scales, and the last rows of each.

Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from stanhop_app.data.covariates import firsts, rows_of
from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import DataError

if TYPE_CHECKING:  # which needs torch
    from stanhop_app.data.panel import Panel


@dataclass(frozen=True, kw_only=True, eq=False)
class Book:
    """Many series, as many as there are names; S series, C columns."""

    id_name: str
    """Name of the column of ids."""
    ids: tuple[str, ...]
    mean: np.ndarray
    """(S, C) of the training rows."""
    scale: np.ndarray
    """(S, C) of the training rows."""
    context: pd.DataFrame
    """The last rows of all series, flat, with their time stamps."""
    lengths: tuple[int, ...]
    """Rows of every series in ``context``."""
    numbered: bool = False
    """Whether the column of ids holds whole numbers."""

    @classmethod
    def of(cls, panel: "Panel", rows: int) -> "Book":
        """The book of a panel, with the last ``rows`` rows of each series."""
        spans = [(max(first, last - rows), last) for first, last in panel.spans]
        return cls(
            id_name=panel.id_name,
            ids=panel.ids,
            mean=np.array([s.mean for s in panel.scalers]),
            scale=np.array([s.scale for s in panel.scalers]),
            context=panel.frame.iloc[rows_of(spans)],
            lengths=tuple(last - first for first, last in spans),
            numbered=panel.numbered,
        )

    @property
    def starts(self) -> tuple[int, ...]:
        """First row of every series in ``context``."""
        return firsts(self.lengths)

    def scalers(
        self, ids: Sequence[str], frame: pd.DataFrame, starts: Sequence[int]
    ) -> list[Scaler]:
        """Scaler of each of some series: that of its training rows, or of its own rows if it is a new one.

        Args:
            ids: names.
            frame: their rows, flat.
            starts: first row of each.
        """
        known = {name: number for number, name in enumerate(self.ids)}
        edges, values = [*starts, len(frame)], frame.to_numpy(dtype=np.float64)
        return [
            Scaler(mean=tuple(self.mean[known[name]]), scale=tuple(self.scale[known[name]]))
            if name in known
            else Scaler.fit(values[edges[i] : edges[i + 1]])
            for i, name in enumerate(ids)
        ]

    def as_json(self) -> dict[str, Any]:
        """What `restored` needs besides the arrays; JSON values."""
        index = pd.DatetimeIndex(self.context.index)
        ends = np.cumsum(self.lengths) - 1
        return {
            "id_name": self.id_name,
            "ids": list(self.ids),
            "lengths": list(self.lengths),
            "ends": [int(index.asi8[end]) for end in ends],
            "unit": index.unit,
            "zone": None if index.tz is None else str(index.tz),
            "time_name": index.name,
            "numbered": self.numbered,
        }


def restored(
    kept: Mapping[str, Any],
    frequency: str,
    columns: Sequence[str],
    arrays: Mapping[str, np.ndarray],
) -> Book:
    """The book that a folder keeps.

    Args:
        kept: of `Book.as_json`.
        frequency: of the series.
        columns: names of the values.
        arrays: "mean" and "scale" (S, C), "context" (rows, C).

    Raises:
        DataError: if the sizes do not fit together.
    """
    lengths, ends = kept["lengths"], kept["ends"]
    count = {len(kept["ids"]), len(lengths), len(ends), len(arrays["mean"]), len(arrays["scale"])}
    if len(count) > 1 or sum(lengths) != len(arrays["context"]):
        raise DataError("the series, their lengths and their rows do not fit together.")
    shape = (len(lengths), len(columns))
    fitting = arrays["mean"].shape == arrays["scale"].shape == shape
    if not fitting or not (np.isfinite(arrays["mean"]).all() and (arrays["scale"] > 0).all()):
        raise DataError("the scales of the series are no numbers above 0, one a series and column.")
    offset = to_offset(frequency)

    @lru_cache(maxsize=4096)
    def stamps(end: int, length: int) -> pd.DatetimeIndex:
        last = pd.DatetimeIndex(np.array([end], dtype=f"datetime64[{kept['unit']}]"))
        if kept["zone"] is not None:
            last = last.tz_localize("UTC").tz_convert(kept["zone"])
        return pd.date_range(end=last[0], periods=length, freq=offset, unit=kept["unit"])

    parts = [stamps(end, length) for end, length in zip(ends, lengths, strict=True)]
    index = parts[0].append(parts[1:]) if len(parts) > 1 else parts[0]
    index = pd.DatetimeIndex(index, freq=None, name=kept["time_name"])  # type: ignore[arg-type]
    return Book(
        id_name=kept["id_name"],
        ids=tuple(kept["ids"]),
        mean=arrays["mean"],
        scale=arrays["scale"],
        context=pd.DataFrame(arrays["context"], index=index, columns=list(columns)),
        lengths=tuple(lengths),
        numbered=kept.get("numbered", False),
    )
