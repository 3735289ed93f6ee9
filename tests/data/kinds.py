"""Tables as people have them, small: what goes in, and the frame or the error that comes out.

`tests/data/test_kinds.py` reads them from Python, `tests/benchmarks/reading/reading.py` through the command line
too and writes the table of `tests/benchmarks/tables.md`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One table, and what is right."""

    name: str
    content: bytes
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `ReadingConfig`."""
    values: dict[str, list[float]] | None = None
    """Right columns and their first values; None: an error is right."""
    start: str | None = None
    """Right first time stamp."""
    frequency: str | None = None
    error: str | None = None
    """What the error says."""
    says: str | None = None
    """What a note says."""


def kind(name: str, text: str | bytes, *options: Any, **right: Any) -> Kind:
    """A kind; a table of options may come first."""
    content = text if isinstance(text, bytes) else text.encode()
    (given,) = options or ({},)
    return Kind(name=name, content=content, options=given, **right)


def days(
    row: Callable[[int, pd.Timestamp], str],
    head: str,
    count: int = 6,
    freq: str = "D",
    **index: Any,
) -> str:
    """A CSV file of a row a day."""
    stamps = pd.date_range("2024-01-01", periods=count, freq=freq, **index)
    return "\n".join([head, *(row(i, stamp) for i, stamp in enumerate(stamps))]) + "\n"


def stamped(form: str, count: int = 6, freq: str = "D", separator: str = ",") -> str:
    """Days written in a form, with values 0, 1, ..."""
    return days(lambda i, t: f"{t.strftime(form)}{separator}{i}", f"date{separator}a", count, freq)


COUNT = [0.0, 1.0, 2.0, 3.0]
LONG = [(d, s, v) for s, v in (("x", 0), ("y", 10)) for d in range(4)]


def long(name: Callable[[str], str], head: str = "date,unique_id,value") -> str:
    """A long table of two series of four days, named by a function of x and y."""
    rows = (f"2024-01-0{1 + d},{name(s)},{v + d}" for d, s, v in LONG)
    return "\n".join([head, *rows]) + "\n"


def sheet(rows: list[list[Any]]) -> bytes:
    """An Excel file of these rows."""
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


WINTER = pd.date_range("2024-10-26 22:00", periods=8, freq="h", tz="Europe/Vienna")
ISO = stamped("%Y-%m-%d")

KINDS = [
    # Ends of lines
    kind(
        "lines that end in a carriage return alone",
        stamped("%Y-%m-%d").replace("\n", "\r"),
        values={"a": [0, 1]},
    ),
    kind(
        "a carriage return inside a name",
        stamped("%Y-%m-%d").replace("date", "da\rte"),
        error="is no row of cells",
    ),
    kind(
        "a name too long to be one",
        stamped("%Y-%m-%d").replace("a\n", "a" * 140_000 + "\n", 1),
        error="is no row of cells",
    ),
    # Decimal marks
    kind(
        "decimal comma",
        days(lambda i, t: f"{t:%d.%m.%Y};{i},5", "date;a"),
        values={"a": [0.5, 1.5]},
    ),
    kind(
        "decimal comma, grouped by points",
        days(lambda i, t: f"{t:%d.%m.%Y};1.{i:03},5", "date;a"),
        values={"a": [1000.5, 1001.5]},
    ),
    kind(
        "points that may group",
        days(lambda i, t: f"{t:%Y-%m-%d};1.{100 + i}", "date;a"),
        error="1.100 may mean 1100",
    ),
    kind(
        "points that may group, said",
        days(lambda i, t: f"{t:%Y-%m-%d};1.{100 + i}", "date;a"),
        {"decimal": "."},
        values={"a": [1.1, 1.101]},
    ),
    kind(
        "decimal commas in quotes between commas",
        days(lambda i, t: f'{t:%Y-%m-%d},"{i},5"', "date,a"),
        values={"a": [0.5, 1.5]},
    ),
    kind(
        "both marks in one column",
        days(lambda i, t: f'{t:%Y-%m-%d},"1,{i:03}.5"', "date,a"),
        values={"a": [1000.5, 1001.5]},
    ),
    kind(
        "columns that write decimals differently",
        days(lambda i, t: f"{t:%Y-%m-%d};{i}.5;{i},5", "date;a;b"),
        error="write decimals differently",
    ),
    kind(
        "spaces that group digits",
        days(lambda i, t: f"{t:%Y-%m-%d};1 00{i},5", "date;a"),
        {"thousands": " "},
        values={"a": [1000.5, 1001.5]},
    ),
    # Words, units, truth
    *(
        kind(
            f"{word!r} for a missing value",
            ISO.replace(",2\n", f",{word}\n"),
            {"missing": "ffill"},
            values={"a": [0, 1, 1, 3]},
            says="filled by ffill",
        )
        for word in ("", "NA", "NaN", "?", "-", "n/a", "#N/A", "null", "..")
    ),
    kind(
        "a missing value stops",
        ISO.replace(",2\n", ",?\n"),
        error="1 missing values, first at 2024-01-03",
    ),
    kind("a word that is not known", ISO.replace(",2\n", ",closed\n"), error="--na closed"),
    kind(
        "a word that is said",
        ISO.replace(",2\n", ",closed\n"),
        {"na": ["closed"], "missing": "zero"},
        values={"a": [0, 1, 0, 3]},
    ),
    kind(
        "-9999 for a missing value, said",
        ISO.replace(",2\n", ",-9999\n"),
        {"na": ["-9999"], "missing": "interpolate"},
        values={"a": COUNT},
    ),
    kind(
        "per cent",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}.5 %", "date,a"),
        values={"a": [0.5, 1.5]},
        says="'%' was taken off",
    ),
    kind(
        "a currency",
        days(lambda i, t: f"{t:%Y-%m-%d},${i}.25", "date,a"),
        values={"a": [0.25, 1.25]},
        says="'$' was taken off",
    ),
    kind(
        "a unit behind decimal commas",
        days(lambda i, t: f"{t:%Y-%m-%d};{i},5 kWh", "date;a"),
        values={"a": [0.5, 1.5]},
        says="'kWh' was taken off",
    ),
    kind(
        "a unit behind some numbers only",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}{' %' if i % 2 else ''}", "date,a"),
        error="values that are not numbers",
    ),
    kind(
        "two units in one column",
        days(lambda i, t: f"{t:%Y-%m-%d},{i} {'kWh' if i % 2 else 'MWh'}", "date,a"),
        error="values that are not numbers",
    ),
    kind(
        "True and False between commas",
        days(lambda i, t: f"{t:%Y-%m-%d},{i % 2 == 0}", "date,a"),
        values={"a": [1, 0]},
    ),
    kind(
        "true and false between semicolons",
        days(lambda i, t: f"{t:%Y-%m-%d};{str(i % 2 == 0).lower()}", "date;a"),
        values={"a": [1, 0]},
    ),
    kind(
        "a column of words",
        days(lambda i, t: f"{t:%Y-%m-%d},{i},{'xy'[i % 2]}", "date,a,b"),
        error="column 'b' has 6 values that are not numbers",
    ),
    # Names, lines around the table, encodings
    kind("no header", ISO.split("\n", 1)[1], error="begins with '2024-01-01'"),
    kind("no header, said", ISO.split("\n", 1)[1], {"header_rows": 0}, values={"column 2": COUNT}),
    kind(
        "a header of two rows",
        ISO.replace("date,a", "date,load\n,MW"),
        {"header_rows": 2},
        values={"load MW": COUNT},
    ),
    kind(
        "lines before the header",
        "Report 7\nfor you\n" + ISO,
        {"skip_rows": 2},
        values={"a": COUNT},
    ),
    kind(
        "lines before the header, not said",
        "Report 7\nfor you\n" + ISO,
        error="more fields than the header",
    ),
    kind("lines of comment", "# from here\n" + ISO, {"comment": "#"}, values={"a": COUNT}),
    kind("a row of totals", ISO + "Total,15\n", error="row 7: 'Total' is not a date"),
    kind("a row of totals, said", ISO + "Total,15\n", {"skip_last": 1}, values={"a": COUNT}),
    kind(
        "row numbers of pandas",
        days(lambda i, t: f"{i},{t:%Y-%m-%d},{i}", ",date,a"),
        values={"a": COUNT},
        says="counts the rows",
    ),
    kind(
        "row numbers of R",
        days(lambda i, t: f'"{i + 1}",{t:%Y-%m-%d},{i}', '"",date,a'),
        values={"a": COUNT},
        says="counts the rows",
    ),
    kind(
        "row numbers from anywhere",
        days(lambda i, t: f"{i + 812},{t:%Y-%m-%d},{i}", ",date,a"),
        values={"a": COUNT},
        says="counts the rows",
    ),
    kind(
        "row numbers saved twice",
        days(lambda i, t: f"{i},{i},{t:%Y-%m-%d},{i}", ",Unnamed: 0,date,a"),
        values={"a": COUNT},
        says="counts the rows",
    ),
    kind(
        "a first column of numbers without a name",
        days(lambda i, t: f"{i * i},{t:%Y-%m-%d},{i}", ",date,a"),
        error="has no name",
    ),
    kind(
        "two columns of one name",
        ISO.replace("date,a", "date,a,a"),
        error="two columns are named 'a'",
    ),
    kind(
        "blanks around names",
        ISO.replace("date,a", "date , a "),
        {"columns": ["a"]},
        values={"a": COUNT},
    ),
    kind(
        "Latin-1",
        stamped("%Y-%m-%d").replace("date,a", "date,größe").encode("latin-1"),
        values={"größe": COUNT},
        says="read as cp1252",
    ),
    kind("UTF-16", ISO.encode("utf-16"), values={"a": COUNT}),
    kind("UTF-8 with a mark", ISO.encode("utf-8-sig"), values={"a": COUNT}),
    # Time stamps
    *(
        kind(
            f"dates such as {pd.Timestamp('2024-01-02').strftime(form)}",
            stamped(form, 20),
            values={"a": COUNT},
            start="2024-01-01",
        )
        for form in (
            "%Y-%m-%d",
            "%d.%m.%Y",
            "%d/%m/%Y",
            "%m/%d/%Y",
            "%Y%m%d",
            "%d %b %Y",
            "%B %d %Y",
            "%Y/%m/%d %H:%M",
            "%Y-%m-%dT%H:%M:%SZ",
        )
    ),
    kind(
        "ISO of two lengths",
        days(lambda i, t: f"{t.date() if t.hour == 0 else t},{i}", "date,a", 30, "12h"),
        values={"a": COUNT},
        frequency="12h",
    ),
    kind(
        "fractions that come and go",
        days(lambda i, t: f"{t.isoformat()},{i}", "date,a", 8, "500ms"),
        values={"a": COUNT},
        frequency="500ms",
    ),
    kind(
        "months such as Jan-24",
        stamped("%b-%y", 15, "MS"),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="MS",
    ),
    kind("months such as 2024-01", stamped("%Y-%m", 15, "MS"), values={"a": COUNT}, frequency="MS"),
    kind(
        "months stamped on the 15th",
        days(lambda i, t: f"{t + pd.Timedelta('14D'):%Y-%m-%d},{i}", "date,a", 15, "MS"),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="MS",
        says="from their first days",
    ),
    kind(
        "months stamped on the 30th",
        days(
            lambda i, t: f"{min(t + pd.Timedelta('29D'), t + pd.offsets.MonthEnd()):%Y-%m-%d},{i}",
            "date,a",
            15,
            "MS",
        ),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="MS",
    ),
    *(
        kind(
            f"stamps of frequency {alias}",
            stamped("%Y-%m-%d", 30, alias),
            values={"a": COUNT},
            frequency=pd.tseries.frequencies.to_offset(alias).freqstr,
        )
        for alias in (
            "BME",
            "BMS",
            "BQE-DEC",
            "BQS-JAN",
            "BYE-DEC",
            "BYS-JAN",
            "WOM-3FRI",
            "LWOM-FRI",
            "SME",
            "SMS",
        )
    ),
    *(
        kind(
            f"stamps of frequency {alias}, said",
            stamped("%Y-%m-%d", 30, alias),
            {"frequency": alias},
            values={"a": COUNT},
            frequency=alias,
        )
        for alias in ("RE-N-DEC-MON", "REQ-N-DEC-MON-1", "LWOM-FRI", "WOM-2TUE")
    ),
    kind(
        "quarters",
        days(lambda i, t: f"{t.year}Q{t.quarter},{i}", "quarter,a", 9, "QS"),
        {"time_column": "quarter"},
        values={"a": COUNT},
        frequency="QS-JAN",
    ),
    kind(
        "years",
        stamped("%Y", 9, "YS"),
        values={"a": COUNT},
        frequency="YS-JAN",
        says="was read as time",
    ),
    kind(
        "seconds since 1970",
        days(lambda i, t: f"{int(t.timestamp())},{i}", "time,a", 9, "h"),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="h",
        says="was read as time",
    ),
    kind(
        "milliseconds since 1970",
        days(lambda i, t: f"{int(t.timestamp() * 1000)},{i}", "time,a", 9, "h"),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="h",
    ),
    kind(
        "days of Excel, not said",
        days(lambda i, t: f"{45292 + i},{i}", "time,a"),
        error="say time_format",
    ),
    kind(
        "days of Excel",
        days(lambda i, t: f"{45292 + i},{i}", "time,a"),
        {"time_format": "excel"},
        values={"a": COUNT},
        start="2024-01-01",
    ),
    kind(
        "24:00",
        days(
            lambda i, t: (
                f"{(t - pd.Timedelta('1s')):%d.%m.%Y} {24 if t.hour == 0 else t.hour:02}:00,{i}"
            ),
            "time,a",
            30,
            "h",
        ),
        values={"a": COUNT},
        start="2024-01-01",
        frequency="h",
    ),
    kind(
        "date and time in two columns",
        days(lambda i, t: f"{t:%d.%m.%Y},{t:%H:%M},{i}", "date,clock,a", 30, "h"),
        {"time_column": "date,clock"},
        values={"a": COUNT},
        frequency="h",
    ),
    kind(
        "year, month, day and hour",
        days(
            lambda i, t: f"{t.year},{t.month},{t.day},{t.hour},{i}",
            "year,month,day,hour,a",
            30,
            "h",
        ),
        {"time_column": "year,month,day,hour"},
        values={"a": COUNT},
        frequency="h",
    ),
    kind(
        "a form that nobody knows",
        days(lambda i, t: f"day {i} of Pluto,{i}", "time,a"),
        error="not a date of a form that is known",
    ),
    kind(
        "a form that is said",
        stamped("%y|%d|%m", 20),
        {"time_format": "%y|%d|%m"},
        values={"a": COUNT},
        start="2024-01-01",
    ),
    kind(
        "a form that is said and wrong",
        ISO,
        {"time_format": "%d.%m.%Y"},
        error="is not of time_format",
    ),
    # Zones
    kind(
        "offsets that change",
        "\n".join(["time,a", *(f"{t},{i}" for i, t in enumerate(WINTER))]),
        values={"a": COUNT},
        start="2024-10-26 20:00:00+00:00",
        frequency="h",
    ),
    kind(
        "offsets that change, in a zone",
        "\n".join(["time,a", *(f"{t},{i}" for i, t in enumerate(WINTER))]),
        {"time_zone": "Europe/Vienna"},
        values={"a": COUNT},
        start="2024-10-26 22:00:00+02:00",
        frequency="h",
    ),
    kind(
        "local days over a clock change",
        days(lambda i, t: f"{t},{i}", "time,a", 100, tz="Europe/Vienna"),
        {"time_zone": "Europe/Vienna"},
        values={"a": COUNT},
        frequency="D",
    ),
    kind(
        "local hours over an autumn night",
        "\n".join(["time,a", *(f"{t:%Y-%m-%d %H:%M},{i}" for i, t in enumerate(WINTER))]),
        error="say time_zone",
    ),
    kind(
        "local hours over an autumn night, in a zone",
        "\n".join(["time,a", *(f"{t:%Y-%m-%d %H:%M},{i}" for i, t in enumerate(WINTER))]),
        {"time_zone": "Europe/Vienna"},
        values={"a": COUNT},
        frequency="h",
    ),
    kind(
        "a column of CEST and CET",
        "\n".join(
            ["time,zone,a", *(f"{t:%Y-%m-%d %H:%M},{t.tzname()},{i}" for i, t in enumerate(WINTER))]
        ),
        {"time_zone": "Europe/Vienna"},
        values={"a": COUNT},
        says="daylight saving",
    ),
    kind(
        "a zone that there is not",
        ISO,
        {"time_zone": "Europe/Entenhausen"},
        error="unknown time_zone",
    ),
    # Names of series
    kind(
        "ids with zeros before them",
        long({"x": "01", "y": "0012"}.__getitem__),
        values={"0012": [10.0, 11.0], "01": COUNT},
    ),
    kind(
        "ids that are words for nothing",
        long({"x": "NA", "y": "None"}.__getitem__),
        values={"NA": COUNT, "None": [10.0, 11.0]},
    ),
    kind(
        "ids that are words for nothing, by a name of one's own",
        long({"x": "NA", "y": "nan"}.__getitem__, "date,country,value"),
        {"id_column": "country"},
        values={"NA": COUNT, "nan": [10.0, 11.0]},
    ),
    kind(
        "an empty id",
        long({"x": "x", "y": ""}.__getitem__),
        error="empty in 4 rows, first in row 5",
    ),
    kind(
        "one id beside several numbers",
        days(lambda i, t: f"{t:%Y-%m-%d},shop,{i},{i}", "date,id,a,b"),
        values={"a": COUNT, "b": COUNT},
        says="the same in all rows",
    ),
    kind(
        "an id that is none",
        long({"x": "1", "y": "2"}.__getitem__, "date,id,value"),
        {"long": False},
        error="appear more than once",
    ),
    # Holes
    kind(
        "a hole at the end",
        days(lambda i, t: f"{t:%Y-%m-%d},{i},{i if i < 4 else ''}", "date,a,b"),
        {"missing": "interpolate"},
        error="'b' ends with 2 missing values, from 2024-01-05",
    ),
    kind(
        "no row means no sale",
        ISO.replace("2024-01-03,2\n", ""),
        {"missing": "zero"},
        values={"a": [0, 1, 0, 3]},
        says="filled by zero",
    ),
    # Values
    kind(
        "a value beyond all bounds", ISO.replace(",2\n", ",1e308\n"), error="values beyond 1e+150"
    ),
    kind(
        "a variate called time",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}", "date,time"),
        values={"time": COUNT},
    ),
    kind(
        "very small values",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}e-30", "date,a"),
        values={"a": [0, 1e-30]},
    ),
    # Calendars, sheets, rules of columns
    kind(
        "Monday to Saturday",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}" if t.day_of_week < 6 else "", "date,a", 28),
        error="--calendar rows",
    ),
    kind(
        "Monday to Saturday, said",
        days(lambda i, t: f"{t:%Y-%m-%d},{i}" if t.day_of_week < 6 else "", "date,a", 28),
        {"calendar": "rows"},
        values={"a": [0, 1, 2, 3, 4, 5, 7]},
        says="rows(Mon-Sat 00:00)",
    ),
    kind(
        "half hours of opening hours, said",
        days(
            lambda i, t: (
                f"{t:%Y-%m-%d %H:%M},{i}" if t.day_of_week < 5 and 8 <= t.hour < 18 else ""
            ),
            "date,a",
            48 * 21,
            "30min",
        ),
        {"calendar": "rows"},
        values={"a": [16, 17]},
        start="2024-01-01 08:00",
        says="rows(Mon-Fri 08:00-17:30/30)",
    ),
    kind(
        "each column filled by its own rule",
        days(
            lambda i, t: f"{t:%Y-%m-%d},{'' if i == 1 else i},{'' if i == 2 else i}",
            "date,sales,price",
        ),
        {"missing": "sales=zero,price=ffill"},
        values={"sales": [0, 0, 2], "price": [0, 1, 1]},
        says="filled by sales=zero,price=ffill",
    ),
    kind(
        "a rule of a column that is not there", ISO, {"missing": "ffill,b=zero"}, error="missing=b="
    ),
    kind(
        "-9999 that nobody told",
        ISO.replace(",2\n", ",-9999\n"),
        values={"a": [0, 1, -9999, 3]},
        says="holds -9999",
    ),
    kind(
        "a sheet of Excel",
        sheet(
            [
                ["date", "shop", "sales"],
                *(
                    [pd.Timestamp("2024-01-01") + pd.Timedelta(days=d), s, v + d]
                    for d, s, v in LONG
                ),
            ]
        ),
        {"id_column": "shop"},
        values={"x": [0, 1, 2, 3], "y": [10, 11, 12, 13]},
    ),
    kind("a sheet of before 2007", b"\xd0\xcf\x11\xe0" + bytes(100), error=".xls"),
    kind(
        "holes that are left out",
        ISO.replace(",2\n", ",\n"),
        {"missing": "mask"},
        values={"a": [0, 1, float("nan"), 3]},
        says="1 values (16.7%) are missing, and were left out (mask)",
    ),
    kind(
        "rows that are not there, left out",
        ISO.replace("2024-01-03,2\n", ""),
        {"missing": "mask"},
        values={"a": [0, 1, float("nan"), 3]},
        says="left out",
    ),
]
