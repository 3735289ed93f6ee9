"""Columns that are known beside the values: of each row, ahead or up to now, and of each series.

In a table they stand beside the values. Rows after the last value hold what is known of the future. Words
are coded by the table's own categories; an empty cell is a category too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from stanhop_app.data.columns import numeric
from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.frame import Arranged
from stanhop_app.data.holes import fill
from stanhop_app.data.reading import Filling, ReadingConfig
from stanhop_app.errors import DataError

MOST_CATEGORIES = 200
"""Words of one column that changes with time; more are names or notes, not categories."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Names of the columns that are covariates, and what the words in them were coded from."""

    future: tuple[str, ...] = ()
    """Known ahead: prices, promotions, holidays."""
    past: tuple[str, ...] = ()
    """Known up to now only: the weather that was."""
    static: tuple[str, ...] = ()
    """The same in all rows of a series: its kind, its place."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words of each column of words, by code."""

    @classmethod
    def of(cls, config: ReadingConfig) -> "Roles":
        """The covariates that the options name."""
        parts = (config.future_covariates, config.past_covariates, config.static_covariates)
        future, past, static = (
            (part,) if isinstance(part, str) else tuple(part or ()) for part in parts
        )
        return cls(future=future, past=past, static=static)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.future, *self.past, *self.static)

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the columns that change with time."""
        return (*self.future, *self.past)


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariates:
    """Covariates of one or many series, flat; K columns that change with time, S series."""

    roles: Roles
    frame: pd.DataFrame
    """Rows of all series and those known beyond their last values (M, K), float64, words by code."""
    starts: tuple[int, ...]
    """First row of every series."""
    static: pd.DataFrame
    """(S, k) float64, words by code."""

    @classmethod
    def bare(cls, index: pd.Index, starts: tuple[int, ...]) -> "Covariates":
        """Nothing beside the values but their time stamps."""
        static = pd.DataFrame(index=range(len(starts)))
        return cls(roles=Roles(), frame=pd.DataFrame(index=index), starts=starts, static=static)

    def fingerprint(self) -> str:
        """What tells these covariates from others."""
        tables = (fingerprint(self.frame), fingerprint(self.static))
        return f"{tables} {self.roles} {self.starts}"

    def spans(self) -> list[tuple[int, int]]:
        """First row of every series, and the row after its last."""
        return list(pairwise([*self.starts, len(self.frame)]))

    def chosen(self, numbers: Sequence[int]) -> "Covariates":
        """The covariates of some series, by number."""
        spans = [self.spans()[number] for number in numbers]
        return replace(
            self,
            frame=self.frame.iloc[rows_of(spans)],
            starts=firsts([last - first for first, last in spans]),
            static=self.static.iloc[list(numbers)],
        )

    def behind(self, lengths: Sequence[int], kept: Sequence[int]) -> "Covariates":
        """The covariates beside the last ``kept`` of the ``lengths`` values of each series, and beyond."""
        every = zip(self.spans(), lengths, kept, strict=True)
        spans = [(a + length - own, b) for (a, b), length, own in every]
        return replace(
            self, frame=self.frame.iloc[rows_of(spans)], starts=firsts([b - a for a, b in spans])
        )

    def inside(self, lengths: Sequence[int]) -> np.ndarray:
        """Numbers of the rows that hold values, of which each series has so many."""
        pairs = zip(self.starts, lengths, strict=True)
        return rows_of([(first, first + length) for first, length in pairs])


def rows_of(spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Numbers of the rows of some series, one behind the other."""
    return np.concatenate([np.arange(first, last) for first, last in spans])


def firsts(lengths: Sequence[int]) -> tuple[int, ...]:
    """First row of every series that lies behind those before it."""
    counts = np.array(lengths, dtype=int)
    return tuple((counts.cumsum() - counts).tolist())


def take_roles(opened: Arranged) -> tuple[Arranged, Roles]:
    """A table that was taken (`stanhop_app.data.frame.taken`) with the words of its covariates as codes.

    Raises:
        DataError: for a covariate that is not there, or has too many words.
    """
    roles, name, table = Roles.of(opened.config), opened.name, opened.frame
    config = opened.config
    unknown = [c for c in roles.names if c not in table.columns]
    if unknown:
        raise DataError(
            f"{name}: unknown covariate {unknown[0]!r}; the columns are: "
            f"{', '.join(map(str, table.columns))}."
        )
    used = {config.id_column, config.value_column, *(config.columns or ())}
    twice = [c for c in roles.names if c in used or roles.names.count(c) > 1]
    if twice:
        raise DataError(
            f"{name}: column {twice[0]!r} is a covariate and something else; name it once "
            "(future_covariates, past_covariates, static_covariates)."
        )
    categories, coded = {}, {}
    for column in roles.names:
        words = table[column]
        if pd.api.types.is_numeric_dtype(words) or pd.api.types.is_bool_dtype(words):
            continue
        if pd.api.types.is_datetime64_any_dtype(words):
            raise DataError(f"{name}: covariate {column!r} holds dates; name numbers or words.")
        text = words.astype(object).where(words.notna(), "").astype(str).str.strip()
        known = tuple(sorted(text.unique()))
        if len(known) > MOST_CATEGORIES and column in roles.moving:
            raise DataError(
                f"{name}: covariate {column!r} has {len(known)} words, at most {MOST_CATEGORIES} are "
                f"categories: {known[-1]!r} is one; mend its numbers, or leave it out."
            )
        categories[column] = known
        coded[column] = pd.Categorical(text, categories=known).codes.astype(np.float64)
    return (
        replace(opened, frame=table.assign(**coded)),
        replace(roles, categories=categories),
    )


def static_of(
    rows: pd.DataFrame, codes: np.ndarray, ids: Sequence[str], roles: Roles, name: str
) -> pd.DataFrame:
    """What is the same in all rows of a series, one row a series.

    Args:
        rows: of the table.
        codes: number of the series of every row.
        ids: names of the series.
        roles: of the columns.
        name: of the table.

    Raises:
        DataError: for a column that is not the same in all rows of a series, or is missing.
    """
    table: dict[str, np.ndarray] = {}
    for column in roles.static:
        values = pd.Series(numeric(rows[column], name)).groupby(codes)
        differ = values.min() != values.max()
        if differ.any():
            series = ids[int(np.flatnonzero(differ)[0])]
            what = (
                "missing" if np.isnan(values.max()[differ].iloc[0]) else "not the same in all rows"
            )
            raise DataError(
                f"{name}: static covariate {column!r} is {what} of series {series!r}; mend it, or "
                "name it among those that change (--future-covariates, --past-covariates)."
            )
        table[column] = values.min().to_numpy()
    return pd.DataFrame(table, index=range(len(ids)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """Values and covariates of one series, and what was done to them."""

    values: pd.DataFrame
    along: pd.DataFrame
    left: int
    """Rows before the first value, which were left out."""
    filled: int
    """Values that were filled."""
    carried: int
    """Covariates that were filled."""


def part_in_two(part: pd.DataFrame, roles: Roles, name: str, rules: Filling) -> Parted:
    """The values of one series and its covariates; rows after the last value are the future, if there is one.

    Args:
        part: regular rows of values and covariates.
        roles: of the columns.
        name: of the series.
        rules: for missing values.

    Returns:
        Both, without the rows before the first value.

    Raises:
        DataError: if no value is known, and for holes that no rule fills; those of the future name column
            and time stamp.
    """
    values = part.drop(columns=list(roles.moving))
    known = np.flatnonzero(values.notna().to_numpy().any(axis=1))
    if not len(known):
        raise DataError(f"{name}: no value is known, only covariates.")
    first, last = int(known[0]), int(known[-1]) + 1 if roles.future else len(part)
    values, moving = values.iloc[first:last], part[list(roles.moving)].iloc[first:]
    moving = moving.assign(
        **{c: moving[c].fillna(_empty(roles, c)) for c in roles.categories if c in moving}
    )
    own = {name: rule for name, rule in rules.by_column.items() if name in values.columns}
    holes = int(values.isna().to_numpy().sum())
    values = fill(values, name, replace(rules, by_column=own))
    holes -= int(values.isna().to_numpy().sum())
    ahead = _filled(moving[list(roles.future)], roles, name, rules)
    now = _filled(moving[list(roles.past)].iloc[: last - first], roles, name, rules)
    along = ahead.join(now)
    before = moving[list(roles.future)].isna().to_numpy().sum()
    before += moving[list(roles.past)].iloc[: last - first].isna().to_numpy().sum()
    after = along[list(roles.future)].isna().to_numpy().sum() + now.isna().to_numpy().sum()
    return Parted(values=values, along=along, left=first, filled=holes, carried=int(before - after))


def _empty(roles: Roles, column: str) -> float:
    """Code of an empty cell; not a number where the table has none."""
    words = roles.categories[column]
    return float(words.index("")) if "" in words else float("nan")


def _filled(frame: pd.DataFrame, roles: Roles, name: str, rules: Filling) -> pd.DataFrame:
    """Covariates by the rule of each column; words are carried on or left out, never counted with."""
    own = {c: rule for c, rule in rules.by_column.items() if c in frame.columns}
    for column in roles.categories:
        rule = own.get(column, rules.rule)
        if column in frame and rule in ("interpolate", "zero") and frame[column].isna().any():
            first = frame.index[int(np.flatnonzero(frame[column].isna())[0])]
            raise DataError(
                f"{name}: covariate {column!r} holds words, and none at {first}; say what it is then, or "
                f"missing={column}=ffill (--missing)."
            )
    return fill(frame, f"{name}, covariates", replace(rules, by_column=own))
