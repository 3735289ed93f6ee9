"""Long tables (id, time, value): which column names the series, and one column a series."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.columns import numeric
from stanhop_app.data.native import IDS, UNIQUE_ID
from stanhop_app.data.numbers import HEAD, NUMBER, check_marks, to_numbers
from stanhop_app.data.reading import ReadingConfig, id_parts
from stanhop_app.data.text import ID_NAMES
from stanhop_app.data.zones import in_zone
from stanhop_app.errors import DataError, OptionError

ZONE = re.compile(r"[A-Z]{2,4}T|UTC|GMT|Z")
"""Abbreviations of time zones, which tell the hours of an autumn night apart and name no series."""


MOST_KEYS = 8
"""Columns of which pairs are tried for what tells series apart."""


def zone_flag(table: pd.DataFrame) -> str | None:
    """The column that says of each row whether clocks are put forward: EST, EDT; CET, CEST."""
    for column in table.columns:
        if pd.api.types.is_numeric_dtype(table[column]):
            continue
        words = table[column].dropna().unique()
        if 1 <= len(words) <= 2 and all(ZONE.fullmatch(str(word)) for word in words):
            return str(column)
    return None


def is_summer(column: pd.Series) -> np.ndarray:
    """Whether each row of such a column says daylight saving time: EDT, CEST, BST."""
    return (
        column.astype(str).str.fullmatch(r"[A-Z]+[DS]T").to_numpy()
        & ~column.astype(str).isin(["EST", "CST", "MST", "PST", "AST", "NST"]).to_numpy()
    )


def guess_id_column(
    table: pd.DataFrame, times: pd.DatetimeIndex, columns: list[str] | None
) -> str | None:
    """The column that makes a table long, if one does.

    Columns that are chosen by name and are there make it wide. A name that is the same in all rows beside
    several other columns names nothing (`constant_ids`). A column of words does where time stamps are there
    several times, but not twice with the same word, and no other column does so as well.
    """
    if columns is not None and all(column in table.columns for column in columns):
        return None
    named = next((c for c in ID_NAMES if c in table.columns), None)
    if named is not None and table[named].nunique() == len(table) > 1:
        named = None  # numbers of rows, which some tables call id
    if named is not None and times.has_duplicates:
        return named
    if named is not None and table[named].nunique() == 1 and len(table.columns) == 2:
        return named
    if not times.has_duplicates or zone_flag(table) is not None:
        return None
    text = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    words = text if len(text) == 1 else [c for c in text if _is_words(table[c])]  # names such as 01
    telling = [c for c in words if tells_apart(table[[c]], times)]
    return str(telling[0]) if len(telling) == 1 else None


def joined_ids(table: pd.DataFrame, config: ReadingConfig, name: str) -> pd.DataFrame:
    """A table whose series are named by several columns, with one of them all: ``north/bread``.

    The parts are left out unless something else is asked of them.

    Raises:
        DataError: naming the first row that lacks one.
    """
    parts = id_parts(config.id_column, table.columns)
    if len(parts) < 2:
        return table
    joined = pd.Series(names(table[parts[0]], name), index=table.index)
    for part in parts[1:]:
        joined = joined + "/" + names(table[part], name)
    used = {*(config.static_covariates or ()), *(config.future_covariates or ())}
    used |= {*(config.past_covariates or ()), *(config.columns or ()), config.value_column}
    rest = table.drop(columns=[part for part in parts if part not in used])
    rest.insert(0, str(config.id_column), joined)
    return rest


def check_told_apart(table: pd.DataFrame, times: pd.DatetimeIndex, name: str) -> None:
    """Refuse rows of one time stamp that a column, or two, would tell apart, and say which.

    Raises:
        DataError: if so; where none would, others say what is wrong.
    """
    if not times.has_duplicates or zone_flag(table) is not None:
        return
    whole = [c for c in table.columns if _is_whole(table[c]) or _is_words(table[c])]
    keys = [[c] for c in whole] + [list(pair) for pair in combinations(whole[:MOST_KEYS], 2)]
    for key in keys:
        if tells_apart(table[key], times):
            twice = times[times.duplicated()]
            told = shlex.quote(",".join(map(str, key)))
            raise DataError(
                f"{name}: {len(twice):,} time stamps appear more than once, first {twice[0]}; remove the "
                f"duplicates, or name what tells series apart, such as --id-column {told}."
            )


def _is_whole(column: pd.Series) -> bool:
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return numbers and bool((column.dropna() % 1 == 0).all())


def tells_apart(key: pd.DataFrame, times: pd.DatetimeIndex) -> bool:
    """Whether no time stamp is there twice with the same values, and values are there several times."""
    if not 1 < len(key.drop_duplicates()) < len(key) / 2:
        return False
    codes = [pd.factorize(key[column], use_na_sentinel=False)[0] for column in key.columns]
    return not pd.DataFrame(dict(enumerate([times, *codes]))).duplicated().any()


def _is_words(column: pd.Series) -> bool:
    """Whether a column of text holds words for the most part, and not numbers that are written as text."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return False
    cells = column.dropna().astype(str).str.strip().head(HEAD)
    return not cells.str.fullmatch(NUMBER).mean() > 0.5


def constant_ids(table: pd.DataFrame) -> list[str]:
    """Columns called as ids are that say the same in all rows, beside several others."""
    if len(table.columns) < 3:
        return []
    return [c for c in ID_NAMES if c in table.columns and table[c].nunique(dropna=False) == 1]


def by_level(table: pd.DataFrame, config: ReadingConfig) -> tuple[pd.DataFrame, ReadingConfig]:
    """A table whose series were a level of its index: the column that is asked for, or the level's own.

    "unique_id", as Nixtla writes it, means a level of any name, and a level without one answers to any.
    """
    level, asked = table.attrs[IDS], config.id_column
    if asked is None:
        return table, replace(config, id_column=level)
    if asked not in table.columns and UNIQUE_ID in (asked, level):
        return table.rename(columns={level: asked}), config
    return table, config


def widen(
    table: pd.DataFrame,
    times: pd.DatetimeIndex,
    name: str,
    id_column: str,
    value_column: str | None,
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Turn a long table (id, time, value) into one column a series.

    Raises:
        DataError: for columns that are not there, ids that are empty, and rows that are there twice.
    """
    for column in (id_column, value_column):
        if column is not None and column not in table.columns:
            raise DataError(
                f"{name}: unknown column {column!r}; the columns are: "
                f"{', '.join(map(str, table.columns))}."
            )
    if value_column is None:
        others = [c for c in table.columns if c != id_column]
        if len(others) != 1:
            raise DataError(
                f"{name}: a long table (id column {id_column!r}) needs value_column "
                f"(--value-column), one of: {', '.join(map(str, others))}."
            )
        value_column = str(others[0])
    ids = names(table[id_column], name)
    values = numeric(table[value_column], name)
    long = pd.DataFrame({"time": times, "id": ids, "value": values})
    twice = long.duplicated(["time", "id"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{name}: {int(twice.sum())} rows repeat a time stamp of the same series, first in row "
            f"{row + 1} ({long['id'][row]!r}, {long['time'][row]})."
        )
    wide = long.pivot(index="time", columns="id", values="value")
    wide.columns.name = None
    return wide, pd.DatetimeIndex(wide.index)


def names(column: pd.Series, name: str) -> np.ndarray:
    """Names of the series, as text.

    Raises:
        DataError: naming the first row that has none.
    """
    empty = column.isna() | (column.astype(str).str.strip() == "")
    if empty.any():
        row = int(np.flatnonzero(empty)[0]) + 1
        raise DataError(
            f"{name}: id column {column.name!r} is empty in {int(empty.sum())} rows, first in row {row}; "
            "name the series, or drop these rows."
        )
    text: np.ndarray = column.astype(str).to_numpy()
    if pd.api.types.is_float_dtype(column):  # 1.0 is how a column with a hole once wrote 1
        whole = ((column % 1 == 0) & (column.abs() < 2**53)).to_numpy()
        text = np.where(whole, column.where(whole, 0).astype("int64").astype(str), text)
    return text


def numbers_of_text(
    table: pd.DataFrame,
    times: pd.DatetimeIndex,
    name: str,
    config: ReadingConfig,
    hints: Mapping[str, Any],
) -> tuple[pd.DataFrame, str | None, list[str]]:
    """Columns of text that hold numbers, by the rules of CSV files; names of series stay as they are.

    So do covariates that held words in the table of the training.
    """
    text = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if not text and not config.na:
        return table, None, []
    id_column = config.id_column
    if id_column is None and config.long is not False:
        id_column = guess_id_column(table, times, config.columns)
    decimal, thousands = check_marks(config.decimal, config.thousands)
    try:
        return to_numbers(
            table,
            decimal=decimal,
            thousands=thousands,
            na=config.na or (),
            hint=hints.get("decimal"),
            kept={c for c in table.columns if c in ID_NAMES}
            | {c for c in id_parts(id_column, table.columns) if c in table.columns}
            | {c for c in hints.get("words", ()) if c in table.columns},
            commas=True,
        )
    except OptionError as error:
        raise DataError(f"{name}: {error}.") from None


def told_zone(
    table: pd.DataFrame,
    times: pd.DatetimeIndex,
    name: str,
    config: ReadingConfig,
    notes: list[str],
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Time stamps in the zone that was asked for; a column of CET and CEST is used up by that."""
    if config.time_zone is None:
        return table, times
    flag = zone_flag(table) if config.id_column is None else None
    summer = None if flag is None or times.tz is not None else is_summer(table[flag])
    if flag is not None:
        table = table.drop(columns=flag)
        notes.append(f"column {flag!r} was read as daylight saving time, which tells hours apart")
    return table, in_zone(times, config.time_zone, name, summer)
