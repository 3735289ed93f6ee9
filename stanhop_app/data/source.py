"""Files from users become bytes: within a size, unpacked, text in UTF-8."""

import codecs
import contextlib
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import IO

from stanhop_app.errors import DataError, OptionError
from stanhop_app.files import read_up_to

UNSEEN = re.compile("[\x00-\x08\x0e-\x1f]")
"""Control characters, which text does not hold."""


def source_name(source: str | Path | IO[bytes]) -> str:
    """How messages name a source: its path, the name of an open file, or "standard input"."""
    named = source if isinstance(source, str | Path) else getattr(source, "name", None)
    return str(named) if isinstance(named, str | Path) else "standard input"


def read_content(source: str | Path | IO[bytes], megabytes: int) -> bytes:
    """What a file holds, unpacked; never more than so much of it is in memory.

    Raises:
        DataError: if it is more, missing, empty, or cannot be read.
    """
    name, most = source_name(source), megabytes * 2**20
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(source, str | Path):
                source = stack.enter_context(Path(source).open("rb"))
            content = read_up_to(source, most)
            if content[:2] == b"\x1f\x8b" and len(content) <= most:
                content = read_up_to(gzip.GzipFile(fileobj=io.BytesIO(content)), most)
    except FileNotFoundError:
        raise DataError(f"{name}: no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from None
    if len(content) > most:
        raise too_large(name, megabytes)
    if not content.strip():
        raise DataError(f"{name}: the file is empty.")
    return content


def too_large(name: str, megabytes: int) -> DataError:
    """The error of a table that is larger than was allowed."""
    return DataError(
        f"{name}: has more than {megabytes:,} MB when it is unpacked; raise max_megabytes "
        "(--max-megabytes) if it is to be read."
    )


def as_utf8(content: bytes, encoding: str | None) -> tuple[bytes, str | None]:
    """Text as UTF-8 without a mark of its order, and the encoding if it had to be guessed.

    UTF-8 and UTF-16 tell themselves. Bytes that are neither are read as cp1252, which Excel writes in the
    west of Europe and America (Latin-1 is a part of it); digits are the same in all of them, names may not
    be.

    Args:
        content: of a file.
        encoding: as the user said it; None: found.

    Raises:
        OptionError: for an encoding that there is not, or that the text is not in.
    """
    if encoding is not None:
        try:
            return content.decode(encoding).lstrip("\ufeff").encode(), None
        except (LookupError, ValueError) as error:
            raise OptionError(
                f"encoding={encoding!r} (--encoding) does not fit: {' '.join(str(error).split())}"
            ) from None
    if content.startswith(codecs.BOM_UTF8):
        content = content[3:]
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _decoded(content, "utf-16").encode(), None
    try:
        _check_utf8(content)
        return content, None
    except UnicodeDecodeError:
        return _decoded(content, "cp1252").encode(), "cp1252"


def _check_utf8(content: bytes) -> None:
    """Decode in pieces, so that the text is never there as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), 2**20):
        decoder.decode(content[start : start + 2**20])
    decoder.decode(b"", final=True)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\x00"
    if UNSEEN.search(text[:100_000]):
        raise OptionError(
            "neither Parquet nor text; if it is text, say its encoding (--encoding), or save it as UTF-8"
        )
    return text
