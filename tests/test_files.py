"""Files: what is read is bounded in size and in time."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.files import read_plain, read_up_to, sha256


class Trickle(io.RawIOBase):
    """A server that never ends."""

    def read(self, size=-1):
        return b"x"


@given(st.binary(max_size=50), st.integers(0, 60))
def test_no_more_than_one_byte_beyond_is_read(content, most):
    assert read_up_to(io.BytesIO(content), most) == content[: most + 1]


def test_an_answer_without_an_end_ends():
    with pytest.raises(TimeoutError, match="not there after"):
        read_up_to(Trickle(), 10**9, seconds=0.05)
    assert read_up_to(Trickle(), 100) == b"x" * 101


def test_a_file_of_holes_is_refused_by_its_size_and_not_read(tmp_path):
    """It says that it has 8 TB; to read or to hash them would never end."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**43)
    for read in (read_plain, sha256):
        with pytest.raises(OSError, match="has more than 16,384 MB"):
            read(path)
