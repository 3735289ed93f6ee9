"""A run takes in rows that came since it was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stanhop_app.data.joined import Joined
from stanhop_app.data.series import SeriesTable
from stanhop_app.forecasting.artefact import write
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.forecasting.update import updated
from stanhop_app.runs.novelty import NOVELTY
from stanhop_app.runs.scoring import BASELINES
from stanhop_app.training.folder import OUTLIERS, writing

BESIDE = (BASELINES, NOVELTY, OUTLIERS)
"""Files of a run that stay as they are."""


def update_run(
    folder: Path,
    table: Any,
    *,
    steps: int = 0,
    missing: str = "error",
    progress: bool | None = None,
) -> tuple[STanHopForecaster, Joined]:
    """Fit again on all rows what forecasts the real future, and replace it in the folder of a run.

    Until the new artefact is whole the old one is there.

    Args:
        folder: of the run.
        table: regular frame or many series, of the rows that came since, or of all.
        steps: optimiser steps of the deep part (`STanHopForecaster.update`).
        missing: what is done about rows that are missing before the new ones, and about their holes.
        progress: whether to draw a bar; None: on a terminal.

    Returns:
        The updated forecaster, and what is new.

    Raises:
        ArtefactError: if the folder holds no whole run.
        DataError: if columns or frequency are not the trained ones, rows before the new ones are missing, or
            none is new.
        BusyError: if another process writes into the folder.
    """
    STanHopForecaster.load(folder)  # says what is wrong before anything is written
    with writing(folder):
        forecaster = STanHopForecaster.load(folder)  # again, now that nobody else changes it
        forecaster.progress = progress
        fitted = forecaster.fitted_
        if not isinstance(table, SeriesTable):
            table = SeriesTable.of_frame(table)
        training = forecaster.training_config()
        new = forecaster.matched(table)
        forecaster.fitted_, came = updated(
            fitted, new, training, steps=steps, missing=missing, progress=progress
        )
        rewrite(forecaster.fitted_, forecaster.kept_params(), folder)
    return forecaster, came


def rewrite(fitted: Fitted, parameters: Mapping[str, Any], folder: Path) -> None:
    """Replace the artefact of a run whose other files stay; the caller is the only one who writes there."""
    files = {name: fitted.source.get(f"{Path(name).stem}_sha256") for name in BESIDE}
    beside = {name: str(digest) for name, digest in files.items() if digest is not None}
    write(fitted, parameters, folder, beside=beside)
