"""Run the command line with ``python -m stanhop_app.cli``."""

from stanhop_app.cli import main

main()
