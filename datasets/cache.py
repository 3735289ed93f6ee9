"""Where fetched files lie: a folder of the user's choice, and the user's cache."""

import gzip
import hashlib
import http.client
import io
import os
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil
from stanhop_app.datasets.checksum import verify

from stanhop_app.errors import DataError, OptionError
from stanhop_app.files import read_up_to, write_atomic

LARGEST = 2**28
"""Bytes that a fetched file may have."""
SECONDS = 120.0
"""Time that a fetch may take in all."""
FAILURES = (OSError, ValueError, KeyError, tarfile.TarError, subprocess.SubprocessError)
"""What a source may fail with; the next one is asked then."""


def folders() -> list[Path]:
    """Where a file may lie: ``$STANHOP_DATA_DIR`` if set, then the user's cache, which is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stanhop"
    chosen = os.environ.get("STANHOP_DATA_DIR")
    return [Path(chosen), cache] if chosen else [cache]


def locate(name: str, sha256: str, sources: Sequence[Callable[[], bytes]]) -> Path:
    """The verified path of a file, fetched into the user's cache on first use.

    Args:
        name: of the file.
        sha256: of its content, checked every time.
        sources: asked in order; their docstrings say what they are.

    Raises:
        DataError: if no source answers, or a file has the wrong checksum.
    """
    path = next((f / name for f in folders() if (f / name).exists()), None)
    if path is None:
        path = folders()[-1] / name
        _fetch(path, sha256, sources)
    verify(path, sha256)
    return path


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    write_atomic(path, lambda file: file.write_bytes(content))


def _sweep(path: Path) -> None:
    """Remove what fetches of this file that were killed have left; others may be at it now."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        number = left.name.split(".")[-2]
        if not (number.isdecimal() and psutil.pid_exists(int(number))):
            left.unlink(missing_ok=True)


def read_answer(answer: IO[bytes]) -> bytes:
    """What a server sends, within a size and a total time.

    Raises:
        OSError: if it is more, or takes longer.
    """
    content = read_up_to(answer, LARGEST, seconds=SECONDS)
    if len(content) > LARGEST:
        raise OSError(f"more than {LARGEST // 2**20} MB")
    return content


def fetch(url: str) -> bytes:
    """What a public home sends.

    Raises:
        OSError: if it does not, with the reason.
    """
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return read_answer(answer)
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error


def original(names: Sequence[str], sha256: str, url: str) -> bytes:
    """A file as its authors published it, unpacked: from the folders, by any of its names, or from its home.

    Args:
        names: with or without ``.gz``.
        sha256: of what is inside.
        url: of its home.

    Raises:
        OSError: if it cannot be read or fetched.
        ValueError: if it is another one.
    """
    path = next((f / name for f in folders() for name in names if (f / name).exists()), None)
    content = fetch(url) if path is None else path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = read_up_to(gzip.GzipFile(fileobj=io.BytesIO(content)), LARGEST)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OptionError(f"{path or url}: checksum does not match")
    return content


def _fetch(path: Path, sha256: str, sources: Sequence[Callable[[], bytes]]) -> None:
    """Fetch a file from the first source that has it; a wrong checksum is never kept."""
    failures: list[str] = []
    for source in sources:
        name = (source.__doc__ or "").rstrip(".")
        try:
            content = source()
        except FAILURES as error:
            failures.append(f"{name}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            failures.append(f"{name}: checksum does not match")
            continue
        _keep(path, content)
        return
    raise DataError(
        f"{path.name} could not be fetched ({'; '.join(failures)}); put the file into {path.parent} "
        "or point STANHOP_DATA_DIR at the folder that has it."
    )
