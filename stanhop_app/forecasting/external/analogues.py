"""Which stored windows a forecast used, and what they changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.calendar import clock
from stanhop_app.data.frame import time_index
from stanhop_app.data.frequency import future_index
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.novelty import energies, of_training, ordinary, percentile
from stanhop_app.models.holes import between

if TYPE_CHECKING:  # which reads memories
    from stanhop_app.forecasting.fitted import Fitted

SHOWN = 5
"""Analogues that are named in words."""
DRAWN = 8
"""Analogues whose values are told, to be drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Analogues:
    """What the memory did to one forecast."""

    windows: pd.DataFrame
    """A row a stored window by its number, those of most weight first: first step of what followed, weight,
    distance."""
    moved: pd.DataFrame
    """What it added to the forecast, a row a step and a column a variate, in original units."""
    no_op: float
    """Share of the weights that went to no window: nothing like this is stored."""
    novelty: float
    """Percentile of the window's energy among those of training windows (`novelty`); NaN: none is apart."""
    among: str
    """Windows that it is compared with: "training", or "stored" where none of these is left."""
    window: pd.DataFrame
    """The steps that are compared, original units."""
    forecast: pd.DataFrame
    """What is forecast with the memory, original units."""
    drawn: dict[int, pd.DataFrame]
    """The first of the stored windows and what followed them, by number, at the stamps of ``window`` and
    ``forecast``, raised or lowered to end where the window does; original units."""

    def lines(self, columns: Sequence[str]) -> dict[str, Any]:
        """What `stanhop_app.figures.analogues.analogues_figure` draws of some variates."""
        return {
            "window": self.window,
            "forecast": self.forecast[list(columns)],
            "alone": self.alone,
            "drawn": self.drawn,
            "windows": self.windows,
        }

    @property
    def alone(self) -> pd.DataFrame:
        """What would be forecast without the memory."""
        return self.forecast - self.moved

    @property
    def newer(self) -> str:
        """How new the window is, in words."""
        if np.isnan(self.novelty):
            return "how new the window is cannot be told by stored windows that all share rows"
        return f"the window is newer than {self.novelty:.0f}% of the {self.among} windows"

    def __str__(self) -> str:
        mean = ", ".join(f"{name} {value:+.3g}" for name, value in self.moved.mean().items())
        lines = [
            f"{self.newer}; the external memory moves the forecast, on average over its steps, by: {mean}; "
            f"{self.no_op:.0%} of the weights found nothing alike, the most went to the windows before:"
        ]
        lines += [
            f"  {row.first} (weight {row.weight:.1%}, distance {row.distance:.2f})"
            for row in self.windows.head(SHOWN).itertuples()
        ]
        return "\n".join(lines)


@torch.no_grad()
def analogues(
    fitted: "Fitted", frame: pd.DataFrame | None = None, *, without: Collection[int] = ()
) -> Analogues:
    """The stored windows that the forecast after a table is corrected by.

    A window's weight is the mean of its weights over all variates together and over each alone, as in
    `stanhop_app.forecasting.external.correction`; its distance is that over all variates.

    Args:
        fitted: with a memory, of one table without covariates.
        frame: the table, its columns in order; None: the rows that are kept.
        without: numbers of stored windows that are not read, as if they were not there.

    Raises:
        OptionError: if there is no memory, there are many series or covariates, or no such window.
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
    _check_numbers(memory, without)
    distances, numbers = memory.nearest(window, when, without=without)
    read = memory.weighed(distances, numbers)
    added = (memory.strength * memory.mean(read))[0].numpy() * np.array(fitted.scaler.scale)
    moved = pd.DataFrame(added, columns=list(fitted.columns), index=steps)
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
        },
        index=pd.Index(order.numpy(), name="number"),
    )
    bare = replace(fitted, memory=None)
    alone = np.asarray(bare.outlook.forecast(bare.forecast_windows, rows, fitted.horizon))
    compared = rows.iloc[-memory.kind.steps :].set_axis(list(fitted.columns), axis=1)
    last = fitted.scaler.inverse(between(window)[0, -1:].numpy())
    drawn = {}
    for number in order[:DRAWN].tolist():
        values = _values(memory, number) * np.array(fitted.scaler.scale)
        at = compared.index.append(pd.Index(steps))
        drawn[number] = pd.DataFrame(values + last, columns=list(fitted.columns), index=at)
    return Analogues(
        windows=windows,
        moved=moved,
        no_op=max(float(1 - share.sum()), 0.0),
        novelty=float(percentile(ordinary(memory), energies(memory, window, when))[0]),
        among="training" if of_training(memory) else "stored",
        window=compared,
        forecast=moved + alone,
        drawn=drawn,
    )


def _check_numbers(memory: Memory, without: Collection[int]) -> None:
    for number in without:
        if not 0 <= number < len(memory.store):
            raise OptionError(
                f"no stored window has the number {number}; there are {len(memory.store):,}, from 0."
            )


def _values(memory: Memory, number: int) -> np.ndarray:
    """A stored window and what followed it, less the window's last value, (S + L, C); scaled."""
    store, steps, horizon = memory.store, memory.kind.steps, memory.store.missed.shape[1]
    origin, begin = int(store.origins[number]), int(store.begins[number])
    rows = store.rows[torch.arange(origin - steps, origin + horizon).clamp_min(begin)]
    values: np.ndarray = (rows - store.rows[origin - 1]).double().numpy()
    return values


def _stamps(seconds: np.ndarray, index: pd.DatetimeIndex | None) -> pd.Index:
    """When the first steps were, as the table tells time; rows where it does not."""
    if index is None:
        return pd.Index(seconds.astype(np.int64))
    stamps = pd.to_datetime(np.round(seconds * 1e3).astype(np.int64), unit="ms")
    return stamps if index.tz is None else stamps.tz_localize("UTC").tz_convert(index.tz)
