"""Commands as they are typed, from options."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def flags(options: Mapping[str, Any]) -> list[str]:
    """Options by name as the commands are told them: ``--no-x`` for False, nothing for None."""
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple | list):
            words += [f"--{flag}", *map(str, value)]
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words


def spell(words: Sequence[str], options: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """A command with those options that are not the defaults.

    Args:
        words: of the command, without ``stanhop``.
        options: by name, JSON values.
        defaults: by name; what has none is said.
    """
    own = {
        name: value
        for name, value in options.items()
        if name not in defaults or _plain(value) != _plain(defaults[name])
    }
    return shlex.join(["stanhop", *words, *flags(own)])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
