"""stanhop verify FOLDER."""

from pathlib import Path

import click
from stanhop_app.cli.options import echo, json_option, switch


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@switch("trust", "Also load an exported program of torch, which can run code of whoever wrote it.")
@json_option
def command(folder: Path, trust: bool, as_json: bool) -> None:
    """Check every file of FOLDER, a run, a run of the suite or an export, against its checksum.

    Then the model is opened, as a forecast would. Exit code 0: all is as it was written; 4: it is not, or it
    is of an older version without checksums.

    \b
    stanhop verify runs/etth1-h24
    """
    from stanhop_app.files import to_json
    from stanhop_app.runs.verifying import verify

    files = verify(folder, trust=trust)
    if as_json:
        click.echo(to_json({"folder": str(folder), "files": files}, indent=2))
        return
    for name, digest in files.items():
        click.echo(f"{digest[:16]}  {name}")
    echo(f"{folder}: {len(files)} files are as they were written")
