"""A table that somebody brings: how it is read, and what was found in it, before anything is trained."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from stanhop_app.ui import labels, parts
from stanhop_app.ui.fields import widget

from stanhop_app.data.frame import frame_frequency
from stanhop_app.data.reading import ReadingConfig
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import OptionError
from stanhop_app.options import defaults_of, split_names

LISTS = ("columns", "future_covariates", "past_covariates", "static_covariates")
POINTS = 120
"""Points of the small chart of a column."""
MOST_COLUMNS = 300
"""Columns that are listed; of more the first."""
DEFAULT_OPTIONS = defaults_of(ReadingConfig)


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A table that was brought, as it was read."""

    name: str
    """The name of the file."""
    content: bytes
    table: pd.DataFrame | SeriesTable
    options: dict[str, Any]
    """How it is read, where that is not by default; names in lists as they were typed."""

    @property
    def frame(self) -> pd.DataFrame:
        """Its rows, of many series one behind the other."""
        return self.table.frame if isinstance(self.table, SeriesTable) else self.table

    @property
    def frequency(self) -> str:
        """Alias of pandas."""
        return (
            self.table.frequency
            if isinstance(self.table, SeriesTable)
            else str(frame_frequency(self.table))
        )

    @property
    def rows(self) -> int:
        """Rows of the table; of many series those of the median one."""
        if isinstance(self.table, SeriesTable):
            return int(np.median([last - first for first, last in self.table.spans()]))
        return len(self.table)

    @property
    def stem(self) -> str:
        """What of the file's name can be that of a run."""
        letters = unicodedata.normalize("NFKD", Path(self.name).stem)
        plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:60] or "table"


def bring() -> Brought | None:
    """Widgets for a file and how it is read, and what was found; None while there is no table."""
    file = parts.upload_content("A table (CSV, Parquet or Excel)")
    options = {"missing": widget(ReadingConfig, "missing", labels.MISSING)}
    with st.expander("How it is read"):
        for name, label in labels.READING:
            options[name] = widget(ReadingConfig, name, label)
    options = {k: value for k, value in options.items() if value != DEFAULT_OPTIONS[k]}
    if file is None:
        return None
    try:
        listed = {name: split_names(options[name]) for name in set(options) & set(LISTS)}
    except OptionError as error:
        parts.fail(error)
        return None
    table = parts.parse(file, {**options, **listed})
    if table is None:
        return None
    brought = Brought(name=file.name, content=file.getvalue(), table=table, options=options)
    _tell(brought)
    return brought


def _tell(brought: Brought) -> None:
    """What was found: one line, and a table with a small chart of every column."""
    frame, table = brought.frame, brought.table
    many = isinstance(table, SeriesTable) and bool(table.id_name)
    series = f"{len(table):,} series, " if many else ""
    zone = getattr(frame.index, "tz", None)
    first, last = (
        (frame.index[0], frame.index[-1]) if not many else (frame.index.min(), frame.index.max())
    )
    st.caption(
        f"{series}{len(frame):,} rows x {len(frame.columns)} columns from {first} to {last}, one every "
        f"{brought.frequency}{'' if zone is None else f', time zone {zone}'}"
    )
    with st.expander("What was found in it"):
        st.dataframe(
            columns_of(table),
            hide_index=True,
            column_config={"course": st.column_config.LineChartColumn("course")},
        )
        if len(frame.columns) > MOST_COLUMNS:
            st.caption(f"The first {MOST_COLUMNS} of {len(frame.columns):,} columns.")


def columns_of(table: pd.DataFrame | SeriesTable) -> pd.DataFrame:
    """One row a column: what it is taken for, its range, its last value and its course.

    The course is of means over equal stretches, so that what is short but large may not be seen in it.
    """
    frame = table.frame if isinstance(table, SeriesTable) else table
    rows = [_row(frame[name], "forecast") for name in frame.columns[:MOST_COLUMNS]]
    known = table.covariates if isinstance(table, SeriesTable) else None
    if known is not None:
        kinds = {
            "known ahead": known.roles.future,
            "known up to now": known.roles.past,
            "of a series": known.roles.static,
        }
        rows += [
            {"column": name, "taken for": kind} for kind, names in kinds.items() for name in names
        ]
    return pd.DataFrame(rows)


def _row(column: pd.Series, kind: str) -> dict[str, Any]:
    values = column.to_numpy(dtype=np.float64)
    known = values[~np.isnan(values)]
    stretches = np.array_split(values, min(POINTS, len(values)))
    course = [float(np.nanmean(s)) if (~np.isnan(s)).any() else None for s in stretches]
    return {
        "column": str(column.name),
        "taken for": kind,
        "missing": int(len(values) - len(known)),
        "lowest": known.min() if len(known) else None,
        "mean": known.mean() if len(known) else None,
        "highest": known.max() if len(known) else None,
        "last": values[-1],
        "course": course,
    }
