"""ETTh1: found on this machine or fetched, unmodified, and verified every time.

The file is CC BY-ND 4.0 and never committed. It is looked for in ``$STANHOP_DATA_DIR``, then in the
user cache; then fetched from its public home, and from a source archive that carries a copy.
"""

from pathlib import Path

from stanhop_app.datasets import cache
from stanhop_app.datasets.archive import read_members

SHA256 = "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
ARCHIVE = "momentfm==0.1.4"
ARCHIVE_SHA256 = "78ce7a4d32c1328924436e82be5bbf0e1be2d8bb667950116464f3344f626a44"
MEMBER = "momentfm-0.1.4/data/ETTh1.csv"
FILE_NAME = "ETTh1.csv"


def locate() -> Path:
    """Return the verified path of ETTh1.csv, fetching it into the user's cache on first use.

    Raises:
        DataError: if no source answers, or a file has the wrong checksum.
    """
    return cache.locate(FILE_NAME, SHA256, (_from_home, _from_archive))


def _from_home() -> bytes:
    """Public home, zhouhaoyi/ETDataset."""
    return cache.fetch(URL)


def _from_archive() -> bytes:
    """Source archive momentfm 0.1.4, through pip."""
    return read_members(ARCHIVE, ARCHIVE_SHA256, MEMBER)[MEMBER]
