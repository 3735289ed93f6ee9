"""What users give as X becomes a table: to be fitted, or as a history for what was fitted."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.columns import numeric
from stanhop_app.data.covariates import Roles, firsts
from stanhop_app.data.frame import Arranged, taken, to_frame
from stanhop_app.data.frequency import future_index, known_frequency
from stanhop_app.data.long import names
from stanhop_app.data.match import (
    match_columns,
    match_frequency,
    match_names,
    match_series,
    match_zone,
)
from stanhop_app.data.native import is_table
from stanhop_app.data.reading import deferred
from stanhop_app.data.series import SeriesTable, take_any, to_series
from stanhop_app.errors import DataError, OptionError, TableWarning

FUTURE_LACKS = {
    "past_covariates": None,
    "static_covariates": None,
    "columns": None,
    "value_column": None,
}
"""Options of the table that say nothing of rows of the future."""


def table_of(X: Any, options: Mapping[str, Any], estimator: Any) -> pd.DataFrame | SeriesTable:
    """A table to be fitted; what was done to it is said as warnings.

    Args:
        X: frame or series of any library, `SeriesTable`, or array (N, C).
        options: fields of `ReadingConfig`.
        estimator: named where an array is none.

    Raises:
        DataError: for what is wrong with the table; OptionError for what is none.
    """
    if not is_table(X) and not isinstance(X, SeriesTable):
        array = _array(X, estimator)
        return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    table = X if isinstance(X, SeriesTable) else take_any(X, **options)
    tell(table.notes if isinstance(table, SeriesTable) else table.attrs["notes"])
    return table


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a fit says of the tables that go with it."""

    columns: list[str]
    frequency: str | None
    context: pd.DataFrame
    """The rows that it keeps."""
    id_name: str | None
    """Column of ids of many series; empty: a wide table with covariates; None: one without."""
    ids: Sequence[str]
    """Names of the series."""
    hints: Mapping[str, Any]
    """What its table proved (`stanhop_app.data.frame.to_frame`)."""

    def frame(self, X: Any, options: Mapping[str, Any], estimator: Any) -> pd.DataFrame:
        """A wide table with its columns in the trained order; errors as of `table_of`."""
        if isinstance(X, SeriesTable):
            self.matched(X)
        if not is_table(X):
            array = _array(X, estimator)
            if array.shape[1] != len(self.columns):
                raise OptionError(
                    f"X has {array.shape[1]} features, but STanHopForecaster is expecting "
                    f"{len(self.columns)} features as input."
                )
            return pd.DataFrame(array, columns=self.columns)
        frame = to_frame(X, hints=self.hints, **options)
        tell(frame.attrs["notes"])
        frame = match_columns(frame, self.columns)
        match_frequency(frame, self.frequency)
        match_zone(frame, self.context)
        return frame

    def series(self, X: Any, options: Mapping[str, Any]) -> SeriesTable:
        """Many series, or a wide table with covariates, in the trained order; errors as of `table_of`."""
        if isinstance(X, SeriesTable):
            return self.matched(X)
        if not is_table(X):
            what = (
                "many series: X must be a long table" if self.id_name else "a table: X must be one"
            )
            raise OptionError(f"the forecaster was fitted on {what}.")
        named = {name: value for name, value in options.items() if value is not None}
        if self.id_name:
            told = {"id_column": self.id_name, "frequency": self.frequency}
            return self.matched(to_series(X, hints=self.hints, **{**told, **named}))
        table = take_any(X, hints=self.hints, **named)
        if not isinstance(table, SeriesTable):  # nothing beside the values but their time stamps
            table = SeriesTable.of_frame(table)
        return self.matched(table)

    def later(self, X: Any, options: Mapping[str, Any]) -> SeriesTable:
        """As `series`, of rows so few that they tell no frequency."""
        frequency = options.get("frequency") or known_frequency(self.frequency)
        missing = deferred(options["missing"])
        return self.series(X, {**options, "frequency": frequency, "missing": missing})

    def matched(self, table: Any) -> SeriesTable:
        """Many series with their columns in the trained order (`match_series`)."""
        matched = match_series(table, self.id_name, self.columns, self.frequency, self.context)
        match_names(matched.ids, self.ids)
        return matched


def with_future(
    history: SeriesTable,
    future: Any,
    options: Mapping[str, Any],
    hints: Mapping[str, Any] | None = None,
) -> SeriesTable:
    """A history whose covariates go on with those of another frame, from the step after its last value on.

    Args:
        history: with covariates.
        future: a frame of time stamps, ids if there are many series, and the covariates known ahead.
        options: fields of `ReadingConfig`, as for the history.
        hints: what the table of the training proved.

    Raises:
        DataError: for stamps that do not follow the history, and for what is wrong with the frame.
    """
    if history.covariates is None or not history.covariates.roles.future:
        raise OptionError("future holds covariates; the forecaster was fitted without any.")
    if not is_table(future):
        raise OptionError("future must be a dataframe of time stamps and covariates.")
    named = {"id_column": history.id_name} if history.id_name else {}
    words = {"words": list(history.covariates.roles.categories)}
    opened = taken(
        future,
        name="future",
        hints={**(hints or {}), **words},
        **{**options, **FUTURE_LACKS, **named},
    )
    match_zone(pd.DataFrame(index=opened.times), history.frame)
    told = future_of(opened, history.covariates.roles, history.id_name)
    known, parts = history.covariates, []
    strange = [name for name in told if name not in history.ids]
    if strange:
        raise DataError(
            f"future: there is no series {strange[0]!r} to forecast, only {', '.join(history.ids[:5])}"
            f"{' and more' if len(history.ids) > 5 else ''}; leave its rows out."
        )
    for name, (first, _), (a, b) in zip(history.ids, known.spans(), history.spans(), strict=True):
        own, rows = known.frame.iloc[first : first + b - a], told.get(name)
        if rows is None:
            parts.append(own)
            continue
        end = pd.DatetimeIndex([history.frame.index[b - 1]], freq=history.frequency)
        stamps = future_index(end, len(rows), history.frequency)
        rows = rows[rows.index > end[0]]
        wrong = np.flatnonzero(rows.index != stamps[: len(rows)])
        if len(wrong):
            which = f"series {name!r}: " if name else ""
            raise DataError(
                f"future: {which}after {history.frame.index[b - 1]} comes {stamps[wrong[0]]} at frequency "
                f"{history.frequency}, and not {rows.index[wrong[0]]}; bring one row for every step."
            )
        parts.append(pd.concat([own, rows.reindex(columns=own.columns)]))
    lengths = [len(part) for part in parts]
    beside = replace(known, frame=pd.concat(parts), starts=firsts(lengths))
    return replace(history, covariates=beside)


def future_of(opened: Arranged, roles: Roles, id_name: str) -> dict[str, pd.DataFrame]:
    """Rows of the future of each series, by name, in time order; words by the codes of ``roles``.

    Args:
        opened: a table that was taken, of time stamps, ids, and covariates known ahead.
        roles: of the table that it follows.
        id_name: its column of ids; empty: there is one series.

    Raises:
        DataError: for columns that are not there, holes, and words that the table does not have.
    """
    rows, name = opened.frame, opened.name
    absent = [c for c in (*roles.future, *([id_name] if id_name else [])) if c not in rows.columns]
    if absent:
        raise DataError(
            f"{name}: no column {absent[0]!r}; the columns are: {', '.join(map(str, rows.columns))}."
        )
    table = {}
    for column in roles.future:
        words = roles.categories.get(column)
        if words is None:
            table[column] = numeric(rows[column], name)
        else:
            text = (
                rows[column].astype(object).where(rows[column].notna(), "").astype(str).str.strip()
            )
            new = [word for word in text.unique() if word not in words]
            if new:
                raise DataError(
                    f"{name}: covariate {column!r} holds {new[0]!r}, which the table does not; it knows "
                    f"{', '.join(map(repr, words[:8]))}."
                )
            table[column] = pd.Categorical(text, categories=words).codes.astype(np.float64)
    frame = pd.DataFrame(table, index=opened.times)
    ids = names(rows[id_name], name) if id_name else np.full(len(frame), "")
    parts = {}
    for series, part in frame.groupby(ids, sort=False):
        part = part.sort_index()
        if part.index.has_duplicates:
            twice = part.index[part.index.duplicated()][0]
            which = f"series {series!r} has" if id_name else "there are"
            raise DataError(f"{name}: {which} two rows of {twice}; leave one.")
        holes = part.isna().any()
        if holes.any():
            column = str(holes.idxmax())
            raise DataError(
                f"{name}: covariate {column!r} is missing {f'of series {series!r} ' if id_name else ''}at "
                f"{part.index[part[column].isna()][0]}."
            )
        parts[str(series)] = part
    return parts


def _array(X: Any, estimator: Any) -> np.ndarray:
    if isinstance(X, str | Path):
        raise OptionError(
            f"X must be a frame or an array, got {str(X)!r}; read a file with "
            "stanhop_app.data.frame.read_frame."
        )
    from sklearn.utils.validation import check_array  # half a second, which a table does not need

    array: np.ndarray = check_array(X, dtype=np.float64, ensure_min_samples=2, estimator=estimator)
    return array


def tell(notes: Iterable[str]) -> None:
    """Warn of what was done with a table."""
    for note in notes:
        warnings.warn(note, TableWarning, stacklevel=5)
