"""Whether two sets of options are the same: what was kept may be of a version that had fewer of them."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from stanhop_app.models.config import BERTConfig, OPTConfig, STanHopConfig, ViTConfig
from stanhop_app.training.config import TrainingConfig

ABSENT = object()
"""Stands for an option that the other set has not."""


def difference(
    saved: Mapping[str, Any], asked: Mapping[str, Any], *, leave_out: Collection[str] = ()
) -> tuple[str, Any, Any] | None:
    """The first option that differs, as it was and as it is; None if all are the same.

    An option that was not kept is the same if it is asked for as it is by default. Groups of options are
    looked into.
    """
    for name, value in asked.items():
        kept = saved.get(name, ABSENT)
        if name in leave_out or kept == value:
            continue
        if isinstance(kept, Mapping) and isinstance(value, Mapping) and set(kept) <= set(value):
            if (other := difference(kept, value)) is not None:
                return other
            continue
        if kept is ABSENT and any(value == default for default in _defaults().get(name, [])):
            continue
        return name, None if kept is ABSENT else kept, value
    return None


def told(other: tuple[str, Any, Any]) -> str:
    """A difference in words: ``seed was 0, is 1``."""
    name, was, now = other
    if name != "start":
        return f"{name} was {was}, is {now}"
    before, after = (
        f"the weights {str(which)[:12]}" if which else "random weights" for which in (was, now)
    )
    return f"it started from {before}, and not from {after}: --from"


@cache
def _defaults() -> dict[str, list[Any]]:
    """Defaults of every option of networks and training, by name."""
    known: dict[str, list[Any]] = {"start": [""]}  # of the suite, which stands above this room
    for kind in (TrainingConfig, STanHopConfig, BERTConfig, OPTConfig, ViTConfig):
        for field in fields(kind):
            if field.default is not MISSING:
                known.setdefault(field.name, []).append(field.default)
    return known
