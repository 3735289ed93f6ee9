"""--query FILE.sql: what a database is asked where a table is read."""

import io
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import GroupOption

from stanhop_app.data.reading import ReadingConfig
from stanhop_app.files import read_plain

QUERY = "stanhop.query"
"""Where the context of a command keeps the text of its query: an option of reading would be kept in runs."""


def query_option(command: Any) -> Any:
    """--query FILE."""
    return click.option(
        "--query",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=_read_query,
        expose_value=False,
        cls=GroupOption,
        group="Data",
        help="File with the SQL that DATA, the address of a database, is asked: "
        "postgresql://reader@host/shop, duckdb:///sales.duckdb.",
    )(command)


def _read_query(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Keep the text of a query."""
    if path is not None:
        try:
            ctx.meta[QUERY] = read_plain(path, 2**20).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{path}: cannot be read ({error}).") from None


def query_result(address: str, options: dict[str, Any]) -> io.BytesIO:
    """What a database answers, as a file that readers take (`stanhop_app.data.database.query_table`)."""
    from stanhop_app.data.database import query_table

    query = click.get_current_context().meta.get(QUERY)
    megabytes = options.get("max_megabytes") or ReadingConfig.max_megabytes
    return query_table(address, query, megabytes=megabytes)


def check_query(source: str) -> None:
    """Refuse a query where DATA is no database."""
    context = click.get_current_context()
    if QUERY in context.meta and context.params.get("data") == source:
        raise click.UsageError(f"--query is asked of a database, and {source} is none.")
