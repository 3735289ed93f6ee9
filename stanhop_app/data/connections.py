"""Connections to databases, by SQLAlchemy or by DuckDB, each asked in the same words (`Database`)."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import pandas as pd

from stanhop_app.data.addresses import PASSWORD
from stanhop_app.errors import DataError, OptionError

PIECE = 50_000
"""Rows that are fetched at once."""


class Database(Protocol):
    """A connection: what is asked of it here."""

    def rows(self, query: str) -> Iterator[pd.DataFrame]:
        """What a query returns, piece by piece."""
        ...

    def replace(
        self,
        table: str,
        types: dict[str, str],
        key: Sequence[str],
        same: Sequence[str],
        rows: pd.DataFrame,
    ) -> int:
        """Write rows into a table, made if need be, in place of those of the same things, all or none.

        Args:
            table: its name, perhaps after that of a schema and a point.
            types: of its columns, as SQL names them.
            key: columns that tell rows apart.
            same: those of them that tell things apart, of which all rows are replaced.
            rows: to write.

        Returns:
            Rows that were there before and are replaced.
        """
        ...

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        ...


def open_database(address: str, *, reading: bool) -> Database:
    """A connection; errors of drivers are their own.

    Raises:
        OptionError: if what reads it is not installed.
        DataError: for a file that is not there.
    """
    opened: Database = (
        _duck(address, reading) if address.startswith("duckdb:") else _sql(address, reading)
    )
    return opened


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
        self,
        table: str,
        types: dict[str, str],
        key: Sequence[str],
        same: Sequence[str],
        rows: pd.DataFrame,
    ) -> int:
        """In one transaction: make the table, delete, insert; in the words of each database."""
        import sqlalchemy as sql

        kinds: dict[str, Any] = {
            "TIMESTAMP": sql.DateTime(),
            "INTEGER": sql.Integer(),
            "DOUBLE PRECISION": sql.Double(),
        }
        schema, _, name = table.rpartition(".")
        made = sql.Table(
            name,
            sql.MetaData(schema=schema or None),
            *(
                sql.Column(
                    column,
                    kinds[kind] if kind in kinds else sql.String(int(kind[8:-1])),
                    primary_key=column in key,
                    nullable=False,
                    autoincrement=False,
                )
                for column, kind in types.items()
            ),
        )
        made.create(self.connection, checkfirst=True)
        columns = {c: _python(rows[c]) for c in types}
        old = [
            dict(zip(map("old_{}".format, same), row, strict=True))
            for row in dict.fromkeys(zip(*(columns[c] for c in same), strict=True))
        ]
        alike = sql.and_(*(made.c[c] == sql.bindparam(f"old_{c}") for c in same))
        gone = self.connection.execute(made.delete().where(alike), old).rowcount
        values = [dict(zip(types, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        self.connection.execute(made.insert(), values)
        self.connection.commit()
        return max(int(gone), 0)

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        self.connection.close()
        self.connection.engine.dispose()


def _python(column: pd.Series) -> list[Any]:
    """Values as Python has them, which every driver takes."""
    if column.dtype.kind == "M":
        return list(column.dt.to_pydatetime())
    values: list[Any] = column.astype(object).to_list()
    return values


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
        self,
        table: str,
        types: dict[str, str],
        key: Sequence[str],
        same: Sequence[str],
        rows: pd.DataFrame,
    ) -> int:
        """In one transaction: make the table, delete, insert."""
        run = self.connection.execute
        name = ".".join(f'"{part}"' for part in table.split("."))
        columns = ", ".join(f'"{c}" {kind} NOT NULL' for c, kind in types.items())
        keys, alike, listed = (", ".join(f'"{c}"' for c in names) for names in (key, same, types))
        run("BEGIN TRANSACTION")
        run(f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({keys}))")
        self.connection.register("stanhop_rows", rows[list(types)])
        gone = run(
            f"DELETE FROM {name} WHERE ({alike}) IN (SELECT DISTINCT ({alike}) FROM stanhop_rows)"
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
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and not url.database:
        raise OptionError(f"{address}: names no file, as sqlite:///sales.db.")
    if is_sqlite and reading and "uri" not in url.query and not os.path.isfile(url.database or ""):
        raise DataError(f"{url.database}: no such file.")  # it would be made, and be empty
    try:
        engine = sql.create_engine(url, hide_parameters=True)
    except ImportError as error:
        raise OptionError(f"{address}: its driver is not installed ({reason_of(error)}).") from None
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


def reason_of(error: Exception) -> str:
    """What a driver says, in one line, without SQL, and without a password that it may repeat."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in (os.environ.get(PASSWORD), os.environ.get("PGPASSWORD")):
        text = text.replace(secret, "...") if secret else text
    return text.rstrip(".")[:300]
