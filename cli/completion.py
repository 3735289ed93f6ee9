"""stanhop completion SHELL."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    For bash: stanhop completion bash >> ~/.bashrc
    """
    from stanhop_app.cli.group import group

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(group, {}, "stanhop", "_STANHOP_COMPLETE").source())
