"""Long tables as many series: rows of one series follow those of the one before, each regular by itself.

`stanhop_app.data.frame` widens a long table to one column a series, which needs series of equal spans. Here
they may begin and end when they like: every series is one of its own, and all have the same columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from stanhop_app.data.columns import codes_told, numeric
from stanhop_app.data.covariates import Covariates, Roles, firsts, rows_of, static_of, take_roles
from stanhop_app.data.frame import Arranged, as_columns, frame_frequency, regular, taken
from stanhop_app.data.holes import check_columns
from stanhop_app.data.long import check_told_apart, guess_id_column
from stanhop_app.data.reading import ReadingConfig, filling
from stanhop_app.data.source import source_name
from stanhop_app.data.spans import coded, common_frequency, regular_parts, reject_repeats
from stanhop_app.data.table import read_table
from stanhop_app.data.zones import with_known_zone
from stanhop_app.errors import DataError, OptionError


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesTable:
    """Many series, flat."""

    frame: pd.DataFrame
    """Rows of all series (N, C), float64; the index holds time stamps, which begin anew with each series."""
    starts: tuple[int, ...]
    """First row of every series."""
    ids: tuple[str, ...]
    """Names of the series, in the order in which the table has them."""
    frequency: str
    id_name: str
    """Name of the column of ids; empty where it is one wide table with covariates."""
    notes: tuple[str, ...]
    proved: Mapping[str, Any]
    filled: int
    """Values that were filled."""
    covariates: Covariates | None = None
    """What is known beside the values; None: nothing."""
    numbered: bool = False
    """Whether the column of ids holds whole numbers, as that of forecasts does then."""

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> "SeriesTable":
        """A wide table as one series without a name."""
        return cls(
            frame=frame,
            starts=(0,),
            ids=("",),
            frequency=str(frame_frequency(frame)),
            id_name="",
            notes=tuple(frame.attrs.get("notes", ())),
            proved=frame.attrs.get("reading", {}),
            filled=frame.attrs.get("filled", 0),
        )

    def __len__(self) -> int:
        """Series."""
        return len(self.ids)

    def spans(self) -> list[tuple[int, int]]:
        """First row of every series, and the row after its last."""
        edges = [*self.starts, len(self.frame)]
        return list(pairwise(edges))

    def repeated_ids(self, counts: int | Sequence[int]) -> np.ndarray:
        """Every id as often as it has rows, of the kind that the table has them: text, or whole numbers."""
        numbers = [int(name) for name in self.ids] if self.numbered else []
        fit = bool(numbers) and min(numbers) >= -(2**63) and max(numbers) < 2**63
        return np.repeat(np.array(numbers, dtype=np.int64) if fit else self.ids, counts)

    def long(self) -> pd.DataFrame:
        """A frame of ids, time stamps and values, as a long table is written."""
        lengths = [last - first for first, last in self.spans()]
        frame = self.frame.reset_index(names=str(self.frame.index.name or "time"))
        frame.insert(0, self.id_name, self.repeated_ids(lengths))
        return frame

    def chosen(self, ids: Sequence[str]) -> "SeriesTable":
        """Some of the series, in this order.

        Raises:
            OptionError: for a name that is not there.
        """
        ids = [ids] if isinstance(ids, str) else [str(name) for name in ids]
        known = {name: number for number, name in enumerate(self.ids)}
        unknown = [name for name in ids if name not in known]
        if unknown or len(set(ids)) < len(ids) or not ids:
            what = f"no series {unknown[0]!r}" if unknown else "a series is named twice, or none is"
            raise OptionError(
                f"{what}; there are {len(known):,}, such as {', '.join(self.ids[:5])} (ids, --ids)."
            )
        numbers = [known[name] for name in ids]
        spans = [self.spans()[number] for number in numbers]
        return replace(
            self,
            frame=self.frame.iloc[rows_of(spans)],
            starts=firsts([last - first for first, last in spans]),
            ids=tuple(ids),
            covariates=None if self.covariates is None else self.covariates.chosen(numbers),
        )


def read_series(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> SeriesTable:
    """Read a long table: `read_table`, then `to_series` (see there)."""
    table = read_table(source, hints=hints, **options)
    return to_series(table, name=source_name(source), hints=hints, **options)


def to_series(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> SeriesTable:
    """Take a long table as many series.

    Args:
        table: frame of any library with a column of ids, one of time stamps, and one or several of values.
        name: how messages call it.
        hints: as of `stanhop_app.data.frame.to_frame`.
        **options: fields of `ReadingConfig`. The frequency is that of the longest series, if it is not said.

    Raises:
        DataError: naming series, column and row; OptionError for options that cannot be.
    """
    return as_series(taken(table, name=name, hints=hints, **options))


def as_series(opened: Arranged) -> SeriesTable:
    """A table that was taken (`stanhop_app.data.frame.taken`), as many series; errors as of `to_series`."""
    name = opened.name
    opened, roles = take_roles(opened)
    config, rows, times = opened.config, opened.frame, opened.times
    id_column = _id_column(opened, roles)
    codes, ids = coded(rows[id_column], name) if id_column else (np.zeros(len(rows), int), [""])
    if config.calendar == "rows":
        raise OptionError(
            "calendar=rows (--calendar rows) is for one table without covariates, not for many series."
        )
    others = rows.drop(columns=[*roles.names, *([id_column] if id_column else [])])
    columns = _value_columns(others, name, opened)
    time_name = str(times.name or "time")
    clash = next((c for c in [*columns, *roles.names] if c in (time_name, id_column)), None)
    if clash is not None or time_name == id_column:
        raise DataError(f"{name}: {clash or time_name!r} is the name of two columns; rename one.")
    if roles.names:
        check_columns(filling(config.missing), [*columns, *roles.moving], name)
    order = np.lexsort((times.asi8, codes))
    values = {c: numeric(rows[c], name)[order] for c in [*columns, *roles.moving]}
    index = with_known_zone(pd.DatetimeIndex(times[order], freq=None), name)  # type: ignore[arg-type]
    flat = pd.DataFrame(values, index=index)
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    reject_repeats(flat, codes[order], ids, name)
    frequency = common_frequency(flat.index, starts, name, config.frequency)
    made = regular_parts(flat, starts, ids, name, frequency, config.missing, roles)
    parts, beside, filled = made.values, made.beside, made.filled
    lengths = [len(part) for part in parts]
    remarks = codes_told({c: values[c] for c in columns})
    notes, zone = [*opened.notes, *remarks, *made.notes], getattr(index.tz, "key", None)
    if id_column and config.id_column is None:
        notes += _guessed(id_column, columns, config, roles)
    if filled:
        notes.append(f"{filled:,} values were filled by {config.missing}")
    left = sum(int(part.isna().to_numpy().sum()) for part in parts)
    if left:
        notes.append(f"{left:,} values are missing, and were left out (mask)")
    proved = {**opened.proved, **({} if zone is None else {"time_zone": zone})}
    proved |= {"words": list(roles.categories)} if roles.categories else {}
    if not id_column:
        parts[0].attrs = {"filled": filled, "reading": proved, "notes": notes}
    return SeriesTable(
        frame=pd.concat(parts) if len(parts) > 1 else parts[0],
        starts=firsts(lengths),
        ids=tuple(ids),
        frequency=frequency,
        id_name=id_column,
        numbered=bool(id_column) and pd.api.types.is_integer_dtype(rows[id_column]),
        covariates=None
        if beside is None
        else Covariates(
            roles=roles,
            frame=pd.concat(beside),
            starts=firsts([len(part) for part in beside]),
            static=static_of(rows, codes, ids, roles, name),
        ),
        notes=tuple(notes),
        proved=proved,
        filled=filled,
    )


def _id_column(opened: Arranged, roles: Roles) -> str:
    """The column that names the series; empty for a wide table with covariates.

    Raises:
        DataError: if there is none, or none of this name.
    """
    config, rows = opened.config, opened.frame
    values = rows.drop(columns=list(roles.names))
    id_column = config.id_column or guess_id_column(values, opened.times, None)
    if config.long is False or (id_column is None and roles.names and not config.long):
        if roles.static:
            raise DataError(
                f"{opened.name}: static covariate {roles.static[0]!r} tells series of a long table apart, "
                "and no column names them; say id_column (--id-column), or leave it out."
            )
        if config.long is not False:
            check_told_apart(values, opened.times, opened.name)
        return ""
    if id_column is None or id_column not in rows.columns:
        raise DataError(
            f"{opened.name}: no column names the series; say id_column (--id-column), one of: "
            f"{', '.join(map(str, rows.columns))}."
        )
    return str(id_column)


def _guessed(id_column: str, columns: list[str], config: ReadingConfig, roles: Roles) -> list[str]:
    """What to say of a long table of which nobody said that it is one."""
    told = [f"column {id_column!r} names the series; if it does not, say --no-id"]
    if len(columns) > 1 and config.columns is None and not roles.names:
        told.append(
            f"{', '.join(columns)} are all forecast; of one say value_column (--value-column), of what is "
            "known beside it future_covariates or past_covariates (--future-covariates, --past-covariates)"
        )
    return told


def _value_columns(rows: pd.DataFrame, name: str, opened: Arranged) -> list[str]:
    config = opened.config
    wanted = [config.value_column] if config.value_column else config.columns or list(rows.columns)
    unknown = [c for c in wanted if c not in rows.columns]
    if unknown:
        raise DataError(
            f"{name}: unknown column {unknown[0]!r}; the columns are: "
            f"{', '.join(map(str, rows.columns))}."
        )
    return list(map(str, wanted))


def read_any(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame | SeriesTable:
    """Read a table, and take it as it is meant (`take_any`)."""
    table = read_table(source, hints=hints, **options)
    return take_any(table, name=source_name(source), hints=hints, **options)


def take_any(
    table: Any, *, name: str = "frame", hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame | SeriesTable:
    """A wide table as a regular frame, a long one as many series, or widened.

    A long table is widened if ``joint`` says so or, where it says nothing, if all series have the same
    time stamps and one column of values. Arguments and errors are those of `to_frame` and `to_series`.
    """
    opened = taken(table, name=name, hints=hints, **options)
    config, joint = opened.config, opened.config.joint
    if Roles.of(config).names:
        if joint:
            raise OptionError(
                "covariates are of each series; say joint=False (--each), or bring one wide table."
            )
        return as_series(opened)
    if joint is None and config.long is not False:
        joint = _is_wide(opened)
    if joint or config.long is False:
        return regular(as_columns(opened))
    return as_series(opened)


def _is_wide(opened: Arranged) -> bool:
    """Whether a table is wide, or becomes it without a hole."""
    config, rows = opened.config, opened.frame
    id_column = config.id_column or guess_id_column(rows, opened.times, config.columns)
    if id_column is None or id_column not in rows.columns:
        return True
    if config.value_column is None and len(rows.columns) > 2:
        return False
    counts = pd.Series(opened.times).groupby(rows[id_column].to_numpy()).agg(["size", "min", "max"])
    return bool((counts.nunique() == 1).all())
