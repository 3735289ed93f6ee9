"""How a table is read: the options of `stanhop_app.data.frame.read_frame`. Nothing here needs pandas."""

from dataclasses import dataclass
from typing import Literal, get_args

from stanhop_app.options import check, option

Missing = Literal["error", "interpolate", "ffill"]
"""What can be done about missing values and time stamps."""


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """How a table is read; what is None is found in the table itself."""

    time_column: str | None = option(None, "Column of time stamps; found in the table if left out.")
    id_column: str | None = option(
        None, "Column that names the series of a long table; found in the table if left out."
    )
    value_column: str | None = option(
        None, "Column of the values of a long table; found in the table if left out."
    )
    columns: list[str] | None = option(
        None, "Columns to use, by name: OT,HUFL. Default: all.", metavar="NAMES"
    )
    frequency: str | None = option(
        None, "Frequency of the rows, a pandas alias such as h, 15min, D. Default: inferred."
    )
    missing: Missing = option(
        "error", "What to do about missing values and time stamps.", choices=get_args(Missing)
    )
    day_first: bool | None = option(
        None,
        "Whether 01/02/2024 is February 1 or January 2; found in the table if left out.",
        flags=("--day-first", "--month-first"),
    )
    decimal: str | None = option(
        None, "Decimal mark of a CSV file; found in the table if left out.", choices=(".", ",")
    )
    thousands: str | None = option(
        None, "Mark that groups digits in a CSV file: , in 1,234.5; found in the table if left out."
    )
    max_megabytes: int = option(
        2048, "Megabytes that a table may have when it is unpacked; more is not read.", least=1
    )

    def __post_init__(self) -> None:
        check(self)
