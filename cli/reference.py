"""The reference of all commands, as Markdown: ``python -m stanhop_app.cli.reference > cli/README.md``."""

from collections.abc import Iterator
from inspect import cleandoc

import click
from stanhop_app.cli.group import group

HEAD = """# Commands

One file a command: what it is told, one call of the library, what it prints. Options that are fields of
a dataclass are made from it (`flags.py`); what several commands share is in `options.py`. One more
command is a file with a function `command`, and its line in `COMMANDS` (`group.py`).

This page is written by `python -m stanhop_app.cli.reference > cli/README.md`, and a test holds it to
the commands. Every option can also stand in a TOML file (`--config`, without dashes, `_` for `-`) and in
the environment (`STANHOP_TRAIN_HORIZON` for `stanhop train --horizon`); flags come first.
"""


def commands(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be run, with the words that name it."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            yield from commands(child, (*words, name))


def reference() -> str:
    """The page."""
    parts = [HEAD]
    for words, command in commands(group):
        context = click.Context(command, info_name=" ".join(("stanhop", *words)))
        usage = " ".join(piece for piece in command.collect_usage_pieces(context))
        parts.append(f"## stanhop {' '.join(words)}\n\n`stanhop {' '.join(words)} {usage}`\n")
        parts.append(f"{cleandoc(command.help or '').split(chr(8))[0].strip()}\n")
        rows = [
            option.get_help_record(context)
            for option in command.params
            if isinstance(option, click.Option)
        ]
        lines = [f"| `{row[0]}` | {row[1]} |" for row in rows if row]
        if lines:
            parts.append(
                "\n".join(["| option | what it does |", "|---|---|", *map(_cell, lines)]) + "\n"
            )
    return "\n".join(parts)


def _cell(line: str) -> str:
    """A row with the bars of choices, [a|b], escaped."""
    inner = line[2:-2]
    name, _, help = inner.partition("` | ")
    return f"| {name.replace('|', chr(92) + '|')}` | {help.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
