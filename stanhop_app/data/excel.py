"""Sheets of Excel files become text as CSV, so that they are read by the same rules. Needs openpyxl."""

import csv
import datetime as dt
import io
import zipfile
import zlib
from typing import Any

from stanhop_app.errors import OptionError, warnings_as

ZIP, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
"""How .xlsx files begin, and .xls ones of before 2007."""


MOST_CELLS = 2**26
"""Cells of a sheet that is read, more than a table of 8 columns and all rows that Excel has."""
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What openpyxl raises of a file that is none of Excel's, or was changed."""


def is_excel(content: bytes) -> bool:
    """Whether a file is one of Excel, of any age."""
    return content[:4] in (ZIP, OLD)


def sheet_as_csv(content: bytes, sheet: str | None, megabytes: int) -> bytes:
    """One sheet as CSV in UTF-8; formulas are the values that Excel last computed.

    Args:
        content: of the file.
        sheet: name of the sheet; None: the only one that is not empty.
        megabytes: that the file may have when it is unpacked.

    Raises:
        OptionError: if it is larger or damaged, the sheet is not there, several could be meant, or openpyxl
            is not installed.
    """
    if content[:4] == OLD:
        raise OptionError("an Excel file of before 2007, .xls; save it as .xlsx or CSV")
    try:
        import openpyxl  # an extra: only for Excel files
    except ImportError:
        raise OptionError(
            "Excel files need the package openpyxl: pip install 'stanhop-app[excel]', or save it as CSV"
        ) from None
    _check_size(content, megabytes)
    try:
        with warnings_as("ignore", UserWarning):  # of styles that it does not know
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            tables = {ws.title: _rows(ws) for ws in book.worksheets if sheet in (None, ws.title)}
    except DAMAGED as error:
        raise OptionError(f"damaged as an Excel file: {error!r}") from None
    tables = {title: rows for title, rows in tables.items() if rows}
    if len(tables) != 1:
        names = ", ".join(ws.title for ws in book.worksheets)
        what = "several sheets hold rows" if tables else "no such sheet holds rows"
        raise OptionError(f"{what}; say sheet (--sheet), one of: {names}")
    (rows,) = tables.values()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _check_size(content: bytes, megabytes: int) -> None:
    """Refuse a file that says of itself that it is larger than is allowed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
    except DAMAGED as error:
        raise OptionError(f"damaged as an Excel file: {error!r}") from None
    if unpacked > megabytes * 2**20:
        raise OptionError(
            f"more than {megabytes:,} MB when it is unpacked; raise max_megabytes (--max-megabytes)"
        )


def _rows(sheet: Any) -> list[list[str]]:
    """Cells as text; rows without any are left out, and so are columns at the end."""
    sheet.reset_dimensions()  # what a file says of its size is not believed: rows end where they end
    rows, cells = [], 0
    for values in sheet.iter_rows():
        row = [_text(cell.value, getattr(cell, "number_format", None)) for cell in values]
        while row and not row[-1]:
            row.pop()
        if row:
            rows.append(row)
            cells += len(row)
        if cells > MOST_CELLS:
            raise OptionError(f"more than {MOST_CELLS:,} cells; save it as CSV")
    width = max(map(len, rows), default=0)
    if width * len(rows) > MOST_CELLS:
        raise OptionError(f"more than {MOST_CELLS:,} cells; save it as CSV")
    return [row + [""] * (width - len(row)) for row in rows]


def _text(value: Any, shown: str | None = None) -> str:
    """A cell as CSV would hold it; one that is shown in percent, as 5%, is 0.05 in the file."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool) and "%" in str(shown):
        return f"{value * 100:.15g}%"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return " ".join(str(value).split())
