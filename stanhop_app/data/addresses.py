"""Addresses of databases: what they look like, and that no password is in them. No pandas is needed.

    postgresql://reader@warehouse/shop      any database that SQLAlchemy has a driver for
    duckdb:///sales.duckdb                  a file of DuckDB
    duckdb://                               no database: a query over files, FROM 'sales/*.parquet'

An address is kept in run folders and seen by others in the list of processes: the driver's own variable
(PGPASSWORD) or ``STANHOP_DATABASE_PASSWORD`` holds the password.
"""

import re
from urllib.parse import unquote

from stanhop_app.errors import OptionError

SECRET = re.compile(r"[?&;]\w*(passw|passphrase|pwd|token|secret)\w*\s*=", re.IGNORECASE)
"""What begins a secret in the options of an address."""

PASSWORD = "STANHOP_DATABASE_PASSWORD"
"""Variable of the environment that holds a password for drivers without one of their own."""
SCHEMES = (
    "postgresql",
    "mysql",
    "mariadb",
    "sqlite",
    "mssql",
    "oracle",
    "duckdb",
    "redshift",
    "snowflake",
    "trino",
)
"""What addresses of databases begin with, perhaps followed by + and a driver."""


def is_database(source: str) -> bool:
    """Whether a source is the address of a database, not a file or a name."""
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.split("+")[0] in SCHEMES


def check_scheme(source: str) -> None:
    """Refuse what looks like an address, and is of no database that is known.

    Raises:
        OptionError: naming those that are; what follows the scheme, perhaps a password, is not repeated.
    """
    scheme, separator, _ = source.partition("://")
    if separator and not is_database(source):
        meant = "write postgresql://" if scheme == "postgres" else f"known are {', '.join(SCHEMES)}"
        raise OptionError(f"{scheme}://...: is the address of no database; {meant}.")


def split_table(address: str) -> tuple[str, str]:
    """The address of a database, and the table after #; empty if there is none.

    Raises:
        OptionError: for a password in the address, or a table that is no name.
    """
    place, _, table = check_address(address).partition("#")
    if table and not all(part.isidentifier() for part in table.split(".")):
        raise OptionError(f"{place}: the table after # is of letters, digits and _, got {table!r}.")
    return place, table


def check_address(address: str) -> str:
    """The address, if no password is in it.

    Raises:
        OptionError: if there is one; it is not repeated.
    """
    scheme, _, rest = address.partition("://")
    login = rest.rpartition("@")[0]
    if ":" in login or SECRET.search(unquote(rest)):
        raise OptionError(
            f"{scheme}://...: an address holds no password, which others could read; put it into the "
            f"environment (PGPASSWORD for PostgreSQL, else {PASSWORD})."
        )
    return address
