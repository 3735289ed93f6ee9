"""A forecast as if the table had ended earlier, beside what came."""

import copy
import re
from dataclasses import dataclass, replace

import pandas as pd

from stanhop_app.data.frame import time_index
from stanhop_app.data.match import match_columns
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.forecaster import STanHopForecaster

WRITTEN = re.compile(
    r"\d{4}(-\d\d(-\d\d([T ]\d\d(:?\d\d(:?\d\d(\.\d+)?)?)?)?(Z| ?[+-]\d\d:?(\d\d)?)?)?)?"
)
"""How a cutoff is written: as ISO 8601 has it, which is one moment for everybody."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """A table that ends earlier, and a forecaster that saw no later row of it if the table is its own."""

    forecaster: STanHopForecaster
    """The scored one: the final one was fitted on all rows, and would know what came."""
    history: pd.DataFrame
    """Rows up to the cutoff."""
    actual: pd.DataFrame
    """Rows behind it, as many as are forecast at most."""
    note: str
    """What there is to say of it."""


def cut(
    forecaster: STanHopForecaster, cutoff: str, table: pd.DataFrame | SeriesTable | None = None
) -> Cut:
    """Let a table end at a time stamp.

    Args:
        forecaster: of one table without covariates.
        cutoff: the last time stamp that is known, such as 2018-03-01 or "2018-03-01 12:00"; a day alone is
            its beginning.
        table: as it was read; None: the rows that the forecaster keeps.

    Raises:
        DataError: if too few rows are left, or none is behind it.
        OptionError: if it is no time stamp, or there are many series, covariates or no time stamps.
    """
    fitted = forecaster.fitted_
    if isinstance(table, SeriesTable) or fitted.series is not None or fitted.known is not None:
        raise OptionError("a cutoff is taken for one table without covariates, so far.")
    rows = fitted.rows if table is None else match_columns(table, list(fitted.columns))
    index = time_index(rows)
    if index is None:
        raise OptionError("a cutoff is a time stamp; the rows have none.")
    at = _stamp(cutoff, index)
    history = rows[index <= at]
    if len(history) < fitted.lookback:
        raise DataError(
            f"cutoff {at}: {len(history):,} rows end there, but the forecaster reads {fitted.lookback:,}; "
            f"the first that can be is {index[min(fitted.lookback, len(index)) - 1]}."
        )
    actual = rows[index > at].iloc[: fitted.horizon]
    if actual.empty:
        raise DataError(f"cutoff {at}: no row came behind it; the rows end at {index[-1]}.")
    scored = copy.copy(forecaster)
    scored.fitted_ = replace(fitted, final=None)
    own = fitted.rows.index
    known = len(own) == fitted.num_rows and at < own[fitted.borders.train - 1]
    note = f"as if the rows had ended at {history.index[-1]}, by the scored model"
    if known:
        note += "; it was trained on rows behind that: what came is no test"
    return Cut(forecaster=scored, history=history, actual=actual, note=note)


def _stamp(cutoff: str, index: pd.DatetimeIndex) -> pd.Timestamp:
    if not WRITTEN.fullmatch(cutoff.strip()):  # 02/03/2024 is two days, and 12:00 one of today
        raise OptionError(
            f"cutoff {cutoff!r} is no time stamp with the year first; give one such as {index[-1]}."
        )
    try:
        at = pd.Timestamp(cutoff)
        if index.tz is not None:
            at = at.tz_localize(index.tz) if at.tzinfo is None else at.tz_convert(index.tz)
    except (ValueError, TypeError, OverflowError) as error:
        raise OptionError(
            f"cutoff {cutoff!r} is no time stamp of these rows ({error}); give one such as {index[-1]}."
        ) from None
    if pd.isna(at) or (at.tzinfo is None) != (index.tz is None):
        raise OptionError(
            f"cutoff {cutoff!r} is no time stamp of these rows; give one such as {index[-1]}."
        )
    return at
