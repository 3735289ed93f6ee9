"""What pages share: choosing a run and a table, figures, downloads, lines that reproduce a page."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from stanhop_app.ui import UPLOAD_MEGABYTES, runs, selection
from stanhop_app.ui.labels import in_words

from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable, read_any
from stanhop_app.errors import ArtefactError, StanhopError
from stanhop_app.outliers import PRESETS
from stanhop_app.studies.cells import DAMAGED, read_results, trained_cells

BROUGHT = "brought"
"""Where the session keeps the name of the file that is looked at."""
TITLE_HEIGHT = 40
"""Pixels that a figure leaves for its title, which a page writes above it."""
LEAST_TOP = 28
"""Pixels above the panels of a figure: room for its buttons."""
ERRORS = (StanhopError,)
"""What a user can mend; shown as one line."""


def fail(error: Exception) -> None:
    """Show what a user can mend, in the words of the pages."""
    st.error(in_words(str(error)))


def check_rows(table: Any, chosen: Mapping[str, Any]) -> None:
    """Refuse a table that is too short for what is chosen, before anything is trained.

    Raises:
        DataError: saying how many rows are needed.
    """
    split = chosen["split"]
    many = isinstance(table, SeriesTable) and bool(table.id_name)
    panel = Panel.of_series(table, split) if many else Panel.of_any(table, split)
    panel.windows(chosen["lookback"], chosen["horizon"])


def name_field(label: str, default: str) -> str:
    """A widget for a name; left empty it is the default, which follows what else is chosen."""
    return st.text_input(label, placeholder=default, key="name").strip() or default


@st.cache_data(show_spinner="Reading the upload…", max_entries=4)
def _parse(
    content: bytes, name: str, digest: str, options: dict[str, Any], hints: dict[str, Any]
) -> pd.DataFrame | SeriesTable:
    stream = io.BytesIO(content)
    stream.name = name
    return read_any(stream, hints=hints, **options)


def upload_content(label: str) -> Any:
    """A widget for a CSV, Parquet or Excel file; the file, or None while there is none.

    The page stops at one that is too large.
    """
    file = st.file_uploader(label, type=["csv", "parquet", "xlsx", "gz", "txt", "tsv"])
    if file is not None and file.size > UPLOAD_MEGABYTES * 2**20:
        st.error(
            f"{file.name}: has {file.size / 2**20:,.0f} MB, more than the {UPLOAD_MEGABYTES} MB that the "
            "dashboard takes; use the command line."
        )
        st.stop()
    return file


def parse(file: Any, options: dict[str, Any], hints: dict[str, Any] | None = None) -> Any:
    """An uploaded table, read as asked, with what was done to it; None where it cannot be, with the error.

    It is a frame, or a `SeriesTable` where it is a long table of many series.
    """
    content = file.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    try:
        table = _parse(content, file.name, digest, options, hints or {})
    except ERRORS as error:
        fail(error)  # which names the file
        return None
    for note in table.notes if isinstance(table, SeriesTable) else table.attrs["notes"]:
        st.caption(plain(in_words(f"{file.name}: {note}")))
    return table


def upload(label: str, options: dict[str, Any], hints: dict[str, Any] | None = None) -> Any:
    """A widget for a CSV, Parquet or Excel file; None while there is none.

    Where it cannot be read the page says why and stops: nothing of before is shown as if it were of it.
    """
    st.session_state[BROUGHT] = None
    file = upload_content(label)
    if file is None:
        return None
    table = parse(file, options, hints)
    if table is None:
        st.stop()
    st.session_state[BROUGHT] = file.name
    return table


def brought() -> str | None:
    """Name of the file that `upload` returned last in this run of the page; None: there was none."""
    name: str | None = st.session_state.get(BROUGHT)
    return name


def comparison(
    name: str,
    tables: Callable[[dict[str, Any], str], Mapping[str, pd.DataFrame]],
    figures: Callable[[dict[str, Any], str], Sequence[go.Figure]],
) -> dict[str, Any] | None:
    """Tables and figures of a results file, over a set of modules that is chosen, and its download.

    Returns its content, or None where it is damaged, with the error shown.
    """
    try:
        content = read_results(runs.inside(name))
        if not trained_cells(content):
            raise ArtefactError(f"{name}: holds no cell that could be trained.")
        modules = selection.one(
            "Modules", list(PRESETS), "modules", widget="radio", horizontal=True
        )
        shown, drawn = tables(content, modules), figures(content, modules)
    except (*ERRORS, *DAMAGED, OSError) as error:
        st.error(f"{name}: damaged ({error!r}).")
        return None
    for heading, table in shown.items():
        st.caption(heading)
        st.dataframe(table)
    for number, figure in enumerate(drawn):
        show(figure, f"comparison-{number}")
    download_results(name, content)
    return content


def download_results(name: str, content: dict[str, Any]) -> None:
    """A button that downloads a results file."""
    st.download_button(
        "Download the results (JSON)",
        json.dumps(content, indent=2),
        file_name=name,
        mime="application/json",
        key="download",
    )


def numbered(values: np.ndarray) -> pd.DataFrame:
    """A matrix with rows and columns counted from 1."""
    rows, columns = (pd.RangeIndex(1, size + 1) for size in values.shape)
    return pd.DataFrame(values, index=rows, columns=columns)


def show(figure: go.Figure, key: str, *, pick: bool = False) -> Any:
    """Draw a figure in the colours of the theme, its title above it, where it wraps by the page's width.

    The title is also what a screen reader says of the chart, and the name of a picture that is saved.

    Returns:
        With ``pick`` where the point lies that somebody clicked at, on the x axis; None: nobody did.
    """
    title = re.sub("<br ?/?>", " ", figure.layout.title.text or "")
    st.markdown(f"**{plain(title)}**")
    top = max((figure.layout.margin.t or 80) - TITLE_HEIGHT, LEAST_TOP)
    lost = (figure.layout.margin.t or 80) - top
    figure.update_layout(
        template=None,
        title={"text": ""},
        margin={"t": top},
        height=(figure.layout.height or 450) - lost,
    )
    saved = re.sub(r"\W+", "-", title).strip("-")[:80] or "chart"
    chosen: Any = st.plotly_chart(
        figure,
        key=key,
        on_select="rerun" if pick else "ignore",
        selection_mode="points",
        theme="streamlit",
        width="stretch",
        alt=title,
        config={"toImageButtonOptions": {"filename": saved}},
    )
    points = chosen["selection"]["points"] if pick else []
    return points[0]["x"] if points else None


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is: names of columns may hold anything.

    Example:
        >>> plain("*a* [b]")
        '\\\\*a\\\\* \\\\[b\\\\]'
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$:<>~|&])", r"\\\1", text)


def reproduce(command: str, python: str) -> None:
    """The lines that make what the page shows."""
    with st.expander("Reproduce this"):
        if runs.root().parent != Path.cwd():
            st.caption(f"To be run in {plain(str(runs.root().parent))}.")
        st.code(command, language="bash", wrap_lines=True)
        st.code(python, language="python", wrap_lines=True)
