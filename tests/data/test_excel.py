"""Sheets of Excel files are read by the rules of CSV files."""

import datetime as dt
import io
import re
import tracemalloc
import zipfile

import openpyxl
import pandas as pd
import pytest

from stanhop_app.data.frame import read_frame
from stanhop_app.errors import DataError


def book(**sheets):
    """The bytes of a file of these sheets, each a list of rows."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


def days(*rows):
    """A header, and a row a day."""
    head = ["date", *(f"x{i}" for i in range(len(rows[0])))]
    return [head, *([dt.datetime(2024, 1, 1 + i), *row] for i, row in enumerate(rows))]


def read(content, **options):
    return read_frame(io.BytesIO(content), **options)


def test_a_sheet_reads_as_what_it_shows():
    frame = read(book(Sales=days((1, 0.5), (2, 1.234), (3, 2.5), (4, 1000.125)), Notes=[]))
    assert frame["x0"].tolist() == [1, 2, 3, 4]
    assert frame["x1"].tolist() == [0.5, 1.234, 2.5, 1000.125]
    assert frame.index.freqstr == "D"
    assert frame.index[0] == pd.Timestamp("2024-01-01")


def test_units_missing_words_and_lines_before_the_names_follow_the_same_rules():
    rows = days(("1 kWh",), ("n/a",), ("3 kWh",), ("4 kWh",))
    frame = read(book(a=[["Report of January"], *rows]), skip_rows=1, missing="interpolate")
    assert frame["x0"].tolist() == [1, 2, 3, 4]


def test_of_several_sheets_one_is_said():
    content = book(a=days((1,), (2,), (3,)), b=days((4,), (5,), (6,)))
    assert read(content, sheet="b")["x0"].tolist() == [4, 5, 6]
    for options in ({}, {"sheet": "c"}):
        with pytest.raises(DataError, match=r"say sheet \(--sheet\), one of: a, b"):
            read(content, **options)


def test_a_long_sheet_names_its_series():
    rows = [["date", "shop", "sales"]]
    rows += [[dt.date(2024, 1, 1 + i), shop, i] for shop in ("007", "NA") for i in range(4)]
    assert list(read(book(a=rows), id_column="shop").columns) == ["007", "NA"]


def altered(content, name, text):
    """The file with one of its parts replaced."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, text if entry.filename == name else old.read(entry))
    return changed.getvalue()


WHOLE = book(a=days((1,), (2,), (3,)))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), {}, "before 2007"),
        (WHOLE[: len(WHOLE) // 2], {}, "damaged as an Excel file"),
        (altered(WHOLE, "xl/workbook.xml", b"<a>"), {}, "damaged as an Excel file"),
        (altered(WHOLE, "xl/worksheets/sheet1.xml", b"<a>"), {}, "damaged as an Excel file"),
        (altered(WHOLE, "xl/media/a", b""), {"max_megabytes": 1}, None),
        (altered(WHOLE, "docProps/app.xml", bytes(2**21)), {"max_megabytes": 1}, "more than 1 MB"),
        (b"date,a\n2024-01-01,1\n", {"sheet": "a"}, "only Excel files have sheets"),
        (book(a=[]), {}, "no such sheet holds rows"),
    ],
)
def test_what_is_no_sheet_is_one_line(content, options, message):
    if message is None:
        assert len(read(content, **options)) == 3
        return
    with pytest.raises(DataError, match=message) as caught:
        read(content, **options)
    assert "\n" not in str(caught.value)


def test_without_openpyxl_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'stanhop-app\[excel\]'"):
        read(WHOLE)


def test_what_a_file_says_of_its_size_is_not_believed():
    """Five kilobytes that claim 16,384 columns took a gigabyte."""
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml")
    claimed = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', sheet)
    assert claimed != sheet
    tracemalloc.start()
    frame = read(altered(WHOLE, "xl/worksheets/sheet1.xml", claimed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frame["x0"].tolist() == [1, 2, 3]
    assert peak < 20 * 2**20


def test_numbers_of_a_sheet_are_numbers_whatever_the_mark_of_csv_files():
    frame = read(book(a=days((1.125,), (2.5,), (3.75,))), decimal=",")
    assert frame["x0"].tolist() == [1.125, 2.5, 3.75]


def test_percent_is_read_as_it_is_shown():
    made = openpyxl.load_workbook(
        io.BytesIO(book(a=days((0.05, 1), (0.125, 2), (-0.3, 3), (1, 4))))
    )
    for row in made["a"].iter_rows(min_row=2, min_col=2, max_col=2):
        row[0].number_format = "0.0%"
    content = io.BytesIO()
    made.save(content)
    assert read(content.getvalue())["x0"].tolist() == [5, 12.5, -30, 100]
