"""Covariates and effects of a fit as a folder keeps them: JSON values and tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from stanhop_app.data.encoder import Encoder
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.known import Known
from stanhop_app.forecasting.effects.regression import Effects
from stanhop_app.forecasting.outlook.keeping import (
    covariates_arrays,
    covariates_as_json,
    effect_as_json,
    restored_covariates,
    restored_effect,
)


def known_as_json(known: Known) -> dict[str, Any]:
    """What `restored_known` needs besides the tensors."""
    told = covariates_as_json(known.encoder, known.kept)
    return {**told, "effects": effects_as_json(known.effects)}


def effects_as_json(effects: Effects | None) -> dict[str, Any] | None:
    """What `restored_effects` needs besides the tensors."""
    if effects is None:
        return None
    return {
        **effect_as_json(effects.effect),
        "penalty": effects.penalty,
        "pooling": effects.pooling,
        "gains": list(effects.gains),
    }


def known_tensors(known: Known) -> dict[str, Tensor]:
    """Rows of covariates, and the weights of the scored effects."""
    kept = {n: torch.from_numpy(array) for n, array in covariates_arrays(known.kept).items()}
    return {**kept, **effects_tensors(known.effects)}


def effects_tensors(effects: Effects | None) -> dict[str, Tensor]:
    """Weights of effects; nothing where there are none."""
    if effects is None:
        return {}
    own = {} if effects.own is None else {"own": effects.own}
    return {"weights": effects.weights, "forecaster": effects.forecaster.clone(), **own}


def restored_known(
    kept: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    values: pd.DataFrame,
    starts: Sequence[int],
    frequency: str | None,
) -> Known:
    """What a folder keeps of covariates.

    Args:
        kept: of `known_as_json`.
        tensors: of `known_tensors`.
        values: the rows of values that they lie beside, flat.
        starts: first of them of every series.
        frequency: of the rows.

    Raises:
        DataError: if the sizes do not fit together.
    """
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    encoder, covariates = restored_covariates(kept, arrays, values, starts, frequency)
    columns = len(values.columns)
    effects = restored_effects(kept["effects"], tensors, encoder, columns, len(starts))
    return Known(encoder=encoder, effects=effects, kept=covariates)


def restored_effects(
    kept: Mapping[str, Any] | None,
    tensors: Mapping[str, Tensor],
    encoder: Encoder,
    columns: int,
    series: int,
) -> Effects | None:
    """The effects that a folder keeps.

    Args:
        kept: of `effects_as_json`.
        tensors: of `effects_tensors`.
        encoder: of the covariates.
        columns: of values.
        series: how many there are.

    Raises:
        DataError: if the sizes do not fit together.
    """
    if kept is None:
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    basis = restored_effect(kept, arrays, encoder, columns, series).basis
    forecaster = tensors.get("forecaster")
    if forecaster is None or forecaster.ndim != 2:
        raise DataError("the effects of covariates have no forecaster.")
    if len(kept["gains"]) != columns:
        raise DataError("the gains of the effects of covariates are not one a column.")
    return Effects(
        basis=basis,
        weights=tensors["weights"],
        own=tensors.get("own"),
        forecaster=forecaster,
        penalty=float(kept["penalty"]),
        pooling=None if kept["pooling"] is None else float(kept["pooling"]),
        gains=tuple(map(float, kept["gains"])),
    )
