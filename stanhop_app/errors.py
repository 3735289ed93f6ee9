"""Errors that a user can mend. Each message is one line: what, where, and what to do.

All have one base, so that whoever calls can tell them from defects: the command line makes one line and an
exit code of a `StanhopError`, and calls every other exception a defect of stanhop.
"""

import contextlib
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Literal

LONGEST = 2000
"""Characters of a message that are shown: a table may have a thousand columns with long names."""


class TableWarning(UserWarning):
    """What was done to a table that a user should know, such as values filled; commands and pages say it."""


_FILTERS = threading.RLock()


@contextlib.contextmanager
def warnings_as(
    action: Literal["ignore", "error"], kind: type[Warning] = Warning
) -> Iterator[None]:
    """Treat the warnings of one kind so inside the block, in one thread at a time.

    Python keeps the filters once for all threads (before 3.14): two threads that change them at once leave
    each other's behind, so that a warning that a reader relies on as an error is never raised. Hence one lock
    for every place of this package that changes them.

    Args:
        action: what is done with a warning.
        kind: the class of warnings that it is done with.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter(action, kind)
        yield


class StanhopError(Exception):
    """Anything that this package refuses. The message is made safe to show (`shown`)."""

    def __init__(self, message: str = ""):
        super().__init__(shown(message))


def shown(text: str, *, longest: int | None = LONGEST) -> str:
    """Text with names of somebody else's in it, safe for a terminal: one line breaks where it does.

    Control characters, which could move the cursor or hide what was said, and those that turn the direction
    of writing are shown as Python writes them; line breaks and tabs stay.

    Args:
        text: any.
        longest: characters, of which the middle is left out beyond it; None: all are shown.

    Examples:
        >>> print(shown("the column '\x1b[2J\u202eevil' is empty"))
        the column '\\x1b[2J\\u202eevil' is empty
    """
    if longest is not None and len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _unsafe(c) else _escaped(c) for c in text)


def _unsafe(character: str) -> bool:
    """Control, format (bidirectional and invisible) and surrogate characters, separators of lines."""
    joiner = character in "\u200c\u200d"  # some scripts are written with them
    return not joiner and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class OptionError(StanhopError, ValueError):
    """An option, an argument or a name that cannot be, alone or with others."""


class DataError(StanhopError, ValueError):
    """A table that cannot be used as it is; names the file or frame, the column and the row."""


@contextlib.contextmanager
def concerning(name: object) -> Iterator[None]:
    """Let what is said of a table begin with its file, where it does not name it: a frame has no name.

    Args:
        name: as the user gave it; None: nothing was given.
    """
    try:
        yield
    except DataError as error:
        if name is None or str(name) in str(error):
            raise
        raise DataError(f"{name}: {error}") from None


class ArtefactError(StanhopError, ValueError):
    """A run folder that is missing, damaged, foreign, or made by a newer format."""


class CheckpointError(ArtefactError):
    """A checkpoint of another configuration or of another version of the loop."""


class TrainingError(StanhopError, RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class BusyError(StanhopError, RuntimeError):
    """A folder that another process writes into."""


class StorageError(StanhopError, OSError):
    """A file that cannot be written: the disk is full, or the folder is closed to us."""


class ExportError(StanhopError, RuntimeError):
    """An export that is not possible: what is missing, or what the export does that the network does not."""


class ConversionError(ExportError):
    """A network that an exporter cannot express."""
