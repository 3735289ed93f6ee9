"""Options of commands, built from the dataclass fields that declare them (`stanhop_app.options`)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeVar

import click

from stanhop_app.errors import OptionError
from stanhop_app.options import Option, options_of, split_names

F = TypeVar("F", bound=Callable[..., Any])


class Registered(click.Choice[str]):
    """One of the names that are registered when it is asked, those that were added later too."""

    def __init__(self, names: Callable[[], tuple[str, ...]]):
        self._names = names
        super().__init__(names())

    @property
    def choices(self) -> tuple[str, ...]:
        """The names."""
        return self._names()

    @choices.setter
    def choices(self, names: tuple[str, ...]) -> None:
        pass


class Grouped(click.Command):
    """A command whose help shows its options in groups, those that people use first before all."""

    def __init__(self, *args: Any, first: Sequence[str] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.first = tuple(first)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group."""
        sections: dict[str, list[tuple[str, str]]] = {"Used first": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or not isinstance(parameter, click.Option):
                continue
            group = getattr(parameter, "group", None) or "Help"
            if parameter.name in self.first:
                group = "Used first"
            sections.setdefault(group, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class GroupOption(click.Option):
    """An option that knows its group."""

    def __init__(self, *args: Any, group: str | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.group = group


def flags(
    config: type,
    *,
    only: Iterable[str] | None = None,
    but: Iterable[str] = (),
    group: str | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Give a command a flag for every option of a dataclass.

    Args:
        config: the dataclass.
        only: names of the options; None: all.
        but: names that are left out.
        group: heading under which help shows them (`Grouped`).
        defaults: other defaults than the fields have, for this command.
    """
    known = options_of(config)
    chosen = [name for name in (known if only is None else only) if name not in set(but)]

    def decorate(command: F) -> F:
        for name in reversed(chosen):
            command = _flag(known[name], group, (defaults or {}).get(name, known[name].default))(
                command
            )
        return command

    return decorate


def flag_names(config: type, but: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the options of a dataclass, but for some."""
    return tuple(name for name in options_of(config) if name not in set(but))


def _flag(known: Option, group: str | None, default: Any) -> Callable[[F], F]:
    flag = "--" + known.name.replace("_", "-")
    settings: dict[str, Any] = {
        "help": known.sentence,
        "default": None if default is MISSING else default,
        "show_default": default not in (None, MISSING),
        "metavar": known.metavar,
        "cls": GroupOption,
        "group": group,
    }
    if known.kind is bool:
        on, off = known.flags or (flag, "--no-" + flag[2:])
        return click.option(f"{on}/{off}" if off else on, known.name, is_flag=True, **settings)
    if known.kind is list:
        return click.option(flag, callback=names, **settings)
    if known.kind is tuple:
        return click.option(flag, type=(float, float), **settings)
    if callable(known.choices):
        return click.option(flag, type=Registered(known.choices), **settings)
    if known.choices is not None:
        return click.option(flag, type=click.Choice(known.choices), **settings)
    return click.option(flag, type=known.kind, **settings)


def names(ctx: click.Context, parameter: click.Parameter, value: Any) -> list[str] | None:
    """Callback of options such as a,b or "a, b",c; None where there is no default and nothing is said."""
    if value is None or isinstance(value, list):
        return value
    try:
        return split_names(str(value))
    except OptionError as error:
        raise click.BadParameter(str(error)) from None


def fractions(ctx: click.Context, parameter: click.Parameter, value: Any) -> list[float] | None:
    """Callback of options such as 80,95 or 0.1,0.9; None where there is no default and nothing is said."""
    if value is None or isinstance(value, list):
        return value
    try:
        return [float(part) for part in str(value).split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 80,95.") from None


def numbers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """Callback of options such as 24,96; None where there is no default and nothing is said."""
    if value is None:
        return None
    try:
        return [int(part) for part in str(value).split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 24,96.") from None
