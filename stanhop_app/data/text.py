"""CSV files of every dialect become tables, with every name and every cell as it is written."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd

from stanhop_app.data.numbers import check_marks, to_numbers
from stanhop_app.data.reading import ReadingConfig, id_parts
from stanhop_app.data.source import as_utf8
from stanhop_app.errors import OptionError, warnings_as

SEPARATORS = ",;\t|"
HEAD_LINES = 1000
"""Lines from which separators at their ends are told."""
ID_NAMES = ("unique_id", "id", "series", "series_id")
"""Names of columns that name series."""
NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)?(_level_\d+)?)?")
"""What pandas and R write above numbers of rows, which have no name."""
VALUE = re.compile(
    r"[-+]?[\d.,]*\d([eE][-+]?\d+)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*"
)
"""A number or a date, as no column is called."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV file is written."""

    separator: str
    names: list[str]
    """One a column; empty for those without."""
    written: list[str]
    """The names as they stand in the first line."""
    trailing: bool
    """Whether rows, unlike the names, end with a separator too many."""
    decimal: str | None
    thousands: str | None


def read_csv(
    content: bytes,
    config: ReadingConfig,
    hints: Mapping[str, Any],
    separator: str | None = None,
) -> pd.DataFrame:
    """A table of text and numbers; see `stanhop_app.data.table.read_table`.

    Args:
        content: of the file.
        config: how it is read.
        hints: "decimal", the mark of another table of the kind, and "words", columns that hold words there.
        separator: between cells; None: found.

    Raises:
        OptionError: saying what cannot be read, or what has to be said.
    """
    content, guessed = as_utf8(content, config.encoding)
    if b"\n" not in content:  # lines that end as on a Macintosh before 2001, and from Excel there
        content = content.replace(b"\r", b"\n")
    content = _between(content, config)
    raw = (line.decode(errors="ignore").strip("\r\n") for line in io.BytesIO(content))
    lines = list(islice((line for line in raw if line.strip()), HEAD_LINES))
    if not lines:
        raise OptionError("no text")
    dialect = _dialect(lines, config, separator or max(SEPARATORS, key=lines[0].count))
    notes = [f"read as {guessed}, as it is not UTF-8; if names are wrong, say --encoding"]
    table = _parse(content, dialect, config)
    kept = {c for c in table.columns if c in ID_NAMES}
    kept |= {c for c in id_parts(config.id_column, table.columns) if c in table.columns}
    kept |= {c for c in hints.get("words", ()) if c in table.columns}
    na = config.na or ()
    table, proof, remarks = to_numbers(
        table,
        decimal=dialect.decimal,
        thousands=dialect.thousands,
        na=na,
        hint=hints.get("decimal"),
        kept=kept,
        commas=dialect.separator == ",",
    )
    table, dropped = _without_row_numbers(table)
    table.attrs["notes"] = (notes if guessed else []) + remarks + dropped
    if proof is not None:
        table.attrs["decimal"] = proof
    return table


def _between(content: bytes, config: ReadingConfig) -> bytes:
    """The lines that hold names and rows."""
    if not (config.skip_rows or config.skip_last or config.comment):
        return content
    lines = content.splitlines(keepends=True)[config.skip_rows :]
    while lines and not lines[-1].strip():
        lines.pop()
    lines = lines[: len(lines) - config.skip_last] if config.skip_last else lines
    if config.comment:
        mark = config.comment.encode()
        lines = [line for line in lines if not line.lstrip().startswith(mark)]
    return b"".join(lines)


def _dialect(lines: list[str], config: ReadingConfig, separator: str) -> Dialect:
    """The dialect that names and first rows show."""
    cells = [_cells(line, separator) for line in lines[: max(config.header_rows, 1)]]
    trailing = False
    if config.header_rows == 0:
        names = [f"column {number}" for number in range(1, len(cells[0]) + 1)]
    else:
        width = max(map(len, cells))
        padded = [row + [""] * (width - len(row)) for row in cells]
        names = [" ".join(" ".join(parts).split()) for parts in zip(*padded, strict=True)]
        rows = lines[config.header_rows :]
        ends = bool(rows) and all(row.endswith(separator) for row in rows)
        trailing = ends and not lines[0].endswith(separator)
        if VALUE.fullmatch(names[0]):
            raise OptionError(
                f"the first line begins with {names[0]!r}, which is no name of a column; if the file has no "
                "names, say header_rows=0 (--header-rows 0), and if they come later, skip_rows (--skip-rows)"
            )
        named = [name for name in names if name]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise OptionError(f"two columns are named {twice!r}; rename one")
    decimal, thousands = check_marks(config.decimal, config.thousands)
    return Dialect(
        separator=separator,
        names=names,
        written=cells[0] if config.header_rows == 1 else names,
        trailing=trailing,
        decimal=decimal,
        thousands=thousands,
    )


def _cells(line: str, separator: str) -> list[str]:
    """Fields of one line; names with line breaks in them are cut."""
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except (
        csv.Error
    ) as error:  # a line break of another kind in it, or 131,072 characters in a cell
        raise OptionError(f"the line {line[:40]!r} is no row of cells: {error}") from None


def _parse(content: bytes, dialect: Dialect, config: ReadingConfig) -> pd.DataFrame:
    """The file by pandas: numbers where its own reader is sure of them, and text."""
    plain = dialect.separator == "," and dialect.decimal != "," and dialect.thousands is None
    types: object = str
    if plain:
        pairs = zip(dialect.written, dialect.names, strict=True)
        named = {*ID_NAMES, *id_parts(config.id_column, dialect.names)}
        types = {w: str for w, n in pairs if n in named} or None
    options: dict[str, Any] = {
        "sep": dialect.separator,
        "dtype": types,
        "skipinitialspace": True,
        "index_col": False,
        "low_memory": False,  # in chunks, one column could become numbers and text
        "keep_default_na": False,  # NA is a name among names: `numbers.to_numbers` tells
        "na_values": [""],
    }
    if config.header_rows != 1:
        options |= {"header": None, "names": dialect.names, "skiprows": config.header_rows}
    # More fields than names: an error, unless every row just ends with a separator.
    with warnings_as("ignore" if dialect.trailing else "error", pd.errors.ParserWarning):
        try:
            table: pd.DataFrame = pd.read_csv(io.BytesIO(content), **options)
        except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
            if "saw" not in str(error) and not isinstance(error, pd.errors.ParserWarning):
                raise
            raise OptionError(
                "rows have more fields than the header has names; if lines stand before the names, say "
                "skip_rows (--skip-rows)"
            ) from None
    table.columns = [" ".join(str(name).split()) for name in table.columns]
    if not dialect.trailing and len(table.columns) and _is_nameless(str(table.columns[-1])):
        empty = dialect.names and not dialect.names[-1] and table.iloc[:, -1].isna().all()
        table = table.iloc[:, :-1] if empty else table
    return table


def _is_nameless(name: str) -> bool:
    return NAMELESS.fullmatch(name) is not None


def _without_row_numbers(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table without the numbers of rows that a program left before its columns, and what was done.

    A first column without a name that holds text is called "time".

    Raises:
        OptionError: for a first column without a name of other numbers.
    """
    dropped = 0
    while len(table.columns) > 1 and len(table) and _is_nameless(str(table.columns[0])):
        first = table.iloc[:, 0]
        numbers = pd.to_numeric(first, errors="coerce")
        whole = bool((numbers % 1 == 0).all())
        if not numbers.isna().any() and not (whole and (numbers.diff().iloc[1:] == 1).all()):
            raise OptionError(
                "the first column has no name, and its numbers do not count rows; give it a name"
            )
        if numbers.isna().any():
            if "time" not in table.columns:
                table = table.rename(columns={table.columns[0]: "time"})
            break
        table = table.iloc[:, 1:]
        dropped += 1
    note = "a first column without a name, which counts the rows, was left out"
    return table, [note] * bool(dropped)
