"""Plug-and-Play on any forecaster that was fitted elsewhere."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from stanhop_app.data.calendar import clock
from stanhop_app.data.cutting import behind
from stanhop_app.data.frame import to_frame
from stanhop_app.data.frequency import future_index, season_length
from stanhop_app.data.match import match_columns, match_frequency
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.external.choice import choose, fill, fill_by
from stanhop_app.forecasting.linear.fit import fit_linear

ASKED = 4096
"""Windows that the forecaster is asked for, at most, beside those by which the choice is made."""


class ExternalMemory(BaseEstimator):
    """An external memory of a table, which corrects the forecasts of another forecaster.

    Two memories are tried: of what the forecaster itself missed of past windows (right for one that was not
    fitted, such as a seasonal naive; of one that was, errors on its training rows are smaller than those to
    come), and of what a linear map missed that had not seen them. Which one, how it is read and how strongly
    is chosen on windows of the validation part, so the forecaster must not have been fitted on those.

    Args:
        base: fitted; its ``predict(frame)`` forecasts the steps after the last row of a frame, as a frame or
            an array (steps, columns).
        horizon: steps that are corrected; None: its ``horizon``.
        lookback: steps that it is given of a window; None: its ``lookback``.
        split: "A/B/C" or a name (`stanhop_app.data.windows.split_rows`), that of its training.

    Attributes:
        memory_: `stanhop_app.forecasting.external.correction.Memory`, or None: validation found no gain.

    Examples:
        >>> from stanhop_app import datasets
        >>> class Last:
        ...     horizon, lookback = 24, 168
        ...     def predict(self, frame):
        ...         return np.repeat(frame.to_numpy()[-1:], 24, axis=0)
        >>> memory = ExternalMemory(Last()).fit(datasets.load("sample"))
        >>> memory.memory_.gain > 0.1, memory.predict().shape
        (True, (24, 4))
    """

    def __init__(
        self,
        base: Any,
        *,
        horizon: int | None = None,
        lookback: int | None = None,
        split: str = "14/5/5",
    ):
        self.base = base
        self.horizon = horizon
        self.lookback = lookback
        self.split = split

    def fit(self, X: Any, y: object = None) -> Self:
        """Fill the memory with a regular table, and choose how it is read.

        Raises:
            DataError: naming what is wrong with the table, or with what the base forecasts.
            OptionError: if horizon or lookback are told by nobody.
        """
        frame = to_frame(X)
        horizon, lookback = (self._told(name) for name in ("horizon", "lookback"))
        panel = Panel.of(frame, self.split)
        windows = panel.windows(lookback, horizon)
        train, validation = windows["train"], windows["validation"]
        linear = fit_linear(train, validation)[0]
        later = behind(panel.whole(lookback, horizon), [panel.borders.validation], (0,))
        parts, pairs = (train, validation, later), self._pairs(panel)
        self.frame_, self.scaler_ = frame, panel.scaler
        season = 1 if panel.frequency is None else season_length(panel.frequency)
        stores = (fill(linear, parts), fill_by(pairs, parts, ASKED))
        tried = [choose(pairs, store, validation, season) for store in stores]
        worth = [memory for memory in tried if memory is not None]
        self.memory_ = max(worth, key=lambda memory: memory.gain, default=None)
        return self

    def predict(self, X: Any = None) -> pd.DataFrame:
        """The base's forecast of the steps after the last row, corrected; None: of the table of the fit."""
        check_is_fitted(self)
        frame = self.frame_
        if X is not None:
            frame = match_columns(to_frame(X), list(self.frame_.columns))
            match_frequency(frame, Panel.of(self.frame_).frequency)
        horizon, lookback = (self._told(name) for name in ("horizon", "lookback"))
        if len(frame) < lookback:
            raise DataError(
                f"too few rows: {len(frame)}, but a forecast needs the last {lookback}."
            )
        made = self._forecast(frame.iloc[-lookback:])
        frequency = Panel.of(frame).frequency
        steps = future_index(pd.DatetimeIndex(frame.index), horizon, frequency)
        if self.memory_ is not None:
            rows = self.scaler_.transform(frame.to_numpy(dtype=np.float64)[-lookback:])
            when = torch.from_numpy(clock(steps, frequency)[:1])
            added = self.memory_.strength * self.memory_.missed(torch.from_numpy(rows)[None], when)
            made = made + added[0].numpy() * np.array(self.scaler_.scale)
        return pd.DataFrame(made, index=steps, columns=frame.columns)

    def _told(self, name: str) -> int:
        value = getattr(self, name) or getattr(self.base, name, None)
        if not isinstance(value, int):
            raise OptionError(f"{name}: neither the memory nor its base says how many steps.")
        return value

    def _forecast(self, frame: pd.DataFrame) -> np.ndarray:
        """What the base forecasts after some rows, (L, C) in original units."""
        horizon = self._told("horizon")
        made = self.base.predict(frame)
        if isinstance(made, pd.DataFrame):
            made = made.reindex(columns=frame.columns)
        values = np.asarray(made, dtype=np.float64)[:horizon]
        if values.shape != (horizon, frame.shape[1]) or np.isnan(values).any():
            raise DataError(
                f"the base forecasts {values.shape} values, and not {horizon} steps of the columns "
                f"{', '.join(map(str, frame.columns))}."
            )
        return values

    def _pairs(self, panel: Panel) -> Callable[[Windows, Tensor], tuple[Tensor, Tensor]]:
        """What came and what the base forecasts of windows by number, as `Predictor.pairs`; scaled units."""

        def pairs(windows: Windows, batch: Tensor) -> tuple[Tensor, Tensor]:
            firsts = windows.rows(batch)[:, windows.lookback].tolist()
            made = [
                self._forecast(panel.frame.iloc[first - windows.lookback : first])
                for first in firsts
            ]
            scaled = panel.scaler.transform(np.stack(made))
            return windows.gather(batch)[1], torch.from_numpy(scaled)

        return pairs
