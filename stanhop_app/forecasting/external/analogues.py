"""Which stored windows a forecast used, and what they changed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.data.frequency import future_index
from stanhop_app.errors import OptionError

if TYPE_CHECKING:  # which reads memories
    from stanhop_app.forecasting.fitted import Fitted

SHOWN = 5
"""Analogues that are named in words."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Analogues:
    """What the memory did to one forecast."""

    windows: pd.DataFrame
    """A row a stored window, those of most weight first: first step of what followed it, weight, distance."""
    moved: pd.DataFrame
    """What it added to the forecast, a row a step and a column a variate, in original units."""
    no_op: float
    """Share of the weights that went to no window: nothing like this is stored."""

    def __str__(self) -> str:
        mean = ", ".join(f"{name} {value:+.3g}" for name, value in self.moved.mean().items())
        lines = [
            f"the external memory moves the forecast, on average over its steps, by: {mean}; "
            f"{self.no_op:.0%} of the weights found nothing alike, the most went to the windows before:"
        ]
        lines += [
            f"  {row.first} (weight {row.weight:.1%}, distance {row.distance:.2f})"
            for row in self.windows.head(SHOWN).itertuples()
        ]
        return "\n".join(lines)


@torch.no_grad()
def analogues(fitted: "Fitted", frame: pd.DataFrame | None = None) -> Analogues:
    """The stored windows that the forecast after a table is corrected by.

    A window's weight is the mean of its weights over all variates together and over each alone, as in
    `stanhop_app.forecasting.external.correction`; its distance is that over all variates.

    Args:
        fitted: with a memory, of one table without covariates.
        frame: the table, its columns in order; None: the rows that are kept.

    Raises:
        OptionError: if there is no memory, or there are many series or covariates.
    """
    memory = fitted.memory
    if memory is None:
        raise OptionError(
            "the forecaster has no external memory; train with memory='plug' (--memory)."
        )
    if fitted.series is not None or fitted.known is not None:
        raise OptionError("analogues are told for one table without covariates.")
    rows = fitted.context if frame is None else frame.iloc[-fitted.lookback :]
    window = torch.from_numpy(fitted.scaler.transform(rows.to_numpy(dtype=np.float64)))[None]
    index = time_index(rows)
    steps: pd.Index = pd.RangeIndex(1, fitted.horizon + 1)
    when = None
    if index is not None:
        steps = future_index(index, fitted.horizon, fitted.frequency)
        when = torch.from_numpy(clock(steps, fitted.frequency)[:1])
    distances, numbers = memory.nearest(window, when)
    read = memory.weighed(distances, numbers)
    added = (memory.strength * memory.mean(read))[0].numpy() * np.array(fitted.scaler.scale)
    share = torch.zeros(len(memory.store), dtype=torch.float64)
    parts = torch.full((len(read.weights), 1, 1), 0.5 / (len(read.weights) - 1)).double()
    parts[0] = 0.5
    share.index_add_(0, read.numbers.flatten(), (parts * read.weights).flatten())
    order = share.argsort(descending=True)[: int((share > 0).sum())]
    apart = dict(zip(numbers[0, 0].tolist(), distances[0, 0].sqrt().tolist(), strict=True))
    windows = pd.DataFrame(
        {
            "first": _stamps(memory.store.when[order, 0].numpy(), index),
            "weight": share[order].numpy(),
            "distance": [apart.get(number, np.nan) for number in order.tolist()],
        }
    )
    return Analogues(
        windows=windows,
        moved=pd.DataFrame(added, columns=list(fitted.columns), index=steps),
        no_op=max(float(1 - share.sum()), 0.0),
    )


def _stamps(seconds: np.ndarray, index: pd.DatetimeIndex | None) -> pd.Index:
    """When the first steps were, as the table tells time; rows where it does not."""
    if index is None:
        return pd.Index(seconds.astype(np.int64))
    stamps = pd.to_datetime(np.round(seconds * 1e3).astype(np.int64), unit="ms")
    return stamps if index.tz is None else stamps.tz_localize("UTC").tz_convert(index.tz)
