"""Files of every dialect."""

import gzip
import io
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from stanhop_app.data.frame import read_frame
from stanhop_app.data.table import read_table
from stanhop_app.errors import DataError


def read(text, **options):
    return read_table(io.BytesIO(text.encode()), **options)


def values(text, **options):
    return read(text, **options)["a"].tolist()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize(("mark", "other"), [(".", ","), (",", ".")])
def test_marks_that_may_group_digits_or_not_are_asked_about(mark, other, separator):
    text = f"time;a\n01/02/2024;1{mark}100\n02/02/2024;2{mark}350\n".replace(";", separator)
    with pytest.raises(DataError, match=rf"1\{mark}100 may mean 1100.*say decimal=.*--decimal"):
        read(text)
    assert values(text, decimal=other) == [1100.0, 2350.0]
    assert values(text, thousands=mark) == [1100.0, 2350.0]
    assert values(text, decimal=mark) == [1.1, 2.35]


@pytest.mark.parametrize("other", ["0.250", "12.5", "1.2345", "5.", "2.5e3"])
def test_one_number_that_cannot_be_grouped_tells_the_decimal_point(other):
    assert values(f"time;a\nx;1.100\ny;{other}\n") == [1.1, float(other)]


def test_the_proof_may_stand_anywhere_but_not_in_text_dates_or_codes():
    rows = "".join(f"2024.02.{1 + i % 28:02};{100 + i % 50};07;1,5 m\n" for i in range(20_000))
    text = f"time;a;code;note\n{rows}2024.03.01;1.100;01.5;n\n"
    with pytest.raises(DataError, match=r"1\.100 may mean 1100"):
        read(text)
    assert values(text + "2024.03.02;0.5;08;n\n")[-2:] == [1.1, 0.5]
    assert values(text + "2024.03.02;0,5;08;n\n")[-2:] == [1100.0, 0.5]


def test_columns_that_prove_different_marks_are_named():
    with pytest.raises(DataError, match="columns 'a' and 'b' write decimals differently"):
        read("time;a;b\nx;1.5;2,5\n")


def test_grouped_digits_beside_decimal_commas():
    text = "time;a\n01.02.2024;1.234,5\n02.02.2024;950\n03.02.2024;1.000.000\n04.02.2024;-2,25\n"
    table = read(text)
    assert table["a"].tolist() == [1234.5, 950.0, 1e6, -2.25]
    assert table["time"].tolist()[0] == "01.02.2024"  # a date is no grouped number
    assert table.attrs["decimal"] == ","
    assert values("time\ta\nx\t1,5E-03\ny\t2\n") == [0.0015, 2.0]


def test_grouped_digits_in_quotes_or_by_a_mark_that_is_named():
    text = 'time,a\nx,"1,234.5"\ny,950\n'
    assert values(text, thousands=",") == [1234.5, 950.0]
    assert values(text) == [1234.5, 950.0]  # both marks prove what each of them is
    assert values('time,a\nx,"1,5"\ny,2\n') == [1.5, 2.0]
    assert values('time,a,b\nx,"1,234",0.5\ny,950,1\n') == [1234.0, 950.0]
    with pytest.raises(DataError, match="1,234 may mean 1234, or 1234 thousandths; say decimal"):
        values('time,a\nx,"1,234"\ny,950\n')
    with pytest.raises(DataError, match="columns 'b' and 'a' write decimals differently"):
        values('time,a,b\nx,"1,5",0.5\ny,2,1\n')
    for space in " \u00a0\u202f":
        assert values(f"time;a\nx;1{space}234,5\ny;7,5\n", thousands=" ") == [1234.5, 7.5]
        assert values(f"time;a\nx;1{space}234,5\n", thousands=" ") == [1234.5]


def test_long_columns_are_of_one_kind():
    """Read in chunks, 953,103 would be a number here and text there."""
    rows = "".join(f'x,"953,103",{"y" * 40}\n' for _ in range(30_000))
    column = read(f'time,a,b\n{rows}x,"1,234,567",y\n', thousands=",")["a"]
    assert column.iloc[0] == 953103.0
    assert column.iloc[-1] == 1234567.0
    assert column.nunique() == 2


def test_missing_values_stay_missing_and_text_stays_text():
    column = read("time;a\nx;1.234,5\ny;\nz;2,5\n")["a"]
    assert column.isna().tolist() == [False, True, False]
    assert column.dropna().tolist() == [1234.5, 2.5]
    table = "time;a\n2024-01-01;1,5\n2024-01-02;x\n2024-01-03;2,5\n"
    with pytest.raises(
        DataError, match="'a' has 1 values .* row 2: 'x'; if it means .*--na x.; else mend"
    ):
        read_frame(io.BytesIO(table.encode()), decimal=",")


@pytest.mark.parametrize(
    "options", [{"decimal": ";"}, {"thousands": "1"}, {"decimal": ",", "thousands": ","}]
)
def test_marks_that_cannot_be(options):
    with pytest.raises(ValueError, match="decimal|thousands"):
        read("time,a\nx,1\n", **options)


def test_a_separator_too_many_in_every_line_makes_no_column():
    assert list(read("time,a,\nx,1,\ny,2,\n").columns) == ["time", "a"]
    assert list(read("time,a,\nx,1,5\ny,2,6\n").columns) == ["time", "a", "Unnamed: 2"]


@pytest.mark.parametrize("width", [3, 5000])
def test_rows_that_are_too_long_are_seen_under_a_header_of_any_length(width):
    names = ",".join(f"a-long-name-of-column-{i}" for i in range(width))
    with pytest.raises(DataError, match="more fields than the header has names"):
        read(f"{names}\n{'1,' * (width + 4)}1\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_encodings_are_found_and_a_guess_is_said(encoding):
    table = read_table(io.BytesIO("time,größe\n2024-01-01,1\n".encode(encoding)))
    assert list(table.columns) == ["time", "größe"]
    guessed = [note for note in table.attrs["notes"] if "--encoding" in note]
    assert len(guessed) == (encoding in ("cp1252", "latin-1"))


def test_an_encoding_can_be_said_and_must_fit():
    content = "time;wert_ё\nx;1,5\n".encode("cp1251")
    assert list(read_table(io.BytesIO(content), encoding="cp1251").columns) == ["time", "wert_ё"]
    for wrong in ("utf-8", "nonsense"):
        with pytest.raises(DataError, match="does not fit"):
            read_table(io.BytesIO(content), encoding=wrong)


def test_parquet_is_told_by_its_content():
    buffer = io.BytesIO()
    pd.DataFrame({"a": [1.5]}).to_parquet(buffer)
    assert read_table(io.BytesIO(buffer.getvalue()))["a"].tolist() == [1.5]


def bomb(kind):
    """A small file that says much."""
    file = io.BytesIO()
    if kind == "parquet":
        pd.DataFrame({f"c{i}": np.zeros(400_000) for i in range(2)}).to_parquet(file)
        return file.getvalue()
    content = b"time,a\n" + b"2024-01-01,1\n" * 250_000
    return gzip.compress(content) if kind == "gz" else content


@pytest.mark.parametrize("kind", ["csv", "gz", "parquet"])
def test_a_table_that_is_too_large_is_refused_before_it_is_there(tmp_path, kind):
    content = bomb(kind)
    assert kind == "csv" or len(content) < 50_000
    (tmp_path / "a").write_bytes(content)
    for source in (tmp_path / "a", io.BytesIO(content)):
        with pytest.raises(DataError, match="has more than 1 MB .*max_megabytes"):
            read_table(source, max_megabytes=1)
    assert len(read_table(tmp_path / "a", max_megabytes=64)) >= 250_000


def test_what_is_unpacked_of_a_bomb_is_bounded(tmp_path):
    """A thousand times as much as the file: no more of it is in memory than is allowed."""
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 2 MB"):
        read_table(path, max_megabytes=2)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


def test_the_limit_is_a_flag(stanhop, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(bomb("gz"))
    code, _, err = stanhop("train", tmp_path / "a.csv.gz", "--max-megabytes", 1)
    assert code == 3
    assert "--max-megabytes" in err
