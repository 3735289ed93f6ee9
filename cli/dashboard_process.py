"""The process of the dashboard: Streamlit's server, which a signal ends as it ends every command.

`stanhop dashboard` becomes this process, so that settings of the C library hold from its start. Streamlit
takes signals when it serves; until then, and after, they are taken here.
"""

import runpy
import sys

from stanhop_app.cli import interrupts


def main() -> None:
    """Run ``streamlit`` with the arguments of this process, until somebody stops it."""
    interrupts.leave_at_once()
    interrupts.let_through()
    try:
        runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise
    interrupts.leave_at_once()
    # It serves until it is stopped, and then says nothing of that. What it started ends by ``atexit``.
    print(f"\n{interrupts.INTERRUPTED}", file=sys.stderr)
    sys.exit(interrupts.EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
