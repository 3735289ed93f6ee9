"""Checksums of data files."""

import hashlib
from pathlib import Path

from stanhop_app.errors import DataError


def verify(path: Path, sha256: str) -> None:
    """Raise DataError unless the file has this SHA-256.

    Raises:
        DataError: naming the file, what was expected and what was found.
    """
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        raise DataError(
            f"{path}: checksum does not match (expected sha256 {sha256[:16]}..., found "
            f"{actual[:16]}...); delete the file and fetch it again."
        )
