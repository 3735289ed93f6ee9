"""Forecasts as rows of a database: one row a series, variate, cut-off, step and kind of value."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.addresses import split_table
from stanhop_app.data.database import connected
from stanhop_app.errors import OptionError, StorageError

TYPES = {
    "run": "VARCHAR(200)",
    "series": "VARCHAR(250)",
    "variate": "VARCHAR(250)",
    "cutoff": "TIMESTAMP",
    "step": "INTEGER",
    "time": "TIMESTAMP",
    "kind": "VARCHAR(40)",
    "value": "DOUBLE PRECISION",
}
"""Columns of the table: time stamps in UTC where rows have a zone, ``kind`` such as point, lo-80, hi-80.

The names are as long as a key of MySQL bears, at four bytes a letter.
"""
BOUND = re.compile(r"-(lo|hi)-\d+(\.\d+)?")
"""What a column of a bound has after the name of its variate."""
KEY = ("run", "series", "variate", "cutoff", "step", "kind")
"""What tells rows apart."""
FORECAST = KEY[:4]
"""What tells forecasts apart. One that is there is replaced whole, also by one of fewer steps or without
intervals: bounds of one model beside the points of another would be of neither."""


def forecast_rows(
    made: pd.DataFrame, variates: list[str], cutoffs: Mapping[str, Any], run: str
) -> pd.DataFrame:
    """Rows of a forecast.

    Args:
        made: of ``predict`` or ``predict_interval``: wide with an index of time, or long with ids.
        variates: names of what is forecast.
        cutoffs: time stamp of the last known row, by series; "" of a wide table.
        run: name of the run.
    """
    if isinstance(made.index, pd.DatetimeIndex):
        ids, times = np.full(len(made), ""), made.index
        values = made
    else:
        ids, times = made.iloc[:, 0].astype(str).to_numpy(), pd.DatetimeIndex(made.iloc[:, 1])
        values = made.iloc[:, 2:]
    steps = pd.Series(ids).groupby(ids, sort=False).cumcount().to_numpy() + 1
    base = {
        "run": run,
        "series": ids,
        "cutoff": _utc(pd.DatetimeIndex([cutoffs[name] for name in ids])),
        "step": steps,
        "time": _utc(times),
    }
    parts = []
    for variate in variates:
        for column in values.columns:
            bound = BOUND.fullmatch(str(column).removeprefix(variate))
            is_bound = bound and str(column).startswith(variate) and column not in variates
            if column == variate or is_bound:
                kind = "point" if column == variate else bound[0][1:]  # type: ignore[index]
                told = {"variate": variate, "kind": kind, "value": values[column].to_numpy()}
                parts.append(pd.DataFrame({**base, **told}))
    rows = pd.concat(parts, ignore_index=True)[list(TYPES)]
    return rows.dropna(subset="value").reset_index(drop=True)


def write_rows(rows: pd.DataFrame, address: str) -> int:
    """Write rows into a table of a database, all or none.

    Args:
        rows: of `forecast_rows`.
        address: of the database, and the table after #: postgresql://writer@warehouse/shop#forecasts.

    Returns:
        Rows that were there before, of the same forecasts, and are replaced.

    Raises:
        StorageError: if it does not answer, or refuses; nothing was written then.
        OptionError: for an address with a password, or without a table.
    """
    place, table = split_table(address)
    if not table:
        raise OptionError(f"{place}: say the table after #, as {place}#forecasts.")
    for column in ("run", "series", "variate", "kind"):
        most = int(TYPES[column][8:-1])
        long = rows[column].str.len() > most
        if long.any():
            name = rows.loc[long, column].iloc[0]
            raise StorageError(
                f"{place}: {column} {name[:40]!r}... has {len(name):,} letters, {most} fit into the table; "
                "nothing was written."
            )
    with connected(place, reading=False) as database:
        return database.replace(table, TYPES, KEY, FORECAST, rows)


def _utc(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Time stamps without a zone; those that have one in UTC."""
    return times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
