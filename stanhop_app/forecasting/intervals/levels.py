"""Levels of intervals and quantiles, checked and spelled. Nothing here needs torch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError

MOST_SAMPLES = 1_000_000
"""Sample paths that are drawn at most: more are a slip of the keyboard, and fill the memory."""
Bands = dict[str, tuple[pd.DataFrame, pd.DataFrame]]
"""Lower and upper ends of central intervals by name, the widest first, as figures draw them."""


def levels_of(coverages: Sequence[float]) -> list[float]:
    """Quantiles between which central intervals of these coverages lie, in percent, rising.

    Raises:
        OptionError: for one that is not above 0 and below 100.
    """
    if not len(coverages):
        raise OptionError("levels must name at least one coverage in percent, such as 80.")
    for coverage in coverages:
        if not 0 < coverage < 100:
            raise OptionError(f"levels are above 0 and below 100 percent, got {coverage:g}.")
    tails = [(1 - coverage / 100) / 2 for coverage in coverages]
    return sorted({round(q, 10) for tail in tails for q in (tail, 1 - tail)})


def end_name(name: str, level: float) -> str:
    """The column of an end of a central interval of a variate: OT-lo-80, OT-hi-80."""
    side, coverage = ("lo", 1 - 2 * level) if level < 0.5 else ("hi", 2 * level - 1)
    return f"{name}-{side}-{percent(100 * coverage)}"


def percent(coverage: float) -> str:
    """A coverage as names have it: 80, 99.5, 0.00001; never 1e-05."""
    return str(np.format_float_positional(round(coverage, 10), trim="-"))


def check_quantiles(levels: Sequence[float]) -> None:
    """Raise an `OptionError` for a quantile that is not above 0 and below 1."""
    if not len(levels):
        raise OptionError("quantiles must name at least one, such as 0.9.")
    for level in levels:
        if not 0 < level < 1:
            raise OptionError(f"quantiles are above 0 and below 1, got {level:g}.")


def check_samples(count: int) -> None:
    """Raise an `OptionError` for a number of sample paths that cannot be drawn."""
    if not 1 <= count <= MOST_SAMPLES:
        raise OptionError(
            f"samples must be at least 1 and at most {MOST_SAMPLES:,}, got {count:,}."
        )


def check_bounds(lower: float | None, upper: float | None) -> None:
    """Raise an `OptionError` for bounds that are no numbers, or leave nothing between them."""
    for name, bound in (("lower", lower), ("upper", upper)):
        if bound is not None and not math.isfinite(bound):
            raise OptionError(f"{name} must be a number, such as 0; got {bound}.")
    if lower is not None and upper is not None and lower > upper:
        raise OptionError(f"lower is {lower:g}, above upper, {upper:g}.")


def bounded(values: np.ndarray, lower: float | None, upper: float | None) -> np.ndarray:
    """Values within bounds of the target, such as 0 of sales."""
    check_bounds(lower, upper)
    return values if lower is None and upper is None else np.clip(values, lower, upper)


def with_bands(points: pd.DataFrame, bands: Bands) -> pd.DataFrame:
    """A forecast with the ends of its bands behind each variate, as ``predict_interval`` names them.

    Args:
        points: of ``predict``, wide or long.
        bands: of the same steps, in the same order.
    """
    ends: dict[float, pd.DataFrame] = {}
    for name, (low, high) in bands.items():
        coverage = float(name.rstrip("%"))
        ends |= dict(zip(levels_of([coverage]), (low, high), strict=True))
    variates = list(next(iter(ends.values())).columns) if ends else []
    columns: dict[Any, Any] = {}
    for column in points.columns:
        columns[column] = points[column].to_numpy()
        if column in variates:
            columns |= {end_name(column, q): ends[q][column].to_numpy() for q in sorted(ends)}
    return pd.DataFrame(columns, index=points.index)


def bands_of(
    predict_quantiles: Callable[..., pd.DataFrame], levels: Sequence[float], **given: Any
) -> Bands:
    """Ends of central intervals from what forecasts quantiles.

    Args:
        predict_quantiles: takes ``quantiles`` and what is given; columns (variate, quantile).
        levels: coverages in percent.
        **given: further arguments.
    """
    made = predict_quantiles(quantiles=levels_of(levels), **given)
    told = {}
    for coverage in sorted(set(levels), reverse=True):
        low, high = (pd.DataFrame(made.xs(end, axis=1, level=1)) for end in levels_of([coverage]))
        told[f"{percent(coverage)}%"] = (low, high)
    return told
