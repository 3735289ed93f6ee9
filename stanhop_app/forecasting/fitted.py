"""What a fit finds, in one frozen record, and the fit itself.

The estimator (`forecaster`) keeps such a record; the artefact writes and reads it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stanhop_app.data.book import Book
from stanhop_app.data.panel import Panel
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.windows import Split, Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.combination import Combination, join
from stanhop_app.forecasting.final import JUDGED, SUMMED, Final, final_folder, fit_final
from stanhop_app.forecasting.linear import fit_linear
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.config import FinalKind, TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OUTLIERS, OutlierLog


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
    context: pd.DataFrame
    """The last rows of the table, from which the future is forecast."""
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
    final: Final | None = None
    """What forecasts the real future, fitted on all rows; None: the scored network does."""
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
        return f"{part} fitted on all {self.final.rows:,} rows, until {self.context.index[-1]}"

    @property
    def lookback(self) -> int:
        """Time steps that the network reads."""
        return self.network.config.lookback

    @property
    def horizon(self) -> int:
        """Time steps that it forecasts in one pass."""
        return self.network.config.horizon

    def kept_series(self) -> SeriesTable:
        """The last rows of many series, as they are kept.

        Raises:
            DataError: if there is one wide table.
        """
        if self.series is None or self.frequency is None:
            raise DataError("the forecaster was fitted on one table, not on many series.")
        return SeriesTable(
            frame=self.series.context,
            starts=self.series.starts,
            ids=self.series.ids,
            frequency=self.frequency,
            id_name=self.series.id_name,
            notes=(),
            proved={},
            filled=0,
        )

    def panel(self, frame: pd.DataFrame | SeriesTable) -> Panel:
        """A table with the borders and scalers of the training; its columns must be in order.

        Of a long table the split is that of the training, series by series; new ids are scaled by their own
        rows.
        """
        if isinstance(frame, SeriesTable):
            panel = Panel.of_series(frame, self.split)
            if self.series is None:
                return panel
            scalers = self.series.scalers(panel.ids, panel.frame, panel.starts)
            return replace(panel, scalers=tuple(scalers))
        return Panel(frame=frame, splits=(self.borders,), scalers=(self.scaler,), split=self.split)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Everything that can be refused, made before anything is trained."""

    panel: Panel
    windows: Mapping[str, Windows]
    """The windows of each part of the split."""
    network: STanHopNet
    """The network with its initial weights."""
    training: TrainingConfig


def prepare(panel: Panel, network: STanHopConfig, training: TrainingConfig) -> Prepared:
    """Cut the windows and draw the initial weights.

    Args:
        panel: a wide table, or many series of a long one.
        network: the architecture.
        training: how it will be trained; its seed fixes the initial weights.

    Raises:
        DataError: if a part is too short for one window.
        OptionError: for an architecture that cannot be.
    """
    if not network.holes and np.isnan(panel.values).any():
        raise DataError(
            "values are missing, and the forecaster does not expect it; fill them, or say missing='mask'."
        )
    windows = panel.windows(network.lookback, network.horizon)
    with drawing(training.seed):
        untrained = STanHopNet(network)
    return Prepared(panel=panel, windows=windows, network=untrained, training=training)


def fit(
    prepared: Prepared,
    *,
    run_folder: Path | None = None,
    resume: bool = False,
    outlier_steps: int | None = None,
    final: FinalKind = "none",
    progress: bool | None = None,
) -> Fitted:
    """Train the deep part, fit the linear part in closed form, and combine them on validation.

    Args:
        prepared: what `prepare` made; its network is trained in place.
        run_folder: where checkpoints and history are kept; None writes nothing.
        resume: go on from the checkpoint in ``run_folder``.
        outlier_steps: optimiser steps between measurements of the deep part's outliers on the first
            validation windows; None: none.
        final: what is fitted again on all rows (`fit_final`).
        progress: whether to draw a bar; None: on a terminal.
    """
    panel, network, training = prepared.panel, prepared.network, prepared.training
    learn, validation = prepared.windows["train"], prepared.windows["validation"].thinned(JUDGED)
    log = _outlier_log(validation, training.batch_size, outlier_steps, run_folder)
    history = train(
        network.deep,
        ForecastTask(learn, validation, training.loss),
        training,
        folder=run_folder,
        resume=resume,
        identity={
            **asdict(network.config),
            "split": panel.split,
            "data_sha256": panel.fingerprint,
        },
        progress=progress,
        watch=log,
    )
    book = Book.of(panel, network.config.lookback) if panel.is_many else None
    rows, combination, linear = panel.frame.iloc[-network.config.lookback :].copy(), None, None
    if network.config.linear_skip:
        linear, *held_out = fit_linear(learn.thinned(SUMMED), validation)
        combination = join(network, [linear, *held_out], validation, training.loss)
    return Fitted(
        network=network.eval(),
        columns=tuple(panel.columns),
        frequency=panel.frequency,
        scaler=panel.outer_scaler,
        split=panel.split,
        borders=panel.total_borders,
        num_rows=len(panel),
        context=rows if book is None else book.context,
        series=book,
        fingerprint=panel.fingerprint,
        history=history,
        combination=combination,
        linear=None if linear is None else linear.summary(),
        final=fit_final(
            network.eval(),
            panel,
            linear,
            training,
            history,
            final,
            folder=None if run_folder is None else final_folder(run_folder, resume=resume),
            resume=resume,
            progress=progress,
        ),
        outliers=None if log is None else log.table(),
    )


def _outlier_log(
    validation: Windows, batch_size: int, steps: int | None, folder: Path | None
) -> OutlierLog | None:
    """What measures outliers on the first validation windows every so many steps, if that is asked for."""
    if steps is None:
        return None
    batch = validation.gather(torch.arange(min(len(validation), batch_size)))[0]
    return OutlierLog(batch, steps, file=None if folder is None else folder / OUTLIERS)
