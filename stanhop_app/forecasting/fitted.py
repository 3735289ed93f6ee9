"""What a fit finds, in one frozen record.

The estimator (`forecaster`) keeps such a record; the artefact writes and reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.book import Book
from stanhop_app.data.panel import Panel
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import Split
from stanhop_app.forecasting.combination import Combination
from stanhop_app.forecasting.effects.known import Known
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.final import Final
from stanhop_app.forecasting.outlook.outlook import Beside, Outlook
from stanhop_app.models.stanhop import STanHopNet

WHOLE, ALONE, DEEP, LINEAR = "STanHop-Net", "without memory", "deep part", "linear part"
"""Names under which the whole and its parts are scored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """Everything that forecasting, scoring and saving need of a fit; a new fit makes a new record."""

    network: STanHopNet
    """The trained network, in evaluation mode and on the CPU; it maps scaled (B, T, C) to (B, L, C)."""
    columns: tuple[str, ...]
    """Names of the variates, in the network's order."""
    frequency: str | None
    """Pandas alias; None where rows were only numbered."""
    scaler: Scaler
    """Mean and deviation of every variate over the training rows."""
    split: str
    """The split, by name or ratio, as it was asked for."""
    borders: Split
    """Rows at which training, validation and test parts end."""
    num_rows: int
    """Rows of the table."""
    rows: pd.DataFrame
    """The rows of the table, flat; of a very large one the last ones, from which the future is forecast."""
    fingerprint: str | None
    """SHA-256 of the table; None for a run of an older version that did not keep it."""
    history: list[dict[str, float]]
    """A row an epoch."""
    combination: Combination | None
    """Weights of the two parts; None without a linear part."""
    linear: dict[str, Any] | None
    """What validation chose of the linear part (`LinearFit.summary`); None without one."""
    series: Book | None = None
    """What is kept of many series; None: a wide table."""
    known: Known | None = None
    """What is kept of covariates; None: there were none."""
    final: Final | None = None
    """What forecasts the real future, fitted on all rows; None: the scored network does."""
    memory: Memory | None = None
    """What corrects forecasts by what was missed of past windows like theirs; None: nothing does."""
    outliers: pd.DataFrame | None = None
    """A row a measured step and module, if that was asked for; it is not kept in the artefact."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What the table was read from and how, and what a run keeps beside the network; empty if unknown."""
    metrics: Mapping[str, Any] | None = None
    """Scores of a run (`stanhop_app.runs.scoring.Report.as_json`); None if it was not scored."""

    @property
    def forecasting(self) -> STanHopNet:
        """The network that forecasts: the final one where there is one, else the scored one."""
        return self.network if self.final is None else self.final.network

    @property
    def seen(self) -> str:
        """Which rows what forecasts was fitted on, in words."""
        if self.final is None:
            return f"that was trained on the first {self.borders.train:,} of {self.num_rows:,} rows"
        part = "whose linear part was" if self.final.kind == "linear" else "that was"
        return f"{part} fitted on all {self.final.rows:,} rows, until {self.context.index.max()}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done with the table at this fit or update that its user should know."""
        left_out = "" if self.final is None else self.final.left_out
        return (left_out,) if left_out else ()

    @property
    def context(self) -> pd.DataFrame:
        """The last rows of one table, from which the future is forecast; all that are kept of many series."""
        return self.outlook.context

    @property
    def lookback(self) -> int:
        """Time steps that the network reads."""
        return self.network.config.lookback

    @property
    def horizon(self) -> int:
        """Time steps that it forecasts in one pass."""
        return self.network.config.horizon

    @cached_property
    def outlook(self) -> Outlook:
        """What forecasts of the real future are made from, beside the network."""
        known, effects, beside = self.known, None, None
        if known is not None:
            effects = known.effects if self.final is None else self.final.effects
            effect = None if effects is None else effects.effect
            beside = Beside(encoder=known.encoder, kept=known.kept, effect=effect)
        return Outlook(
            columns=self.columns,
            frequency=self.frequency,
            scaler=self.scaler,
            rows=self.rows,
            lookback=self.lookback,
            horizon=self.horizon,
            holes=self.network.config.holes,
            timed=self.memory is not None,
            series=self.series,
            beside=beside,
        )

    def beside(self, panel: Panel, *, final: bool = False) -> Panel:
        """A panel with its covariates as the scored or the final model reads them, if it reads some."""
        if self.known is None:
            return panel
        effects = self.known.effects
        if final and self.final is not None:
            effects = self.final.effects
        return self.known.beside(panel, effects, self.outlook.numbers(panel.ids))

    def panel(self, frame: pd.DataFrame | SeriesTable) -> Panel:
        """A table with the borders and scalers of the training; its columns must be in order.

        Of a long table the split is that of the training, series by series; new ids are scaled by their own
        rows.
        """
        if isinstance(frame, SeriesTable):
            panel = Panel.of_series(frame, self.split)
            if self.series is not None:
                panel = replace(panel, scalers=tuple(self.outlook.scalers(frame)))
            else:
                panel = replace(panel, splits=(self.borders,), scalers=(self.scaler,))
            return self.beside(panel)
        panel = Panel(frame=frame, splits=(self.borders,), scalers=(self.scaler,), split=self.split)
        return self.beside(panel)

    @torch.no_grad()
    def forecast_windows(self, windows: np.ndarray, **beside: np.ndarray) -> np.ndarray:
        """(B, T, C), and what lies beside by keyword, -> (B, L, C), scaled, by the final model."""
        # In memory of torch's own: how numpy's is aligned would change the last bit.
        known = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in beside.items()}
        whole = self.predictors(final=True)[WHOLE]
        forecast: np.ndarray = whole.predict(torch.from_numpy(windows).clone(), **known).numpy()
        return forecast

    def predictors(self, *, final: bool = False) -> dict[str, Predictor]:
        """The whole and, where there are several, its parts, as scored side by side.

        Args:
            final: those of what forecasts the real future, which has seen all rows of the training's table.
        """
        network, memory = self.forecasting if final else self.network, self.memory
        holes = network.config.holes
        common: dict[str, Any] = {"lookback": self.lookback, "holes": holes, "reads_beside": True}
        named: dict[str, Callable[..., torch.Tensor]] = {WHOLE: network}
        if memory is not None:
            named = {WHOLE: _corrected(network, memory, frozen=not final), ALONE: network}
        if network.config.linear_skip:
            named |= {DEEP: network.deep, LINEAR: _alone(network.linear)}
        return {
            name: Predictor(
                predict=predict, reads_clock=memory is not None and name == WHOLE, **common
            )
            for name, predict in named.items()
        }


def _corrected(network: STanHopNet, memory: Memory, *, frozen: bool) -> Callable[..., torch.Tensor]:
    """A network and the memory that corrects it, as a predictor that is told when its windows are."""

    def predict(
        x: torch.Tensor, when: torch.Tensor | None = None, **beside: torch.Tensor
    ) -> torch.Tensor:
        return memory.correct(network(x, **beside), x, when, frozen=frozen)

    return predict


def _alone(linear: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """The linear part as a predictor, which reads nothing beside windows."""
    return lambda x, **_: linear(x)
