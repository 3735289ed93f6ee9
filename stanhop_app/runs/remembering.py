"""The external memory of a run: added to one that has none, told, and bounded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.plug import plugged
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.runs.updating import rewrite
from stanhop_app.training.folder import writing


def add_memory(folder: Path) -> Memory | None:
    """Give a run the external memory that validation chooses, from the rows that it keeps, without training.

    Until the new artefact is whole the old one is there. Scores in the folder stay those of the training.

    Returns:
        The memory; None where validation finds no gain: then the run is as it was.

    Raises:
        ArtefactError: if the folder holds no whole run.
        BusyError: if another process writes into it.
        DataError: if it does not keep all rows.
        OptionError: if it has a memory already, or no linear part.
    """

    def remember(fitted: Fitted) -> Fitted:
        rows = fitted.outlook.kept()
        if len(rows.frame) < fitted.num_rows:
            raise DataError(
                f"{folder}: only the last {len(rows.frame):,} of {fitted.num_rows:,} rows are kept; train "
                "again with --memory plug."
            )
        if fitted.memory is not None:
            raise OptionError(f"{folder}: has an external memory already.")
        return plugged(fitted, fitted.panel(rows))

    return _changed(folder, remember).memory


def prune_memory(folder: Path, keep: int) -> Memory:
    """Keep the newest so many windows of a run's memory.

    Raises:
        ArtefactError: if the folder holds no whole run, or one without a memory.
        BusyError: if another process writes into it.
    """

    def prune(fitted: Fitted) -> Fitted:
        memory = memory_of(fitted, folder)
        return replace(fitted, memory=replace(memory, store=memory.store.newest(keep)))

    return memory_of(_changed(folder, prune), folder)


def memory_of(fitted: Fitted, folder: Path) -> Memory:
    """The memory of a run.

    Raises:
        ArtefactError: if it has none.
    """
    if fitted.memory is None:
        raise ArtefactError(
            f"{folder}: has no external memory; stanhop memory add {folder} tries one."
        )
    return fitted.memory


def facts(fitted: Fitted, memory: Memory) -> dict[str, Any]:
    """What there is to tell of a memory; JSON values."""
    store = memory.store
    seconds = store.when[:, 0]
    timed = fitted.frequency is not None
    ends = [float(seconds.min()), float(store.ends.max())] if len(store) else []
    zone = getattr(fitted.rows.index, "tz", None)
    stamps = [pd.Timestamp(end, unit="s", tz=None if zone is None else "UTC") for end in ends]
    stamps = stamps if zone is None else [stamp.tz_convert(zone) for stamp in stamps]
    return {
        "windows": len(store),
        "series": int(store.begins.unique().numel()),
        "bytes": sum(tensor.nbytes for tensor in store.tensors().values()),
        "from_to": list(map(str, stamps)) if timed else [int(end) for end in ends],
        "of_training_validation_later": torch.bincount(store.part, minlength=3).tolist(),
        **memory.as_json(),
        "strength": float(memory.strength.mean()),
    }


def _changed(folder: Path, change: Callable[[Fitted], Fitted]) -> Fitted:
    """Write a run anew with the memory that a change gives it, if it gives one."""
    STanHopForecaster.load(folder)  # says what is wrong before anything is written
    with writing(folder):
        forecaster = STanHopForecaster.load(folder)  # again, now that nobody else changes it
        after = change(forecaster.fitted_)
        if after.memory is not None:
            rewrite(after, {**forecaster.kept_params(), "memory": "plug"}, folder)
    return after
