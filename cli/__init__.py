"""stanhop: the command line. One file a command; `stanhop_app.cli.group` names them all."""

import sys

from stanhop_app.cli import interrupts


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; from here on SIGINT and SIGTERM leave no trace."""
    interrupts.leave_at_once()
    from stanhop_app.cli.group import run  # click and all that it needs

    interrupts.raise_first()
    code = run(arguments)
    interrupts.finish(code)
    sys.exit(code)
