"""stanhop serve RUN."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import flag_names, flags
from stanhop_app.cli.options import config_option, echo

from stanhop_app.runs.serving.config import ServeConfig

if TYPE_CHECKING:
    import socket


@click.command("serve")
@click.argument("run", type=click.Path(path_type=Path))
@flags(ServeConfig)
@click.option(
    "--trust",
    is_flag=True,
    help="Also load an exported program of torch (torch-export), which can run code of whoever wrote it.",
)
@config_option
def command(run: Path, trust: bool, **options: Any) -> None:
    """Answer requests for forecasts over HTTP, by the model in RUN or in an exported folder.

    A table as JSON, CSV or Parquet is read as that of the training was; a window of numbers is forecast with
    others that came at once. Nothing is kept of what comes. There is no password: put a server that asks for
    one before it, where others than this machine may ask.

    \b
    stanhop serve runs/etth1-h24
    curl --data-binary @new.csv -H 'Content-Type: text/csv' 'http://127.0.0.1:8808/forecast?levels=80'
    """
    from stanhop_app.runs.serving.server import LOOPBACK, application
    from stanhop_app.runs.serving.service import Service

    config = ServeConfig(**{name: options.pop(name) for name in flag_names(ServeConfig)})
    app = application(Service(run, trust=trust), config)
    import uvicorn

    address = opened(config.host, config.port)
    if config.host not in LOOPBACK:
        echo(f"{config.host}: whoever reaches this address can ask")
    name = f"[{config.host}]" if ":" in config.host else config.host
    echo(f"serving {run} at http://{name}:{address.getsockname()[1]} (Ctrl-C ends it)")
    with address:
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[address])


def opened(host: str, port: int) -> "socket.socket":
    """A socket that listens.

    Raises:
        click.UsageError: if the address cannot be opened.
    """
    import socket

    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        address = socket.socket(family, kind, protocol)
    except OSError as error:
        raise click.UsageError(f"{host}: is no address ({error.strerror or error}).") from None
    try:
        address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address.bind(place)
    except OSError as error:
        address.close()
        raise click.UsageError(
            f"{host}, port {port}: cannot be opened ({error.strerror or error}); choose another --port."
        ) from None
    return address
