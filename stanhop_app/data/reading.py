"""How a table is read: the options of `stanhop_app.data.frame.read_frame`. Nothing here needs pandas."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stanhop_app.errors import OptionError
from stanhop_app.options import check, option

RULES = ("error", "interpolate", "ffill", "zero", "mask")
"""What can be done about missing values and time stamps."""


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """How a table is read; what is None is found in the table itself."""

    time_column: str | None = option(
        None, "Column of time stamps, or several: date,hour; found in the table if left out."
    )
    id_column: str | None = option(
        None,
        "Column that names the series of a long table, or several: store,item; found in the table if left "
        "out.",
    )
    value_column: str | None = option(
        None, "Column of the values of a long table; found in the table if left out."
    )
    columns: list[str] | None = option(
        None, "Columns to use, by name: OT,HUFL. Default: all.", metavar="NAMES"
    )
    future_covariates: list[str] | None = option(
        None,
        "Columns known ahead, such as price,promo; rows after the last value hold those of the future.",
        metavar="NAMES",
    )
    past_covariates: list[str] | None = option(
        None, "Columns known up to the last value only, such as the weather.", metavar="NAMES"
    )
    static_covariates: list[str] | None = option(
        None,
        "Columns that say the same in all rows of a series of a long table, such as its kind.",
        metavar="NAMES",
    )
    long: bool | None = option(
        None,
        "Whether a column names the series of a long table; found in the table if left out.",
        flags=("--id", "--no-id"),
    )
    joint: bool | None = option(
        None,
        "Whether the series of a long table are variates of one series, or one network forecasts each by "
        "itself, as always with covariates. Default: joint if all have the same time stamps.",
        flags=("--joint", "--each"),
    )
    frequency: str | None = option(
        None, "Frequency of the rows, a pandas alias such as h, 15min, D. Default: inferred."
    )
    calendar: str = option(
        "steps",
        "Whether time goes in equal steps, or the rows that exist are a week's calendar (opening hours).",
        choices=("steps", "rows"),
    )
    missing: str = option(
        "error",
        "What to do about missing values and time stamps: error, interpolate, ffill, zero (no row means "
        "nothing sold), or mask (left out of statistics, losses and scores). By column: "
        "sales=zero,price=ffill, or ffill,sales=zero.",
        metavar="RULE",
        suggested=RULES,
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
    sheet: str | None = option(
        None, "Sheet of an Excel file; the only one that holds rows, if left out."
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
        filling(self.missing)


@dataclass(frozen=True, kw_only=True)
class Filling:
    """What is done about missing values, column by column."""

    rule: str
    """The rule of all columns that ``by_column`` does not name."""
    by_column: Mapping[str, str]

    def of(self, column: str) -> str:
        """The rule of one column."""
        return self.by_column.get(column, self.rule)

    @property
    def allows_rows(self) -> bool:
        """Whether rows may be added, since there is something to fill in at least one column."""
        return self.rule != "error" or any(rule != "error" for rule in self.by_column.values())


def id_parts(id_column: str | None, columns: Collection[Any]) -> list[str]:
    """The columns that name the series: one, or several whose names stand with commas between them."""
    if id_column is None:
        return []
    parts = [part.strip() for part in id_column.split(",")]
    return parts if id_column not in columns and all(p in columns for p in parts) else [id_column]


def filling(missing: str) -> Filling:
    """The rules that an option such as ``ffill,sales=zero`` says.

    Raises:
        OptionError: for a rule that there is not, or two for one column.

    Examples:
        >>> filling("ffill,sales=zero").of("sales")
        'zero'
        >>> filling("sales=zero").rule
        'error'
    """
    rule, by_column = "error", {}
    for number, part in enumerate(str(missing).split(",")):
        column, equals, named = part.strip().rpartition("=")
        if named.strip() not in RULES:
            raise OptionError(
                f"missing must be one of {', '.join(RULES)}, or one a column such as sales=zero,price=ffill, "
                f"got {missing!r}."
            )
        if equals:
            if column.strip() in by_column:
                raise OptionError(f"missing has two rules for column {column.strip()!r}.")
            by_column[column.strip()] = named.strip()
        elif number:
            raise OptionError(
                f"missing: write the rule of all other columns first, got {missing!r}."
            )
        else:
            rule = named.strip()
    return Filling(rule=rule, by_column=by_column)


def masks(missing: str) -> bool:
    """Whether an option such as ``ffill,price=mask`` leaves holes in a table."""
    rules = filling(missing)
    return rules.rule == "mask" or "mask" in rules.by_column.values()


def deferred(missing: str) -> str:
    """The same rules, but that holes which the rows before would fill stay holes for now (mask).

    Examples:
        >>> deferred("ffill,sales=zero")
        'mask,sales=zero'
    """
    rules = filling(missing)
    later = {"interpolate": "mask", "ffill": "mask"}
    named = [f"{column}={later.get(rule, rule)}" for column, rule in rules.by_column.items()]
    return ",".join([later.get(rules.rule, rules.rule), *named])


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
