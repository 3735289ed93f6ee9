"""Sums of forecasts: a week's total, all variates, all shops, with intervals.

The quantile of a sum is not the sum of quantiles: steps that follow each other miss to the same side. Sums
are therefore taken of sample paths, whose steps and variates belong together. Paths of several series are
drawn apart, as if what is missed of one said nothing of the others; where it does, intervals of a sum over
series are too narrow.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError
from stanhop_app.forecasting.intervals.levels import end_name

OVER = ("steps", "variates", "series")
TOTAL = "total"
"""Name of the column of a sum over variates."""


def check_over(over: Sequence[str], *, many: bool) -> None:
    """Raise an `OptionError` for what no sum is taken over.

    Args:
        over: names.
        many: whether there are many series.
    """
    spans = [name for name in over if name not in OVER[1:]]
    if not over or len(spans) > 1 or len(set(over)) < len(over) or ("series" in over and not many):
        known = ", ".join(OVER if many else OVER[:2])
        raise OptionError(
            f"sums are taken over {known}, or steps of a span of time such as D or W; got "
            f"{', '.join(map(repr, over)) or 'nothing'}."
        )
    check_spans(over)


def check_spans(over: Sequence[str]) -> None:
    """Raise an `OptionError` for what is no span of time, or one that goes nowhere."""
    for name in (name for name in over if name not in OVER):
        try:
            offset = pd.tseries.frequencies.to_offset(name)
            if offset is None or offset.n < 1:
                raise OptionError("it must go forward")
        except ValueError as error:
            raise OptionError(
                f"{name!r} is no span of time to sum over ({error}); give steps, D, W or ME."
            ) from None


def summed(
    table: pd.DataFrame, over: Sequence[str], time: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sums of a table whose rows are labelled by levels of which one is the time.

    Args:
        table: a column a variate; of sample paths, the first level numbers the path.
        over: some of `OVER`; or, instead of steps, a span of time such as D, of which a row is left each.
        time: name of the level of time stamps.

    Returns:
        The sums, and of how many things each is: a column "steps" of time steps, and "series" where these
        are summed, which may end at different times.
    """
    names = [str(name) for name in table.index.names]
    flat = table.copy()
    if "variates" in over:
        flat = flat.sum(axis=1).to_frame(TOTAL)
    span = next((name for name in over if name not in OVER), None)
    keys: list[object] = []
    for name in names:
        if name == time:
            if "steps" not in over:
                freq = pd.Grouper(level=name) if span is None else pd.Grouper(level=name, freq=span)
                keys.append(freq)
        elif name == "path" or "series" not in over:
            keys.append(pd.Grouper(level=name))
    parts = {"steps": flat.index.get_level_values(time)}
    if "series" in over:
        (series,) = (name for name in names if name not in (time, "path"))
        parts["series"] = flat.index.get_level_values(series)
    things = pd.DataFrame(parts).set_axis(flat.index, axis=0)
    if not keys:
        return flat.sum().to_frame().T, things.nunique().to_frame().T
    sums = flat.groupby(keys, sort=False).sum()
    counts = things.groupby(keys, sort=False).nunique().reset_index(drop=True)
    some = (counts["steps"] > 0).to_numpy()
    return sums[some], counts[some].reset_index(drop=True)


def with_ends(
    point: pd.DataFrame, counts: pd.DataFrame, paths: pd.DataFrame, levels: Sequence[float]
) -> pd.DataFrame:
    """Counts, summed points and quantiles of summed paths, the latter as columns OT-lo-80 and OT-hi-80.

    Raises:
        OptionError: if a column is named as another one of the result.
    """
    labelled = any(name != "path" for name in paths.index.names)
    labels = point.index.to_frame(index=False) if labelled else pd.DataFrame(index=counts.index)
    columns: list[pd.DataFrame | pd.Series] = [labels, counts]
    for name in point.columns:
        drawn = paths[name]
        # By their labels: series that end elsewhere come in another order in sums of points and of paths.
        values = drawn.to_numpy()[None]
        if labelled:
            values = drawn.unstack(level=0).reindex(point.index).to_numpy()
        columns.append(pd.Series(point[name].to_numpy(), name=str(name)))
        for level in levels:
            end = np.quantile(values, level, axis=1)
            columns.append(pd.Series(end, name=end_name(str(name), level)))
    whole = pd.concat(columns, axis=1)
    twice = whole.columns[whole.columns.duplicated()]
    if len(twice):
        raise OptionError(f"a column is named {twice[0]!r}, as one of the result; rename it.")
    return whole
