"""Whether a table is one that a trained model can read. Nothing here needs torch."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from stanhop_app.data.frame import frame_frequency, time_index
from stanhop_app.data.frequency import is_weekly
from stanhop_app.data.series import SeriesTable
from stanhop_app.data.weekly import Weekly
from stanhop_app.errors import DataError


def match_columns(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns of a frame in the trained order, by name.

    Raises:
        DataError: naming the columns that are missing or unexpected.
    """
    absent = [c for c in columns if c not in frame.columns]
    extra = [c for c in frame.columns if c not in columns]
    if not absent and not extra:
        return frame[columns]
    differences = [f"missing: {', '.join(absent)}"] if absent else []
    differences += [f"unexpected: {', '.join(extra)}"] if extra else []
    raise DataError(
        f"the columns differ from the trained ones ({'; '.join(differences)}); the forecaster was trained on "
        f"{', '.join(columns)}; choose with columns (--columns)."
    )


def match_zone(frame: pd.DataFrame, context: pd.DataFrame) -> None:
    """Refuse a table with a time zone for a forecaster that was trained without one, and the reverse.

    Raises:
        DataError: saying what to do.
    """
    given, trained = (getattr(table.index, "tz", None) for table in (frame, context))
    timed = isinstance(frame.index, pd.DatetimeIndex) and isinstance(
        context.index, pd.DatetimeIndex
    )
    if not timed or (given is None) == (trained is None):
        return
    if given is None:
        raise DataError(
            f"the time stamps have no zone, but the forecaster was trained in {trained}; say time_zone "
            "(--time-zone)."
        )
    raise DataError(
        f"the time stamps are of {given}, but the forecaster was trained on stamps without a zone; leave the "
        "offsets out, or train it with time_zone (--time-zone)."
    )


def match_frequency(frame: pd.DataFrame, frequency: str | None) -> None:
    """Refuse a table of another frequency than the trained one.

    Raises:
        DataError: naming both.
    """
    index = time_index(frame)
    if frequency is not None and is_weekly(frequency) and index is not None:
        off = index[~Weekly.named(frequency).holds(index)]
        if len(off):
            raise DataError(
                f"{len(off)} time stamps are not of the calendar that the forecaster was trained on, "
                f"{frequency}, first {off[0]}."
            )
        return
    if frequency is not None and frame_frequency(frame) not in (None, frequency):
        raise DataError(
            f"the table has frequency {frame_frequency(frame)}, but the forecaster was trained on "
            f"{frequency}; resample it."
        )


def match_series(
    table: Any,
    id_name: str | None,
    columns: list[str],
    frequency: str | None,
    context: pd.DataFrame,
) -> SeriesTable:
    """Many series with their columns in the trained order.

    Args:
        table: a `SeriesTable`; anything else is refused.
        id_name: column of ids of many series that it was trained on; empty: a wide table with covariates.
        columns: that it was trained on.
        frequency: that it was trained on.
        context: the rows that it keeps.

    Raises:
        DataError: if one of the two is of many series and the other is not, or columns, frequency or zone
            differ.
    """
    given_many = isinstance(table, SeriesTable) and table.id_name != ""
    if given_many != bool(id_name) or not isinstance(table, SeriesTable):
        trained, given = ("many series", "one table") if id_name else ("one table", "many series")
        raise DataError(
            f"the forecaster was trained on {trained}, and this is {given}; say joint=True or False "
            "(--joint, --each), as for the training."
        )
    if id_name is None and table.covariates is not None:
        raise DataError(
            "the forecaster was trained without covariates, and this table has some; name none."
        )
    if table.frequency != frequency:
        raise DataError(
            f"the table has frequency {table.frequency}, but the forecaster was trained on {frequency}; "
            "resample it."
        )
    match_zone(table.frame, context)
    return replace(table, frame=match_columns(table.frame, columns))


def match_names(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a new name that is a trained one without its leading zeros, as spreadsheets write it.

    Raises:
        DataError: naming both.
    """
    trained = set(known)
    short = {name.lstrip("0") or "0": name for name in trained if name.isdigit() and name[0] == "0"}
    for name in given:
        if name in short and name not in trained:
            raise DataError(
                f"there is no series {name!r}, but there is {short[name]!r}: leading zeros of the names were "
                "lost; write the ids as text."
            )
