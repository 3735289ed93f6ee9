"""Any mix of ways to write a table reads back equal, or is an error where it says two things."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixes import mix, wrong

from stanhop_app.data.frame import read_frame
from stanhop_app.errors import DataError


@pytest.mark.slow
@settings(max_examples=200)
@given(st.integers(0, 10**9))
def test_a_mix_reads_back_equal_or_is_refused(seed):
    assert wrong(mix(seed)) is None


def test_hours_of_one_day_may_be_of_two():
    """01/02/2024 alone is a day in January or in February, and its hours are regular as both."""
    rows = "".join(f"01/02/2024 {hour:02}:00,{hour}\n" for hour in range(24))
    with pytest.raises(DataError, match="regular both ways; say day_first"):
        read_frame(io.BytesIO(f"time,a\n{rows}".encode()))
    for order, month in ((True, 2), (False, 1)):
        table = io.BytesIO(f"time,a\n{rows}".encode())
        assert read_frame(table, day_first=order).index[0].month == month
        table.seek(0)
        assert read_frame(table, hints={"day_first": order}).index[0].month == month
    points = rows.replace("01/02/2024", "01.02.2024")
    assert read_frame(io.BytesIO(f"time,a\n{points}".encode())).index[0].month == 2
