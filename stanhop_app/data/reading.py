"""How a table is read: the options of `stanhop_app.data.frame.read_frame`. Nothing here needs pandas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from stanhop_app.options import check, option

Missing = Literal["error", "interpolate", "ffill", "zero"]
"""What can be done about missing values and time stamps."""


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """How a table is read; what is None is found in the table itself."""

    time_column: str | None = option(
        None, "Column of time stamps, or several: date,hour; found in the table if left out."
    )
    id_column: str | None = option(
        None, "Column that names the series of a long table; found in the table if left out."
    )
    value_column: str | None = option(
        None, "Column of the values of a long table; found in the table if left out."
    )
    columns: list[str] | None = option(
        None, "Columns to use, by name: OT,HUFL. Default: all.", metavar="NAMES"
    )
    long: bool | None = option(
        None,
        "Whether a column names the series of a long table; found in the table if left out.",
        flags=("--id", "--no-id"),
    )
    frequency: str | None = option(
        None, "Frequency of the rows, a pandas alias such as h, 15min, D. Default: inferred."
    )
    missing: Missing = option(
        "error",
        "What to do about missing values and time stamps; zero: no row means nothing sold.",
        choices=get_args(Missing),
    )
    day_first: bool | None = option(
        None,
        "Whether 01/02/2024 is February 1 or January 2; found in the table if left out.",
        flags=("--day-first", "--month-first"),
    )
    time_format: str | None = option(
        None,
        "How time stamps are written, as %d.%m.%y %H:%M, or one of unix, unix-ms, excel; found if left out.",
    )
    time_zone: str | None = option(
        None,
        "Zone of the time stamps, such as Europe/Vienna; of those with an offset, the new one.",
    )
    decimal: str | None = option(
        None, "Decimal mark of a CSV file; found in the table if left out.", choices=(".", ",")
    )
    thousands: str | None = option(
        None, "Mark that groups digits in a CSV file: , in 1,234.5; found in the table if left out."
    )
    na: list[str] | None = option(
        None,
        "Words or numbers that mean a missing value, besides the usual: -9999,closed.",
        metavar="WORDS",
    )
    encoding: str | None = option(
        None, "Encoding of a CSV file, such as cp1252; found in the file if left out."
    )
    header_rows: int = option(
        1, "Rows of names in a CSV file; 0: none, the columns are numbered.", least=0, most=9
    )
    skip_rows: int = option(0, "Lines before the names in a CSV file.", least=0)
    skip_last: int = option(0, "Rows after the data in a CSV file, such as a total.", least=0)
    comment: str | None = option(None, "Mark at which lines of a CSV file begin that are no rows.")
    max_megabytes: int = option(
        2048, "Megabytes that a table may have when it is unpacked; more is not read.", least=1
    )

    def __post_init__(self) -> None:
        check(self)


def reading_of(source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How the table of a training was read: what was said of it, and what it proved, as hints.

    Args:
        source: what a run keeps of its table. In folders of older versions both stand in "options"; marks and
            order of dates count as proved there.
    """
    options = dict(source.get("options") or {})
    if "proved" in source:
        return options, dict(source["proved"] or {})
    hints = {name: options.pop(name) for name in ("decimal", "day_first") if name in options}
    return options, {name: value for name, value in hints.items() if value is not None}
