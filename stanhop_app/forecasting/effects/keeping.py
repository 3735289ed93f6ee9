"""Covariates and effects as a folder keeps them: JSON values and tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.covariates import Covariates, firsts
from stanhop_app.data.encoder import Encoder
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.basis import Basis
from stanhop_app.forecasting.effects.known import Known
from stanhop_app.forecasting.effects.regression import Effects


def known_as_json(known: Known) -> dict[str, Any]:
    """What `restored_known` needs besides the tensors."""
    return {
        "encoder": known.encoder.as_json(),
        "lengths": [last - first for first, last in known.kept.spans()],
        "effects": effects_as_json(known.effects),
    }


def effects_as_json(effects: Effects | None) -> dict[str, Any] | None:
    """What `restored_effects` needs besides the tensors."""
    if effects is None:
        return None
    basis = effects.basis
    return {
        "kind": basis.kind,
        "knots": {column: list(knots) for column, knots in basis.knots.items()},
        "by_hour": basis.by_hour,
        "penalty": effects.penalty,
        "pooling": effects.pooling,
        "gains": list(effects.gains),
    }


def known_tensors(known: Known) -> dict[str, Tensor]:
    """Rows of covariates, and the weights of the scored effects."""
    kept = {
        "rows": torch.from_numpy(known.kept.frame.to_numpy(dtype=np.float64).copy()),
        "static": torch.from_numpy(known.kept.static.to_numpy(dtype=np.float64).copy()),
    }
    return {**kept, **effects_tensors(known.effects)}


def effects_tensors(effects: Effects | None) -> dict[str, Tensor]:
    """Weights of effects; nothing where there are none."""
    if effects is None:
        return {}
    own = {} if effects.own is None else {"own": effects.own}
    return {"weights": effects.weights, "forecaster": effects.forecaster.clone(), **own}


def restored_known(
    kept: Mapping[str, Any], tensors: Mapping[str, Tensor], columns: int, series: int
) -> Known:
    """What a folder keeps of covariates.

    Args:
        kept: of `known_as_json`.
        tensors: of `known_tensors`.
        columns: of values.
        series: how many there are.

    Raises:
        DataError: if the sizes do not fit together.
    """
    encoder = Encoder.restored(kept["encoder"])
    roles, lengths = encoder.roles, kept["lengths"]
    rows, static = tensors["rows"].numpy(), tensors["static"].numpy()
    fitting = rows.shape == (sum(lengths), len(roles.moving)) and static.shape == (
        series,
        len(roles.static),
    )
    if not fitting or len(lengths) != series:
        raise DataError("the covariates and the rows that are kept of them do not fit together.")
    covariates = Covariates(
        roles=roles,
        frame=pd.DataFrame(rows, columns=list(roles.moving)),
        starts=firsts(lengths),
        static=pd.DataFrame(static, columns=list(roles.static)),
    )
    effects = restored_effects(kept["effects"], tensors, encoder, columns, series)
    return Known(encoder=encoder, effects=effects, kept=covariates)


def restored_effects(
    kept: Mapping[str, Any] | None,
    tensors: Mapping[str, Tensor],
    encoder: Encoder,
    columns: int,
    series: int,
) -> Effects | None:
    """The effects that a folder keeps; arguments and errors as of `restored_known`."""
    if kept is None:
        return None
    if kept["kind"] not in ("plain", "bent") or not set(kept["knots"]) <= set(encoder.varied):
        raise DataError("the effects of covariates are of columns or kinds that are not there.")
    knots = {column: tuple(map(float, values)) for column, values in kept["knots"].items()}
    basis = Basis(kind=kept["kind"], knots=knots, by_hour=bool(kept["by_hour"]))
    count = basis.width(encoder)
    weights, own, forecaster = (tensors.get(n) for n in ("weights", "own", "forecaster"))
    if weights is None or forecaster is None or forecaster.ndim != 2:
        raise DataError("the effects of covariates have no weights.")
    if weights.shape != (count, columns) or (
        own is not None and own.shape != (series, count, columns)
    ):
        raise DataError(
            "the weights of the effects of covariates are not one a feature and column."
        )
    if len(kept["gains"]) != columns:
        raise DataError("the gains of the effects of covariates are not one a column.")
    return Effects(
        basis=basis,
        weights=weights,
        own=own,
        forecaster=forecaster,
        penalty=float(kept["penalty"]),
        pooling=None if kept["pooling"] is None else float(kept["pooling"]),
        gains=tuple(map(float, kept["gains"])),
    )
