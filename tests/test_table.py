"""Files of every dialect."""

import io

import pandas as pd
import pytest

from stanhop_app.errors import DataError
from stanhop_app.forecasting.table import read_table


def read(text, **options):
    return read_table(io.BytesIO(text.encode()), **options)


def values(text, **options):
    return read(text, **options)["a"].tolist()


def test_points_between_semicolons_that_may_group_digits_are_asked_about():
    text = "time;a\n01.02.2024;1.100\n02.02.2024;2.350\n"
    with pytest.raises(DataError, match=r"1\.100 may mean 1100 or 1,100; say decimal=.*--decimal"):
        read(text)
    assert values(text, decimal=",") == [1100.0, 2350.0]
    assert values(text, thousands=".") == [1100.0, 2350.0]
    assert values(text, decimal=".") == [1.1, 2.35]


@pytest.mark.parametrize("other", ["0.250", "12.5", "1.2345"])
def test_one_number_that_cannot_be_grouped_tells_the_decimal_point(other):
    assert values(f"time;a\nx;1.100\ny;{other}\n") == [1.1, float(other)]


def test_grouped_digits_beside_decimal_commas():
    text = "time;a\n01.02.2024;1.234,5\n02.02.2024;950\n03.02.2024;1.000.000\n04.02.2024;-2,25\n"
    table = read(text)
    assert table["a"].tolist() == [1234.5, 950.0, 1e6, -2.25]
    assert table["time"].tolist()[0] == "01.02.2024"  # a date is no grouped number


def test_grouped_digits_in_quotes_or_by_a_mark_that_is_named():
    text = 'time,a\nx,"1,234.5"\ny,950\n'
    assert values(text, thousands=",") == [1234.5, 950.0]
    assert values(text) == ["1,234.5", "950"]  # not a number until it is said so
    assert values("time;a\nx;1 234,5\ny;7,5\n", thousands=" ") == [1234.5, 7.5]


def test_missing_values_stay_missing_among_grouped_digits():
    column = read("time;a\nx;1.234,5\ny;\nz;2,5\n")["a"]
    assert column.isna().tolist() == [False, True, False]
    assert column.dropna().tolist() == [1234.5, 2.5]


@pytest.mark.parametrize(
    "options", [{"decimal": ";"}, {"thousands": "1"}, {"decimal": ",", "thousands": ","}]
)
def test_marks_that_cannot_be(options):
    with pytest.raises(ValueError, match="decimal|thousands"):
        read("time,a\nx,1\n", **options)


def test_a_separator_too_many_in_every_line_makes_no_column():
    assert list(read("time,a,\nx,1,\ny,2,\n").columns) == ["time", "a"]
    assert list(read("time,a,\nx,1,5\ny,2,6\n").columns) == ["time", "a", "Unnamed: 2"]


def test_other_encodings_are_told_what_to_do():
    with pytest.raises(DataError, match="save it as UTF-8"):
        read_table(io.BytesIO("time,a\n2024-01-01,größe\n".encode("latin-1")))


def test_parquet_is_told_by_its_content():
    buffer = io.BytesIO()
    pd.DataFrame({"a": [1.5]}).to_parquet(buffer)
    assert read_table(io.BytesIO(buffer.getvalue()))["a"].tolist() == [1.5]
