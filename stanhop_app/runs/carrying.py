"""The intervals of a run, written for what forecasts without torch."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save

from stanhop_app.errors import DataError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.intervals.intervals import intervals_of


def write_intervals(fitted: Fitted, path: Path) -> bool:
    """Write the residuals that intervals are read from, and how, for `intervals.carried.Carried`.

    Returns:
        Whether there are some: not where too few rows are kept, or validation had too few windows.
    """
    try:
        # An export goes without the external memory; so do the residuals of its intervals.
        best = intervals_of(replace(fitted, memory=None)).best
    except DataError:
        return False
    pool = best.pool
    memory, store, (least, largest) = pool.memory, pool.store, pool.bounds
    tensors = {
        "residuals": pool.residuals(),
        "places": best.places,
        "ends": store.ends,
        "floor": least,
        "largest": largest,
    }
    about: dict[str, Any] = {
        "way": pool.way.name,
        "steps": pool.way.steps,
        "lag": pool.way.lag,
        "key": None,
    }
    if pool.way.nearest:
        about |= {
            "key": memory.kind.steps,
            "calendar": memory.kind.calendar,
            "spread": float(memory.spread[0]),
            "typical": float(memory.typical[0]),
            "neighbours": memory.rule.neighbours,
            "sharpness": memory.rule.sharpness,
        }
        tensors |= {
            "rows": store.rows,
            "origins": store.origins,
            "begins": store.begins,
            "circles": memory.circles,
        }
    whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    path.write_bytes(save(whole, metadata={"about": json.dumps(about)}))
    return True
