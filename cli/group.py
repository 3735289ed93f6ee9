"""The group of all commands, which are imported when they are named; errors become exit codes."""

import importlib
import os
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import Any

import click
from stanhop_app.cli import interrupts
from stanhop_app.cli.interrupts import EXIT_INTERRUPTED, INTERRUPTED

from stanhop_app.errors import TableWarning, shown
from stanhop_app.version import __version__

COMMANDS = {
    "train": "Train a forecaster and score it beside the baselines.",
    "forecast": "Forecast the steps after the last row.",
    "update": "Take in rows that came since a run was trained.",
    "memory": "Add, tell and bound the external memory of a run.",
    "backtest": "Forecast at many past cut-offs, beside what came.",
    "monitor": "Say whether a run still forecasts as it did; exit code 5: train again.",
    "evaluate": "Score a trained run, beside the baselines.",
    "benchmark": "Train and score horizons and splits; write one table.",
    "outliers": "Measure the outliers of a run's activations.",
    "quantize": "Score a run in simulated low-bit arithmetic.",
    "export": "Write a run as ONNX, int8 ONNX or torch.export.",
    "verify": "Check every file of a run against its checksum.",
    "serve": "Answer requests for forecasts over HTTP.",
    "tune": "Search options of train on validation rows, resumable.",
    "compare": "Compare attention variants: errors, outliers, bits, speed.",
    "compare-memory": "Compare dense and memory layers, with ablations.",
    "suite": "Train, evaluate and compare BERT, OPT and ViT.",
    "theory": "Associative memories: energies, capacity, noise.",
    "dashboard": "Open the dashboard in a browser.",
    "data": "List, fetch and describe data.",
    "completion": "Print the completion script of a shell.",
}
EXIT_FAILURE, EXIT_USAGE, EXIT_DATA, EXIT_ARTEFACT = 1, 2, 3, 4


@dataclass
class Settings:
    """What is said before the command."""

    debug: bool = False


class Lazy(click.Group):
    """A group that imports a command only to run it, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stanhop_app.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write names and summaries without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=Lazy,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "STANHOP",
        "max_content_width": 100,
    },
    epilog="Start with: stanhop train etth1",
)
@click.version_option(__version__, "-V", "--version", package_name="stanhop-app")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
@click.pass_obj
def group(settings: "Settings | None", debug: bool) -> None:
    """Forecast multivariate time series with STanHop-Net on outlier-efficient Hopfield layers.

    Data go to standard output, messages to standard error. Exit codes: 0 done, 1 failed, 2 usage, 3
    data, 4 run folder, 130 interrupted.
    """
    if settings is not None:
        settings.debug = debug


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; errors that a user can mend become one line and an exit code."""
    settings = Settings()
    warnings.simplefilter(
        "ignore", TableWarning
    )  # commands say it themselves, by the name of the file
    try:
        result: Any = group.main(
            arguments, prog_name="stanhop", standalone_mode=False, obj=settings
        )
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(INTERRUPTED, err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader left; nothing more can be written, not even by the interpreter on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if settings.debug:
            traceback.print_exc()
        if interrupts.came():  # a library made another error of it, as imports do
            click.echo(INTERRUPTED, err=True)
            return EXIT_INTERRUPTED
        code = exit_code(error)
        if code is not None:
            click.echo(f"stanhop: {error}", err=True)
            return code
        what = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(
            f"stanhop: this is a defect of stanhop, please report it ({what}); "
            "`stanhop --debug COMMAND ...` shows where it happened.",
            err=True,
        )
        return EXIT_FAILURE


def _show(error: click.ClickException) -> None:
    """One line, with names of somebody else's in it made safe to show; click alone takes four."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    text = f"stanhop: {' '.join(error.format_message().split())}"
    context = getattr(error, "ctx", None)
    if context is not None:
        ended = "" if text.endswith((".", "?", "!")) else "."
        text += f"{ended} See `{context.command_path} --help`."
    click.echo(shown(text, longest=None), err=True)


def exit_code(error: Exception) -> int | None:
    """Exit code of an error that a user can mend, or None for a defect of ours."""
    from stanhop_app.errors import ArtefactError, DataError, OptionError, StanhopError

    for kind, code in (
        (OptionError, EXIT_USAGE),
        (DataError, EXIT_DATA),
        (ArtefactError, EXIT_ARTEFACT),
        (StanhopError, EXIT_FAILURE),
        (OSError, EXIT_FAILURE),  # a full disk, a folder that may not be written
    ):
        if isinstance(error, kind):
            return code
    return None
