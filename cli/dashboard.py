"""stanhop dashboard."""

import os
import socket
import sys
from pathlib import Path

import click
from stanhop_app.cli.interrupts import hold_back
from stanhop_app.cli.options import config_option, echo
from stanhop_app.ui import UPLOAD_MEGABYTES, contrast

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS = ("0.0.0.0", "::")
OPENS = "STANHOP_OPENS"
"""Variable of the environment that tells the server which address a browser is to be opened at."""
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
"""Settings of the C library by which a server of many threads gives back what a page has used."""


@click.command("dashboard")
@config_option
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs and of compare results; nothing outside it can be opened.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8501,
    show_default=True,
    help="Port to listen on; 0: any that is free.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser.")
def command(runs: Path, host: str, port: int, browser: bool) -> None:
    """Open the dashboard on this machine.

    It shows the runs in --runs, and the embedded sample where there is none yet. Stop it with Ctrl-C.

    \b
    stanhop dashboard --port 8600 --no-browser
    """
    app = Path(__file__).resolve().parents[1] / "ui" / "app.py"
    port = port or _free(host)
    settings = {
        "server.address": host,
        "server.port": str(port),
        # Not headless, Streamlit asks for an e-mail address before it serves, and lets visitors install files
        # for agents beside the app. A browser is opened by `dashboard_process`.
        "server.headless": "true",
        "server.showEmailPrompt": "false",
        "server.maxUploadSize": str(UPLOAD_MEGABYTES),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        **contrast.SETTINGS,
    }
    flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
    # A foreign name that resolves to this machine (DNS rebinding) must not get at the dashboard. Which names
    # lead to every address of the machine cannot be known.
    hosts = ("*",) if host in EVERY_ADDRESS else dict.fromkeys((*LOOPBACK, host))
    flags += [word for name in hosts for word in ("--server.allowedHosts", name)]
    if host not in LOOPBACK:
        echo(f"anybody who reaches {host}:{port} can use this dashboard; it asks for no password.")
    environment = {**MEMORY, **os.environ, "STANHOP_RUNS": str(runs.resolve())}
    shown = "127.0.0.1" if host in EVERY_ADDRESS else host
    if browser:
        environment[OPENS] = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    # In this process's place: who stops the command stops the server.
    sys.stdout.flush()
    server = [sys.executable, "-m", "stanhop_app.cli.dashboard_process", "run", str(app), *flags]
    hold_back()  # until the new program takes signals
    os.execve(sys.executable, server, environment)


def _free(host: str) -> int:
    """A port that nobody listens on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as one:
        one.bind((host, 0))
        port: int = one.getsockname()[1]
        return port
