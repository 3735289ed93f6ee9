"""stanhop serve RUN."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flag_names, flags
from stanhop_app.cli.options import config_option, echo

from stanhop_app.runs.serving.config import ServeConfig


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
    from stanhop_app.runs.serving.server import application
    from stanhop_app.runs.serving.service import Service

    config = ServeConfig(**{name: options.pop(name) for name in flag_names(ServeConfig)})
    app = application(Service(run, trust=trust), config)
    import uvicorn

    if config.host not in ("127.0.0.1", "::1", "localhost"):
        echo(f"{config.host}: whoever reaches this address can ask")
    echo(f"serving {run} at http://{config.host}:{config.port} (Ctrl-C ends it)")
    server = uvicorn.Server(
        uvicorn.Config(app, host=config.host, port=config.port, log_level="warning")
    )
    server.run()
    if not server.started:
        raise click.ClickException(f"port {config.port} cannot be opened; choose another --port.")
