"""An outlook as a folder keeps it: JSON values and arrays."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.book import restored
from stanhop_app.data.context import stamp, stamped_context
from stanhop_app.data.covariates import Covariates, firsts
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.frequency import future_index, is_weekly
from stanhop_app.data.scaler import Scaler
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.basis import Basis
from stanhop_app.forecasting.effects.effect import Effect
from stanhop_app.forecasting.outlook.outlook import Beside, Outlook


def covariates_as_json(encoder: Encoder, kept: Covariates) -> dict[str, Any]:
    """What `restored_covariates` needs besides the arrays."""
    return {
        "encoder": encoder.as_json(),
        "lengths": [last - first for first, last in kept.spans()],
    }


def covariates_arrays(kept: Covariates) -> dict[str, np.ndarray]:
    """Rows of covariates, and those of the series."""
    return {
        "rows": kept.frame.to_numpy(dtype=np.float64).copy(),
        "static": kept.static.to_numpy(dtype=np.float64).copy(),
    }


def restored_covariates(
    kept: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    values: pd.DataFrame,
    starts: Sequence[int],
    frequency: str | None,
) -> tuple[Encoder, Covariates]:
    """The covariates that a folder keeps, and how they are read.

    Args:
        kept: of `covariates_as_json`.
        arrays: of `covariates_arrays`.
        values: the rows of values that they lie beside, flat.
        starts: first of them of every series.
        frequency: of the rows.

    Raises:
        DataError: if the sizes do not fit together.
    """
    encoder, series = Encoder.restored(kept["encoder"]), len(starts)
    roles, lengths = encoder.roles, kept["lengths"]
    rows, static = arrays["rows"], arrays["static"]
    fitting = rows.shape == (sum(lengths), len(roles.moving)) and static.shape == (
        series,
        len(roles.static),
    )
    if not fitting or len(lengths) != series:
        raise DataError("the covariates and the rows that are kept of them do not fit together.")
    covariates = Covariates(
        roles=roles,
        frame=pd.DataFrame(
            rows, columns=list(roles.moving), index=_stamps(values, starts, lengths, frequency)
        ),
        starts=firsts(lengths),
        static=pd.DataFrame(static, columns=list(roles.static)),
    )
    return encoder, covariates


def _stamps(
    values: pd.DataFrame, starts: Sequence[int], lengths: Sequence[int], frequency: str | None
) -> pd.Index | None:
    """Time stamps of covariates, so many of each series: those of its values, and the ones that follow."""
    index = values.index
    if not isinstance(index, pd.DatetimeIndex) or frequency is None:
        return None
    step = None if is_weekly(frequency) else frequency

    @lru_cache(maxsize=4096)
    def after(last: pd.Timestamp, steps: int) -> pd.DatetimeIndex:
        end = pd.DatetimeIndex([last], freq=step)  # type: ignore[arg-type]
        return future_index(end, steps, frequency)

    parts = []
    for (first, last), length in zip(pairwise([*starts, len(index)]), lengths, strict=True):
        own = index[first:last]
        parts += [own, after(own[-1], max(length - len(own), 0))]
    return parts[0].append(parts[1:])


def effect_as_json(effect: Effect) -> dict[str, Any]:
    """What `restored_effect` needs besides the arrays."""
    basis = effect.basis
    return {
        "kind": basis.kind,
        "knots": {column: list(knots) for column, knots in basis.knots.items()},
        "by_hour": basis.by_hour,
    }


def effect_arrays(effect: Effect) -> dict[str, np.ndarray]:
    """Weights of a regression."""
    own = {} if effect.own is None else {"own": effect.own}
    return {"weights": effect.weights, **own}


def restored_effect(
    kept: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    encoder: Encoder,
    columns: int,
    series: int,
) -> Effect:
    """The regression that a folder keeps.

    Args:
        kept: of `effect_as_json`.
        arrays: of `effect_arrays`.
        encoder: of the covariates.
        columns: of values.
        series: how many there are.

    Raises:
        DataError: if the sizes do not fit together.
    """
    if kept["kind"] not in ("plain", "bent") or not set(kept["knots"]) <= set(encoder.varied):
        raise DataError("the effects of covariates are of columns or kinds that are not there.")
    knots = {column: tuple(map(float, values)) for column, values in kept["knots"].items()}
    basis = Basis(kind=kept["kind"], knots=knots, by_hour=bool(kept["by_hour"]))
    count, weights, own = basis.width(encoder), arrays.get("weights"), arrays.get("own")
    if weights is None:
        raise DataError("the effects of covariates have no weights.")
    if weights.shape != (count, columns) or (
        own is not None and own.shape != (series, count, columns)
    ):
        raise DataError(
            "the weights of the effects of covariates are not one a feature and column."
        )
    return Effect(basis=basis, weights=weights, own=own)


def outlook_as_json(outlook: Outlook) -> dict[str, Any]:
    """What `restored_outlook` needs besides the arrays."""
    series, beside = outlook.series, outlook.beside
    known = None
    if beside is not None:
        effect = None if beside.effect is None else effect_as_json(beside.effect)
        known = {**covariates_as_json(beside.encoder, beside.kept), "effects": effect}
    return {
        "columns": list(outlook.columns),
        "frequency": outlook.frequency,
        "context_end": stamp(outlook.rows) if series is None else None,
        "scaler": {"mean": outlook.scaler.mean, "scale": outlook.scaler.scale},
        "series": None if series is None else series.as_json(),
        "known": known,
    }


def outlook_arrays(outlook: Outlook) -> dict[str, np.ndarray]:
    """What lies beside the rows of values: scales of many series, covariates, and what these add."""
    series, beside = outlook.series, outlook.beside
    arrays = {} if series is None else {"mean": series.mean, "scale": series.scale}
    if beside is not None:
        arrays |= covariates_arrays(beside.kept)
        arrays |= {} if beside.effect is None else effect_arrays(beside.effect)
    return arrays


def restored_outlook(
    kept: Mapping[str, Any],
    context: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    **model: Any,
) -> Outlook:
    """The outlook that a folder keeps.

    Args:
        kept: of `outlook_as_json`; folders of older versions lack "series" and "known".
        context: rows of values, flat.
        arrays: of `outlook_arrays`.
        **model: further fields of `Outlook`.

    Raises:
        DataError: if the sizes do not fit together, or a number is none.
    """
    strange = [n for n, a in arrays.items() if a.dtype != np.float64]
    strange += [n for n in ("weights", "own") if n in arrays and not np.isfinite(arrays[n]).all()]
    if strange:
        raise DataError(f"{strange[0]} holds no numbers.")
    columns, book, beside = kept["columns"], None, None
    if kept.get("series") is not None:
        own = {**{n: arrays[n] for n in ("mean", "scale")}, "context": context}
        book = restored(kept["series"], str(kept["frequency"]), columns, own)
    rows = stamped_context(context, dict(kept)) if book is None else book.context
    if kept.get("known") is not None:
        starts = (0,) if book is None else book.starts
        encoder, covariates = restored_covariates(
            kept["known"], arrays, rows, starts, kept["frequency"]
        )
        effect = kept["known"]["effects"]
        if effect is not None:
            effect = restored_effect(effect, arrays, encoder, len(columns), len(starts))
        beside = Beside(encoder=encoder, kept=covariates, effect=effect)
    return Outlook(
        columns=tuple(columns),
        frequency=kept["frequency"],
        scaler=Scaler(**{k: tuple(v) for k, v in kept["scaler"].items()}),
        rows=rows,
        series=book,
        beside=beside,
        **model,
    )
