"""Databases as where tables come from and forecasts go to (extra ``sql``), by SQLAlchemy or DuckDB."""

import contextlib
import datetime as dt
import decimal
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import pandas as pd

from stanhop_app.data.addresses import PASSWORD, split_table
from stanhop_app.errors import DataError, OptionError, StorageError

PIECE = 50_000
"""Rows that are fetched at once."""


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
    with connected(address, reading=True) as database:
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
    table.to_parquet(file, index=False)
    file.seek(0)
    file.name = address
    return file


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


class Database(Protocol):
    """A connection: what is asked of it here."""

    def rows(self, query: str) -> Iterator[pd.DataFrame]:
        """What a query returns, piece by piece."""
        ...

    def replace(
        self, table: str, types: dict[str, str], key: Sequence[str], rows: pd.DataFrame
    ) -> int:
        """Write rows into a table, made if need be, in place of those with the same key, all or none.

        Args:
            table: its name, perhaps after that of a schema and a point.
            types: of its columns, as SQL names them.
            key: columns that tell rows apart.
            rows: to write.

        Returns:
            Rows that were there before and are replaced.
        """
        ...

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        ...


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
        opened = (
            _duck(address, reading) if address.startswith("duckdb:") else _sql(address, reading)
        )
    except (OptionError, DataError):
        raise
    except Exception as error:  # drivers have errors of their own each
        raise kind(f"{address}: cannot be reached ({_reason(error)}).") from None
    try:
        yield opened
    except (OptionError, DataError, StorageError):
        raise
    except Exception as error:
        raise kind(f"{address}: {_reason(error)}{after}.") from None
    finally:
        opened.close()


class _Sql:
    """Any database that SQLAlchemy reaches."""

    def __init__(self, connection: Any):
        self.connection = connection

    def rows(self, query: str) -> Iterator[pd.DataFrame]:
        """Fetch as the server sends; the whole is never there."""
        from sqlalchemy import text

        streamed = self.connection.execution_options(stream_results=True, yield_per=PIECE)
        literal = query.replace(":", r"\:")  # what follows a colon is no parameter here
        with streamed.execute(text(literal)) as result:
            if not result.returns_rows:
                raise DataError("the query returns no rows; it must be a SELECT.")
            names = list(result.keys())
            for part in result.partitions(PIECE):
                yield pd.DataFrame.from_records([tuple(row) for row in part], columns=names)

    def replace(
        self, table: str, types: dict[str, str], key: Sequence[str], rows: pd.DataFrame
    ) -> int:
        """In one transaction: make the table, delete, insert."""
        from sqlalchemy import text

        quoted = self.connection.dialect.identifier_preparer.quote
        name = ".".join(quoted(part) for part in table.split("."))
        columns = ", ".join(f"{quoted(c)} {kind} NOT NULL" for c, kind in types.items())
        keys = ", ".join(map(quoted, key))
        run = self.connection.execute
        run(text(f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({keys}))"))
        same = " AND ".join(f"{quoted(c)} = :{c}" for c in key)
        old = rows[list(key)].to_dict(orient="records")
        gone = run(text(f"DELETE FROM {name} WHERE {same}"), old).rowcount
        places = ", ".join(f":{c}" for c in types)
        listed = ", ".join(map(quoted, types))
        values = rows[list(types)].to_dict(orient="records")
        run(text(f"INSERT INTO {name} ({listed}) VALUES ({places})"), values)
        self.connection.commit()
        return max(int(gone), 0)

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        self.connection.close()
        self.connection.engine.dispose()


class _Duck:
    """A file of DuckDB, or no file and a query over others."""

    def __init__(self, connection: Any):
        self.connection = connection

    def rows(self, query: str) -> Iterator[pd.DataFrame]:
        """Fetch piece by piece."""
        asked = self.connection.sql(query)
        if asked is None:
            raise DataError("the query returns no rows; it must be a SELECT.")
        for batch in asked.to_arrow_reader(PIECE):
            if len(batch):
                yield batch.to_pandas()

    def replace(
        self, table: str, types: dict[str, str], key: Sequence[str], rows: pd.DataFrame
    ) -> int:
        """In one transaction: make the table, delete, insert."""
        run = self.connection.execute
        name = ".".join(f'"{part}"' for part in table.split("."))
        columns = ", ".join(f'"{c}" {kind} NOT NULL' for c, kind in types.items())
        keys, listed = (", ".join(f'"{c}"' for c in names) for names in (key, types))
        run("BEGIN TRANSACTION")
        run(f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({keys}))")
        self.connection.register("stanhop_rows", rows[list(types)])
        gone = run(
            f"DELETE FROM {name} WHERE ({keys}) IN (SELECT ({keys}) FROM stanhop_rows)"
        ).fetchone()
        run(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM stanhop_rows")
        run("COMMIT")
        return int(gone[0]) if gone else 0

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        self.connection.close()


def _sql(address: str, reading: bool) -> Any:
    try:
        import sqlalchemy as sql
    except ImportError:
        raise OptionError(
            "databases need SQLAlchemy and DuckDB: pip install 'stanhop-app[sql]'."
        ) from None
    url = sql.make_url(address)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    password = os.environ.get(PASSWORD)
    if password is not None:
        url = url.set(password=password)
    try:
        engine = sql.create_engine(url, hide_parameters=True)
    except ImportError as error:
        raise OptionError(f"{address}: its driver is not installed ({_reason(error)}).") from None
    connection = engine.connect()
    if reading and url.get_backend_name() == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
    return _Sql(connection)


def _duck(address: str, reading: bool) -> Any:
    try:
        import duckdb
    except ImportError:
        raise OptionError("DuckDB is not installed: pip install 'stanhop-app[sql]'.") from None
    path = address.removeprefix("duckdb:").removeprefix("//")
    path = path.removeprefix("/") if not path.startswith("//") else path[1:]
    if not path and not reading:
        raise OptionError(f"{address}: names no file to write into, as duckdb:///forecasts.duckdb.")
    if path and reading and not os.path.isfile(path):
        raise DataError(f"{path}: no such file.")
    # Extensions would be fetched from their maker's host.
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    read_only = bool(path) and reading
    return _Duck(duckdb.connect(path or ":memory:", read_only=read_only, config=cast(Any, config)))


def _reason(error: Exception) -> str:
    """What a driver says, in one line, without SQL, and without a password that it may repeat."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in (os.environ.get(PASSWORD), os.environ.get("PGPASSWORD")):
        text = text.replace(secret, "...") if secret else text
    return text.rstrip(".")[:300]
