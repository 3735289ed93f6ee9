"""The fit: what can be refused is refused first, then the parts are fitted and combined."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stanhop_app.data.book import Book
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.combination import Combination, join
from stanhop_app.forecasting.effects.known import Known, encoder_of, kept_of
from stanhop_app.forecasting.effects.regression import Effects, fit_effects
from stanhop_app.forecasting.external.plug import plugged
from stanhop_app.forecasting.final import final_folder, fit_final
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.linear.anchor import fit_anchor
from stanhop_app.forecasting.linear.fit import JUDGED, SUMMED, LinearFit, fit_linear
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.layers.names import PARTS
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.training.config import FinalKind, MemoryKind, TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.folder import OUTLIERS
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OutlierLog
from stanhop_app.training.task import Tell

KEPT = 2**28
"""Bytes of a table up to which a fit keeps all of its rows, so that it can be updated; else the last ones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Everything that can be refused, made before anything is trained."""

    panel: Panel
    windows: Mapping[str, Windows]
    """The windows of each part of the split."""
    network: STanHopNet
    """The network with its initial weights and its anchor."""
    training: TrainingConfig
    encoder: Encoder | None = None
    """What reads the covariates; None: there are none."""
    effects: Effects | None = None
    """What those that are known ahead add to the values, which the windows are less; None: nothing."""


def prepare(
    panel: Panel,
    network: STanHopConfig,
    training: TrainingConfig,
    *,
    calendar: bool = False,
    holidays: str | None = None,
) -> Prepared:
    """Cut the windows, draw the initial weights, and fit the anchor.

    Args:
        panel: a wide table, or many series of a long one.
        network: the architecture.
        training: how it will be trained; its seed fixes the initial weights.
        calendar: whether time stamps count as covariates.
        holidays: place whose holidays count as covariates.

    Raises:
        DataError: if a part is too short for one window.
        OptionError: for an architecture that cannot be.
    """
    if not network.holes and np.isnan(panel.values).any():
        raise DataError(
            "values are missing, and the forecaster does not expect it; fill them, or say missing='mask'."
        )
    windows = panel.windows(network.lookback, network.horizon)
    encoder, effects = None, None
    if panel.covariates is not None or calendar or holidays is not None:
        encoder = encoder_of(panel, calendar=calendar, holidays=holidays)
    if encoder is not None:
        panel = panel.beside(encoder)
        train, validation = (replace(windows[p], along=panel.along) for p in PARTS[:2])
        effects = fit_effects(panel, encoder, train, validation)
        encoder = replace(encoder, reads_ahead=effects is not None)
        panel = panel.beside(encoder)
        panel = panel if effects is None else panel.less(effects.of(encoder, panel))
        values, along = panel.adjusted, panel.along
        windows = {p: replace(w, values=values, along=along) for p, w in windows.items()}
        network = replace(
            network,
            future_features=encoder.num_ahead,
            past_features=encoder.num_past,
            static_features=encoder.num_static,
        )
    with drawing(training.seed):
        untrained = STanHopNet(network)
    fit_anchor(untrained, windows["train"])
    return Prepared(
        panel=panel,
        windows=windows,
        network=untrained,
        training=training,
        encoder=encoder,
        effects=effects,
    )


def fit(
    prepared: Prepared,
    *,
    run_folder: Path | None = None,
    resume: bool = False,
    outlier_steps: int | None = None,
    final: FinalKind = "none",
    memory: MemoryKind = "none",
    progress: bool | None = None,
    tell: Tell | None = None,
) -> Fitted:
    """Train the deep part, fit the linear part in closed form, and combine them on validation.

    Args:
        prepared: what `prepare` made; its network is trained in place.
        run_folder: where checkpoints and history are kept; None writes nothing.
        resume: go on from the checkpoint in ``run_folder``.
        outlier_steps: optimiser steps between measurements of the deep part's outliers; None: none.
        final: what is fitted again on all rows (`fit_final`).
        memory: what corrects forecasts (`stanhop_app.forecasting.external`).
        progress: whether to draw a bar; None: on a terminal.
        tell: told of every row of the logs of the deep part's training.
    """
    network, panel, training = prepared.network, prepared.panel, prepared.training
    learn, validation = prepared.windows["train"], prepared.windows["validation"].thinned(JUDGED)
    log = _outlier_log(validation, training.batch_size, outlier_steps, run_folder)
    history = train(
        network.deep,
        ForecastTask(learn.balanced() if training.balanced else learn, validation, training.loss),
        training,
        folder=run_folder,
        resume=resume,
        identity=_identity(panel, prepared),
        progress=progress,
        watch=log,
        tell=tell,
    )
    kept = len(panel) if panel.nbytes <= KEPT else network.config.lookback
    book = Book.of(panel, kept) if panel.is_many else None
    linear, combination = _combined(network, learn.thinned(SUMMED), validation, training)
    fitted = Fitted(
        network=network.eval(),
        columns=tuple(panel.columns),
        frequency=panel.frequency,
        scaler=panel.outer_scaler,
        split=panel.split,
        borders=panel.total_borders,
        num_rows=len(panel),
        rows=panel.frame.iloc[-kept:].copy() if book is None else book.context,
        series=book,
        known=_known(prepared, kept),
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
            effects=prepared.effects,
            encoder=prepared.encoder,
        ),
        outliers=None if log is None else log.table(),
    )
    return fitted if memory == "none" else plugged(fitted, panel, linear)


def _combined(
    network: STanHopNet, train: Windows, validation: Windows, training: TrainingConfig
) -> tuple[LinearFit | None, Combination | None]:
    """The linear part beside the trained deep one, in place, and their weights; None without one."""
    if not network.config.linear_skip:
        return None, None
    linear, *held_out = fit_linear(train, validation)
    return linear, join(network, [linear, *held_out], validation, training.loss)


def _identity(panel: Panel, prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint must be of to be gone on with."""
    config, encoder = asdict(prepared.network.config), prepared.encoder
    beside = {} if encoder is None else {"encoder": encoder.as_json()}
    return {**config, "split": panel.split, "data_sha256": panel.fingerprint, **beside}


def _known(prepared: Prepared, kept: int) -> Known | None:
    """What is kept of covariates; None where there are none."""
    if prepared.encoder is None:
        return None
    return Known(
        encoder=prepared.encoder,
        effects=prepared.effects,
        kept=kept_of(prepared.panel, kept),
    )


def _outlier_log(
    validation: Windows, batch_size: int, steps: int | None, folder: Path | None
) -> OutlierLog | None:
    """What measures outliers on the first validation windows every so many steps, if that is asked for."""
    if steps is None:
        return None
    batch = validation.gather(torch.arange(min(len(validation), batch_size)))[0]
    return OutlierLog(batch, steps, file=None if folder is None else folder / OUTLIERS)
