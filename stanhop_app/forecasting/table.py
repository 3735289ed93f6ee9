"""Files from users become tables: CSV of any dialect or Parquet, gzipped or not, from disk or a pipe."""

import gzip
import io
import re
import warnings
import zlib
from pathlib import Path
from typing import IO

import pandas as pd

from stanhop_app.errors import DataError

SEPARATORS = ",;\t|"
HEAD = 65536
"""Bytes from which the dialect is told."""


def source_name(source: str | Path | IO[bytes]) -> str:
    """How messages name a source: its path, or "standard input"."""
    return str(source) if isinstance(source, str | Path) else "standard input"


def read_table(
    source: str | Path | IO[bytes], *, decimal: str | None = None, thousands: str | None = None
) -> pd.DataFrame:
    """Read CSV or Parquet, gzipped or not, from a path or an open binary file.

    The kind is told from the content, not from the name. CSV may be separated by comma, semicolon, tab or
    bar, and have a separator too many at the end of its rows. A first column without a name that
    numbers the rows (0, 1, 2, ...), as pandas writes one, is dropped.

    Args:
        source: path or open file.
        decimal: "." or ","; default: a comma where the separator is a semicolon and numbers have one.
        thousands: what groups digits, "1.234,5" or "1,234.5"; default: points where the decimal is a
            comma, else nothing.

    Raises:
        DataError: if the file is missing, empty or no table, or if numbers such as 1.234 between
            semicolons may mean either.
        ValueError: for a decimal or thousands mark that cannot be one.
    """
    decimal, thousands = _check_marks(decimal, thousands)
    name = source_name(source)
    try:
        content = Path(source).read_bytes() if isinstance(source, str | Path) else source.read()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise DataError(f"{name}: no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from None
    if not content.strip():
        raise DataError(f"{name}: the file is empty.")
    try:
        if content[:4] == b"PAR1":
            return pd.read_parquet(io.BytesIO(content))
        return _read_csv(content, decimal, thousands)
    except UnicodeDecodeError:
        raise DataError(
            f"{name}: neither Parquet nor text in UTF-8; if it is text, save it as UTF-8."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: not a table that can be read ({reason}).") from None


def _check_marks(decimal: str | None, thousands: str | None) -> tuple[str | None, str | None]:
    """Both marks, the decimal one from the other where only that is given."""
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', got {decimal!r}.")
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands in "+-"):
        raise ValueError(f"thousands must be one mark such as ',' or '.', got {thousands!r}.")
    if decimal is None and thousands in (".", ","):
        decimal = "." if thousands == "," else ","
    if thousands is not None and thousands == decimal:
        raise ValueError(f"decimal and thousands cannot both be {decimal!r}.")
    return decimal, thousands


def _read_csv(content: bytes, decimal: str | None, thousands: str | None) -> pd.DataFrame:
    head = content[:HEAD].decode("utf-8-sig", errors="ignore")
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        raise ValueError("no text in UTF-8")
    separator = max(SEPARATORS, key=lines[0].count)
    if decimal is None:
        decimal = _find_decimal(lines[1:], separator)
    if thousands is None and decimal == ",":
        thousands = "."
    extra = lines[0].endswith(separator)
    trailing = not extra and all(line.endswith(separator) for line in lines[1:])
    with warnings.catch_warnings():
        # More fields than names: an error, unless every row just ends with a separator.
        warnings.simplefilter("ignore" if trailing else "error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(
                io.BytesIO(content),
                sep=separator,
                decimal=decimal,
                encoding="utf-8-sig",
                skipinitialspace=True,
                index_col=False,
            )
        except pd.errors.ParserWarning:
            raise ValueError("rows have more fields than the header has names") from None
    if extra and table.iloc[:, -1].isna().all():
        table = table.iloc[:, :-1]
    if thousands is not None:
        table = table.apply(_ungroup, thousands=thousands, decimal=decimal)
    first = table.columns[0]
    if str(first).startswith("Unnamed") and len(table):
        if table[first].equals(pd.Series(range(len(table)))):
            return table.drop(columns=first)
        return table.rename(columns={first: "time"}) if "time" not in table else table
    return table


def _grouped(thousands: str, decimal: str) -> re.Pattern[str]:
    """Numbers with grouped digits: 1.234, 12.345.678, 1.234,5."""
    return re.compile(
        rf"[-+]?[1-9]\d{{0,2}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d+)?"
    )


def _find_decimal(lines: list[str], separator: str) -> str:
    """The decimal mark: a comma only where the separator is a semicolon and numbers have one."""
    if separator != ";":
        return "."
    fields = [field.strip(' "') for line in lines for field in line.split(separator)]
    with_points = _grouped(".", ",")
    if any(
        re.fullmatch(r"[-+]?\d+,\d+", f) or (with_points.fullmatch(f) and "," in f) for f in fields
    ):
        return ","
    pointed = [field for field in fields if re.fullmatch(r"[-+]?\d+(\.\d+)+", field)]
    dates = re.compile(r"\d{1,2}\.\d{1,2}\.\d+")
    pointed = [field for field in pointed if not dates.fullmatch(field)]
    if pointed and all(with_points.fullmatch(field) for field in pointed):
        one = pointed[0]
        raise ValueError(
            f"numbers such as {one} may mean {one.replace('.', '')} or {one.replace('.', ',', 1)}; "
            "say decimal=',' or '.' (--decimal)"
        )
    return "."


def _ungroup(column: pd.Series, thousands: str, decimal: str) -> pd.Series:
    """A text column of grouped numbers as numbers; any other as it is."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    text = column.dropna().astype(str).str.strip()
    plain = rf"[-+]?\d+({re.escape(decimal)}\d+)?"
    grouped = _grouped(thousands, decimal)
    if text.empty or not text.str.fullmatch(rf"{grouped.pattern}|{plain}").all():
        return column
    numbers = text.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    return pd.to_numeric(numbers).reindex(column.index)
