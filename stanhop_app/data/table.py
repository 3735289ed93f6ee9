"""Files from users become tables: CSV, Parquet or Excel, gzipped or not, from disk or a pipe."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq

from stanhop_app.data.excel import is_excel, sheet_as_csv
from stanhop_app.data.numbers import check_marks
from stanhop_app.data.reading import ReadingConfig
from stanhop_app.data.source import read_content, source_name, too_large
from stanhop_app.data.text import read_csv
from stanhop_app.errors import DataError, OptionError


def read_table(
    source: str | Path | IO[bytes], *, hints: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame:
    """Read CSV, Parquet or Excel (.xlsx), gzipped or not, from a path or an open binary file.

    The kind is told from the content, not from the name. CSV may be separated by comma, semicolon, tab or
    bar, be in UTF-8, UTF-16 or cp1252, and have a separator too many at the end of its rows. Cells are
    numbers, or text as it is written: 0012 and NA in a column that names series are names. Words for a
    missing value (NA, ?, -, n/a) count as that in a column of numbers only, and so do units, which are taken
    off. Cells of an Excel sheet are read as those of a CSV file between commas.

    Args:
        source: path or open file.
        hints: what another table of the kind proved: "decimal". It decides where this one proves nothing.
        **options: fields of `ReadingConfig`. Of decimal marks, by default: a point between commas; between
            other separators, whichever the columns of numbers prove (1,5 or 1.234,5 or 1.000.000 prove a
            comma), with the other one grouping digits.

    Returns:
        The table; ``attrs["decimal"]`` is the mark that columns proved, ``attrs["notes"]`` what a user should
        be told.

    Raises:
        DataError: if the file is missing, empty or no table, or if numbers such as 1.234 could mean
            either and nothing tells which.
        OptionError: for options that cannot be.
    """
    config = ReadingConfig(**options)
    check_marks(config.decimal, config.thousands)
    name = source_name(source)
    content = read_content(source, config.max_megabytes)
    try:
        if content[:4] == b"PAR1":
            _check_parquet(content, name, config.max_megabytes)
            return pd.read_parquet(io.BytesIO(content))
        if is_excel(content):
            content = sheet_as_csv(content, config.sheet, config.max_megabytes)
            # Its numbers are numbers, whatever mark a CSV file of the kind has.
            config = replace(config, encoding="utf-8", decimal=None, thousands=None)
            words = {"words": (hints or {}).get("words", ())}
            return read_csv(content, config, words, separator=",")
        if config.sheet is not None:
            raise OptionError("only Excel files have sheets; leave sheet (--sheet) out")
        return read_csv(content, config, hints or {})
    except DataError:
        raise
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: not a table that can be read ({reason}).") from None


def _check_parquet(content: bytes, name: str, megabytes: int) -> None:
    """Refuse a file whose columns would take more memory than is allowed: a few bytes can say many rows."""
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    groups = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if max(sum(groups), 8 * metadata.num_rows * metadata.num_columns) > megabytes * 2**20:
        raise too_large(name, megabytes)
