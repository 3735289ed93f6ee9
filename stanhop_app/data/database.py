"""Databases as where tables come from and forecasts go to (extra ``sql``), by SQLAlchemy or DuckDB."""

import contextlib
import datetime as dt
import decimal
import io
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from stanhop_app.data.addresses import split_table
from stanhop_app.data.connections import Database, open_database, reason_of
from stanhop_app.errors import DataError, OptionError, StorageError, concerning


def query_table(address: str, query: str | None, *, megabytes: int) -> io.BytesIO:
    """What a query returns, as a Parquet file in memory, which every reader of tables takes.

    Args:
        address: of the database, and a table after # if there is no query.
        query: in its language; it is run in a transaction that can only read, where there are such.
        megabytes: that the table may have; more is not read.

    Raises:
        DataError: for a database that does not answer, a query that fails, and a table that is too large.
        OptionError: for an address with a password, or if what reads it is not installed.
    """
    address, named = split_table(address)
    if (query is None) == (not named):
        raise OptionError(
            f"{address}: give a query (--query FILE.sql), or one table after #, as {address}#sales."
        )
    query = f"SELECT * FROM {named}" if query is None else query
    parts, size = [], 0
    with concerning(address), connected(address, reading=True) as database:
        for part in database.rows(query):
            if part.columns.has_duplicates:
                twice = part.columns[part.columns.duplicated()][0]
                raise DataError(
                    f"{address}: the query returns two columns {twice!r}; name them apart."
                )
            frame = plain(part)
            size += int(frame.memory_usage(deep=True).sum())
            if size > megabytes * 2**20:
                raise DataError(
                    f"{address}: the query returns more than {megabytes:,} MB; raise max_megabytes "
                    "(--max-megabytes) if it is to be read."
                )
            parts.append(frame)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not len(table):
        raise DataError(f"{address}: the query returns no rows.")
    file = io.BytesIO()
    try:
        table.to_parquet(file, index=False)
    except pa.ArrowException as error:
        column, why = _mixed(table), " ".join(str(error).split())[:200]
        told = f"column {column!r} of the query has values of different kinds" if column else why
        raise DataError(f"{address}: {told}; CAST it to one that tables have.") from None
    file.seek(0)
    file.name = address
    return file


def _mixed(table: pd.DataFrame) -> str | None:
    """The first column that is of no one kind; None if all are."""
    for name in table:
        try:
            pa.array(table[name], from_pandas=True)
        except pa.ArrowException:
            return str(name)
    return None


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Decimals as numbers, and dates as time stamps: what databases have and tables of ours do not."""
    columns = {}
    for name in frame.columns:
        column = frame[name]
        first = next((value for value in column if value is not None), None)
        if isinstance(first, decimal.Decimal):
            column = column.astype("float64")
        elif isinstance(first, dt.datetime) and column.dtype == object:
            column = pd.to_datetime(column, utc=first.tzinfo is not None)
        elif isinstance(first, dt.date) and column.dtype == object:
            column = pd.to_datetime(column)
        elif first is None:
            column = column.astype("float64")
        columns[name] = column
    return pd.DataFrame(columns)


@contextlib.contextmanager
def connected(address: str, *, reading: bool) -> Iterator[Database]:
    """A connection that ends with the block.

    Raises:
        DataError: if the database does not answer, or the work in the block fails, while reading.
        StorageError: the same while writing; nothing was written then.
    """
    kind = DataError if reading else StorageError
    after = "" if reading else "; nothing was written"
    try:
        opened = open_database(address, reading=reading)
    except (OptionError, DataError):
        raise
    except Exception as error:  # drivers have errors of their own each
        raise kind(f"{address}: cannot be reached ({reason_of(error)}).") from None
    try:
        yield opened
    except (OptionError, DataError, StorageError):
        raise
    except Exception as error:
        raise kind(f"{address}: {reason_of(error)}{after}.") from None
    finally:
        opened.close()
