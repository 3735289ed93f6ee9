"""Files from users become tables: CSV or Parquet, gzipped or not, from disk or a pipe."""

import contextlib
import gzip
import io
import re
import warnings
import zlib
from itertools import islice
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow.parquet as pq

from stanhop_app.data.reading import ReadingConfig
from stanhop_app.errors import DataError, OptionError
from stanhop_app.files import read_up_to

SEPARATORS = ",;\t|"
HEAD_LINES = 1000
"""Lines from which separators at their ends are told."""
SPACES = " \u00a0\u202f"


def source_name(source: str | Path | IO[bytes]) -> str:
    """How messages name a source: its path, or "standard input"."""
    return str(source) if isinstance(source, str | Path) else "standard input"


def read_table(
    source: str | Path | IO[bytes],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    max_megabytes: int = ReadingConfig.max_megabytes,
) -> pd.DataFrame:
    """Read CSV or Parquet, gzipped or not, from a path or an open binary file.

    The kind is told from the content, not from the name. CSV may be separated by comma, semicolon, tab or
    bar, and have a separator too many at the end of its rows. A first column without a name that
    numbers the rows (0, 1, 2, ...), as pandas writes one, is dropped.

    Args:
        source: path or open file.
        decimal: "." or ",", in CSV. Default: a point between commas; between other separators, whichever
            the columns of numbers prove (1,5 or 1.234,5 or 1.000.000 prove a comma).
        thousands: what groups digits in CSV, as in 1.234,5. Default: between separators other than commas,
            the mark that is not the decimal.
        max_megabytes: that the table may have when it is unpacked.

    Returns:
        The table; ``attrs["decimal"]`` is the mark that was found, if one had to be.

    Raises:
        DataError: if the file is missing, empty or no table, or if numbers such as 1.234 could mean
            either and nothing tells which.
        OptionError: for a decimal or thousands mark that cannot be one.
    """
    decimal, thousands = _check_marks(decimal, thousands)
    ReadingConfig(max_megabytes=max_megabytes)
    name = source_name(source)
    try:
        content = _read_within(source, name, max_megabytes)
    except FileNotFoundError:
        raise DataError(f"{name}: no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from None
    if not content.strip():
        raise DataError(f"{name}: the file is empty.")
    try:
        if content[:4] == b"PAR1":
            _check_parquet(content, name, max_megabytes)
            return pd.read_parquet(io.BytesIO(content))
        return _read_csv(content, decimal, thousands)
    except DataError:
        raise
    except UnicodeDecodeError:
        raise DataError(
            f"{name}: neither Parquet nor text in UTF-8; if it is text, save it as UTF-8."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: not a table that can be read ({reason}).") from None


def _read_within(source: str | Path | IO[bytes], name: str, megabytes: int) -> bytes:
    """What a file holds, unpacked; never more than so much of it is in memory.

    Raises:
        DataError: if it is more.
        OSError, EOFError, zlib.error: if it cannot be read.
    """
    most = megabytes * 2**20
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | Path):
            source = stack.enter_context(Path(source).open("rb"))
        content = read_up_to(source, most)
        if content[:2] == b"\x1f\x8b" and len(content) <= most:
            content = read_up_to(gzip.GzipFile(fileobj=io.BytesIO(content)), most)
    if len(content) > most:
        raise _too_large(name, megabytes)
    return content


def _too_large(name: str, megabytes: int) -> DataError:
    return DataError(
        f"{name}: has more than {megabytes:,} MB when it is unpacked; raise max_megabytes "
        "(--max-megabytes) if it is to be read."
    )


def _check_parquet(content: bytes, name: str, megabytes: int) -> None:
    """Refuse a file whose columns would take more memory than is allowed: a few bytes can say many rows."""
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    groups = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if max(sum(groups), 8 * metadata.num_rows * metadata.num_columns) > megabytes * 2**20:
        raise _too_large(name, megabytes)


def _check_marks(decimal: str | None, thousands: str | None) -> tuple[str | None, str | None]:
    """Both marks, the decimal one from the other where only that is given."""
    ReadingConfig(decimal=decimal)
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands in "+-"):
        raise OptionError(f"thousands must be one mark such as ',' or '.', got {thousands!r}.")
    if decimal is None and thousands in (".", ","):
        decimal = "." if thousands == "," else ","
    if thousands is not None and thousands == decimal:
        raise OptionError(f"decimal and thousands cannot both be {decimal!r}.")
    return decimal, thousands


def _read_csv(content: bytes, decimal: str | None, thousands: str | None) -> pd.DataFrame:
    raw = (line.decode("utf-8-sig", errors="ignore").strip("\r\n") for line in io.BytesIO(content))
    lines = list(islice((line for line in raw if line.strip()), HEAD_LINES))
    if not lines:
        raise OptionError("no text in UTF-8")
    separator = max(SEPARATORS, key=lines[0].count)
    as_text = separator != "," or decimal == "," or thousands is not None
    extra = lines[0].endswith(separator)
    rows = lines[1:]
    trailing = bool(rows) and not extra and all(row.endswith(separator) for row in rows)
    with warnings.catch_warnings():
        # More fields than names: an error, unless every row just ends with a separator.
        warnings.simplefilter("ignore" if trailing else "error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(
                io.BytesIO(content),
                sep=separator,
                dtype=str if as_text else None,
                encoding="utf-8-sig",
                skipinitialspace=True,
                index_col=False,
                low_memory=False,  # in chunks, one column could become numbers and text
            )
        except pd.errors.ParserWarning:
            raise OptionError("rows have more fields than the header has names") from None
    if extra and table.iloc[:, -1].isna().all():
        table = table.iloc[:, :-1]
    if as_text:
        table = _numbers(table, decimal, thousands)
    first = table.columns[0]
    if str(first).startswith("Unnamed") and len(table):
        if table[first].tolist() == list(range(len(table))):
            return table.drop(columns=first)
        return table.rename(columns={first: "time"}) if "time" not in table else table
    return table


def _numbers(table: pd.DataFrame, decimal: str | None, thousands: str | None) -> pd.DataFrame:
    """A table of text with its columns of numbers as numbers."""
    text = {column: table[column].str.strip() for column in table.columns}
    if thousands is not None and thousands not in ".,":
        marks = f"[{SPACES}]" if thousands in SPACES else re.escape(thousands)
        between = rf"(?<=\d){marks}(?=\d\d\d)"
        grouped = {c: x for c, x in text.items() if _all(x, rf"[-+]?\d[\d.,{SPACES}'_]*")}
        text |= {c: x.str.replace(between, "", regex=True) for c, x in grouped.items()}
        thousands = None
    mark = decimal or _find_decimal(text)
    other = thousands or ("." if mark == "," else ",")
    converted = pd.DataFrame({c: _convert(x, mark, other) for c, x in text.items()})
    if decimal is None:
        converted.attrs["decimal"] = mark
    return converted


def _find_decimal(text: dict[str, pd.Series]) -> str:
    """The decimal mark that the columns of numbers prove.

    Raises:
        OptionError: if they prove both, or none although marks are there.
    """
    proof: dict[str, str] = {}
    doubt: list[str] = []
    for column, values in text.items():
        values = values.dropna()
        if not _all(values, r"[-+]?(\d[\d.,]*|[.,]\d+)([eE][-+]?\d+)?"):
            continue  # text
        if _all(values, r"\d{1,4}\.\d{1,2}\.\d{1,4}") or values.str.fullmatch(r"0\d.*").any():
            continue  # dates, and numbers that name things
        for mark, other in (".", ","), (",", "."):
            m, o = re.escape(mark), re.escape(other)
            maybe_grouped = values.str.fullmatch(rf"[-+]?[1-9]\d{{0,2}}({m}\d{{3}})+({o}\d*)?")
            groups = maybe_grouped & (values.str.contains(o) | (values.str.count(m) > 1))
            if groups.any():
                proof[other] = column
            elif maybe_grouped.any():
                doubt.append(str(values[maybe_grouped].iloc[0]))
            single = values.str.fullmatch(
                rf"[-+]?(\d+|\d{{1,3}}({o}\d{{3}})+)?{m}\d*([eE][-+]?\d+)?"
            )
            if (single & ~maybe_grouped).any():
                proof[mark] = column
    if len(proof) == 2:
        raise OptionError(
            f"columns {proof['.']!r} and {proof[',']!r} write decimals differently; say decimal='.' or "
            "',' (--decimal)"
        )
    if proof:
        return next(iter(proof))
    if doubt:
        one = doubt[0]
        whole = re.sub("[.,]", "", one)
        raise OptionError(
            f"numbers such as {one} may mean {whole}, or {whole} thousandths; say decimal=',' or '.' "
            "(--decimal)"
        )
    return "."


def _convert(values: pd.Series, decimal: str, thousands: str) -> pd.Series:
    """Text as numbers; where some of it is no number, those values as they are."""
    d, t = re.escape(decimal), re.escape(thousands)
    number = rf"[-+]?(\d+|\d{{1,3}}({t}\d{{3}})+)?({d}\d*)?([eE][-+]?\d+)?"
    known = values.isna() | (values.str.fullmatch(number) & values.str.contains(r"\d"))
    plain = values.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    if known.all():
        return pd.to_numeric(plain)
    return plain.where(known, values)


def _all(values: pd.Series, pattern: str) -> bool:
    """Whether there are values and all match."""
    values = values.dropna()
    return len(values) > 0 and bool(values.str.fullmatch(pattern).all())
