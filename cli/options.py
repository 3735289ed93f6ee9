"""Options that several commands share."""

import io
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from stanhop_app.cli.flags import GroupOption, flag_names, flags, numbers
from stanhop_app.cli.query import check_query, query_option, query_result

from stanhop_app.data.addresses import check_scheme, is_database
from stanhop_app.data.reading import ReadingConfig
from stanhop_app.errors import shown
from stanhop_app.files import read_plain
from stanhop_app.layers.names import MODULE_SETS
from stanhop_app.options import join_names

if TYPE_CHECKING:
    from stanhop_app.forecasting.outlook.outlook import Outlook
    from stanhop_app.runs.run import Run

READING = flag_names(ReadingConfig)
"""Names of `data_options`."""


def data_options(command: Any) -> Any:
    """How a table is read: the fields of `ReadingConfig`, and the query of a database."""
    return flags(ReadingConfig, group="Data")(query_option(command))


F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


PATH = click.Path(path_type=Path)
"""A path of this machine."""


def output_option(text: str, *, required: bool = False, kind: Any = PATH) -> Decorator[Any]:
    """--output PATH; text where it may be a URL, which no path is."""
    return click.option(
        "--output",
        "-o",
        type=kind,
        required=required,
        cls=GroupOption,
        group="Output",
        help=text,
    )


def page_option(name: str = "report") -> Decorator[Any]:
    """--report PAGE, or --plot PAGE: what is drawn as HTML."""
    return click.option(
        f"--{name}",
        type=click.Path(path_type=Path),
        help="Also write tables and figures into this HTML page, which needs no network.",
    )


def switch(name: str, text: str, *words: str) -> Decorator[Any]:
    """A flag without a value."""
    return click.option(
        f"--{name}", *words, is_flag=True, cls=GroupOption, group="Output", help=text
    )


force_option = switch("force", "Overwrite files of an earlier command.")
quiet_option = switch("quiet", "No progress bars.", "-q")
json_option = switch("json", "One JSON object on standard output, no tables.", "as_json")
resume_option = switch("resume", "Go on from the run folder's checkpoint.")
modules_option = click.option(
    "--modules",
    type=click.Choice(MODULE_SETS),
    default=MODULE_SETS[0],
    show_default=True,
    help="Set of modules that kurtosis and max norm are shown over; the file has all three.",
)


def listed(
    name: str, text: str, default: str | None = None, *, kind: Any = numbers
) -> Decorator[Any]:
    """A flag whose value is a list: 24,96 or a,b."""
    return click.option(
        f"--{name}", default=default, show_default=default is not None, callback=kind, help=text
    )


def config_option(command: F) -> F:
    """--config FILE: a TOML file of options; flags and environment variables go before it."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=_read_config,
        is_eager=True,
        expose_value=False,
        cls=GroupOption,
        group="Output",
        help="TOML file with options by name; flags and environment variables come first.",
    )(command)


def _read_config(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        content = tomllib.loads(read_plain(path, 2**24).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise click.UsageError(f"{path}: not TOML ({error}).") from None
    known = {name: p for p in ctx.command.params for name in _spellings(p)}
    defaults = {}
    for name, value in content.items():
        option = known.get(name.replace("-", "_"))
        if option is None:
            raise click.UsageError(
                f"{path}: unknown option {name!r}; choose from: {', '.join(sorted(known))}."
            )
        if isinstance(option.type, click.types.IntParamType) and isinstance(value, float):
            raise click.UsageError(f"{path}: {name} must be a whole number, got {value}.")
        listed = isinstance(value, list) and option.nargs == 1  # as a flag would say it: a,b
        defaults[option.name] = join_names(value) if listed else value
    ctx.default_map = defaults


def _spellings(parameter: click.Parameter) -> list[str]:
    """How a parameter is written in a file: its flag without dashes, format for --format."""
    flags = [flag.lstrip("-").replace("-", "_") for flag in parameter.opts if flag.startswith("--")]
    return flags if isinstance(parameter, click.Option) else []


results_option = output_option("JSON file; cells that it has are not made again.", required=True)
"""Where a study keeps its cells."""


def read_data(
    source: str,
    options: dict[str, Any],
    hints: Mapping[str, Any] | None = None,
    reader: Callable[..., Any] | None = None,
    called: str | None = None,
) -> Any:
    """A data set by name, a file by path, or standard input as ``-``; what was done to it is said.

    Args:
        source: as the user named it.
        options: fields of `ReadingConfig`.
        hints: what another table of the kind proved (`stanhop_app.data.frame.to_frame`).
        reader: `stanhop_app.data.frame.read_frame` by default; `stanhop_app.data.series.read_any` also takes
            a long table as many series.
        called: what standard input is called.
    """
    from stanhop_app.data.frame import read_frame

    table = read_source(source, options, hints, reader or read_frame, called)
    for note in table.attrs["notes"] if hasattr(table, "attrs") else table.notes:
        echo(f"{called or 'standard input' if source == '-' else source}: {note}")
    return table


def read_source(
    source: str,
    options: dict[str, Any],
    hints: Mapping[str, Any] | None,
    reader: Callable[..., Any],
    called: str | None = None,
) -> Any:
    """What a reader such as `read_frame` makes of a source; arguments as of `read_data`."""
    from stanhop_app.datasets import DATASETS

    if source == "-" and "LOCAL_RANK" in os.environ:
        raise click.UsageError("several processes cannot read standard input; use a file.")
    if source == "-":
        stream = io.BytesIO(sys.stdin.buffer.read())
        if called is not None:
            stream.name = called
        return reader(stream, hints=hints, **options)
    if is_database(source):
        return reader(query_result(source, options), hints=hints, **options)
    check_scheme(source)
    check_query(source)
    if source in DATASETS and not Path(source).is_file():
        return reader(DATASETS[source].locate(), hints=hints, **options)
    return reader(source, hints=hints, **options)


def open_run(
    path: Path,
    data: str | None,
    options: dict[str, Any],
    command: str,
    *,
    needed: bool = True,
) -> "Run":
    """The run that a command is about, with its table, which is read as the one of the training was.

    Args:
        path: the run folder.
        data: the table as the user named it; None: the data set of the training, if it has a name, or the
            rows that the run keeps, if these are all of it.
        options: how the user wants it read.
        command: for the message that asks for a table.
        needed: whether there must be a table; else it is read only where it was named.
    """
    from stanhop_app.datasets import DATASETS

    from stanhop_app.runs.run import Run

    run = Run.open(path)
    if data is None:
        if not needed:
            return run
        # A path in a file of somebody's is not followed; the name of a data set is harmless.
        data = run.source.get("data")
        if data not in DATASETS and run.keeps_all and (kept := run.on_kept()).is_trained_table:
            echo(f"the table: the {len(run.fitted.rows):,} rows that {path} keeps")
            return kept
        if data not in DATASETS:
            raise click.UsageError(f"name the table: stanhop {command} {path} FILE.")
    return run.on(
        read_data(data, *as_trained(run.forecaster, options), reader_of(run.fitted.outlook))
    )


def reader_of(outlook: "Outlook") -> Callable[..., Any]:
    """What reads a table for a run or an export: many series for one that was trained on such."""
    from stanhop_app.data.frame import read_frame
    from stanhop_app.data.series import read_any, read_series

    if outlook.is_wide:
        return read_frame
    if outlook.series is None:
        return read_any
    known = {"id_column": outlook.series.id_name, "frequency": outlook.frequency}

    def read(source: Any, *, hints: Any, **options: Any) -> Any:
        given = {name: value for name, value in options.items() if value is not None}
        return read_series(source, hints=hints, **{**known, **given})

    return read


def as_trained(forecaster: Any, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How to read a table for a run or an export: as its own was, except where said otherwise; and hints.

    What was said for the training holds; what its table proved decides where this one proves nothing.
    """
    kept, hints = forecaster.read_as()
    context = click.get_current_context()
    unsaid = (None, click.core.ParameterSource.DEFAULT)  # None: the command has no such option
    named = {n: v for n, v in given.items() if context.get_parameter_source(n) not in unsaid}
    return {**given, **kept, **named}, hints


def is_default(name: str) -> bool:
    """Whether an option is what it is where nobody says anything."""
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.DEFAULT


def echo(text: str = "") -> None:
    """Say something to the person at the terminal: standard error."""
    click.echo(shown(text, longest=None), err=True)
