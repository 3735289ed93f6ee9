"""Files that survive: atomic writes, plain JSON and CSV, checksums. Nothing here needs torch."""

import contextlib
import csv
import errno
import hashlib
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from stanhop_app.errors import OptionError, StorageError

PART = ".part"
"""Ending of temporary files."""
DIGITS = 12
"""Digits of a SHA-256 in the name of a file."""
LARGEST, LARGEST_JSON = 2**34, 2**28
"""Bytes of the largest file of tensors, and of the largest one of JSON, that is read."""
PIECE = 2**20
"""Bytes that are read at once."""


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: all or nothing.

    Raises:
        StorageError: if it cannot be written; what was there is kept.
    """
    _replace(path, write, lambda temporary: path)


def write_hashed(path: Path, write: Callable[[Path], object]) -> str:
    """Let ``write`` fill a file beside ``path`` that is named after its content (`hashed_name`).

    Returns:
        The SHA-256 of what was written, which need not be what lies under the name later.

    Raises:
        StorageError: if it cannot be written.
    """
    digests: list[str] = []

    def name(temporary: Path) -> Path:
        digests.append(sha256(temporary))
        return path.with_name(hashed_name(path.name, digests[0]))

    _replace(path, write, name)
    return digests[0]


def _replace(path: Path, write: Callable[[Path], object], name: Callable[[Path], Path]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        try:
            write(temporary)
            temporary.replace(name(temporary))
        finally:
            temporary.unlink(missing_ok=True)
    except StorageError:
        raise
    except OSError as error:
        kept = "the one that was there is kept" if path.exists() else "nothing was written"
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written ({reason}); {kept}.") from error


def hashed_name(name: str, sha256: str) -> str:
    """Name of a file that says what is in it: model-0123456789ab.safetensors.

    A new version lies beside the old one under another name, and is the one that counts as soon as the
    one file that names it is replaced.
    """
    path = Path(name)
    return f"{path.stem}-{sha256[:DIGITS]}{path.suffix}"


def find_hashed(path: Path, sha256: str) -> Path:
    """Where a file of this content lies: under its hashed name, or, of older versions, under its own."""
    hashed = path.with_name(hashed_name(path.name, sha256))
    return path if path.exists() and not hashed.exists() else hashed


def is_hashed(entry: str, name: str) -> bool:
    """Whether an entry of a folder is called as a version of this file is, or as a file on its way is."""
    path = Path(name)
    pattern = rf"{re.escape(path.stem)}-[0-9a-f]{{{DIGITS}}}{re.escape(path.suffix)}"
    return re.fullmatch(pattern, entry) is not None


def is_part(entry: str) -> bool:
    """Whether an entry of a folder is a temporary file of `write_atomic`, which a kill may leave."""
    return entry.startswith(".") and entry.endswith(PART)


def to_json(content: Any, **options: Any) -> str:
    """JSON text; numpy numbers become plain ones, NaN is refused."""
    return json.dumps(content, allow_nan=False, default=_plain, **options)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, indented, with a final newline. NaN is refused."""
    write_text(path, to_json(content, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as CSV, atomically."""

    def write(file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    write_atomic(path, write)


@contextlib.contextmanager
def open_plain(path: Path, most: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file of a folder that somebody else may have filled: no pipe, no device, which never end.

    Args:
        path: of the file.
        most: bytes that it may say it has; a file of holes says so without having them. None: any.

    Raises:
        OSError: if it is none, is larger, or cannot be opened.
    """
    # Without O_NONBLOCK to open a pipe is to wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        if most is not None and os.fstat(descriptor).st_size > most:
            raise OSError(errno.EFBIG, f"has more than {most // 2**20:,} MB", str(path))
        yield file


def read_plain(path: Path, most: int = LARGEST) -> bytes:
    """What a plain file holds.

    Raises:
        OSError: if it is no plain file, or larger.
    """
    with open_plain(path, most) as file:
        content = read_up_to(file, most)
    if len(content) > most:  # it grew meanwhile
        raise OSError(errno.EFBIG, f"has more than {most // 2**20:,} MB", str(path))
    return content


def read_mapping(path: Path, most: int = LARGEST_JSON) -> dict[str, Any]:
    """The mapping that a JSON file holds.

    Raises:
        OSError: if it is no plain file, or too large.
        OptionError: if it holds no mapping, is no JSON, or is nested too deeply.
    """
    try:
        content = json.loads(read_plain(path, most), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise OptionError(" ".join(str(error).split()) or type(error).__name__) from None
    if not isinstance(content, dict):
        raise OptionError("it holds no JSON object")
    return content


def _no_number(name: str) -> Any:
    raise OptionError(f"{name} is no number of JSON")


class Readable(Protocol):
    """A file, a pipe or an answer."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def read_up_to(file: Readable, most: int, *, seconds: float = math.inf) -> bytes:
    """All that a file, a pipe or an answer holds; of more than ``most`` bytes the first ``most + 1``.

    It reads piece by piece, so that the memory it takes is that of what is there.

    Raises:
        TimeoutError: if it is not there after some seconds; a server may send one byte a minute.
    """
    read = getattr(file, "read1", file.read)
    content, end = bytearray(), time.monotonic() + seconds
    while len(content) <= most and (part := read(min(PIECE, most + 1 - len(content)))):
        content += part
        if time.monotonic() > end:
            raise TimeoutError(f"not there after {seconds:g} s")
    return bytes(content)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: if it is no plain file, or larger than any that is read.
    """
    with open_plain(path, LARGEST) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
