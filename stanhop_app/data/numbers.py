"""Text that means numbers: decimal marks, grouped digits, words for missing values, units."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError

SPACES = " \u00a0\u202f"
USUAL = {"", "na", "n/a", "nan", "null", "none", "#n/a", "<na>"}
"""Words for a missing value that are not worth saying, in small letters."""
MARKS = USUAL | {
    "?",
    "-",
    "--",
    ".",
    "..",
    "#na",
    "nil",
    "missing",
    "n.a.",
    "k.a.",
    "\u2013",
    "\u2014",
}
"""All words for a missing value that are known."""
TRUTH = {"true": "1", "false": "0"}
CURRENCY = "[\u20ac$\u00a3\u00a5\u20b9]|EUR|USD|GBP|CHF|JPY"
UNITS = (
    f"%|{CURRENCY}|\u00b0C|\u00b0F|\u00b0|[kMGT]?Wh|[kMG]?W|[kMG]?VA|[kM]?V|A|Hz|bar|[hkM]?Pa|[km\u00b5]?g|t|"
    "[kmc]?m|m2|m\u00b2|m3|m\u00b3|l|ml|s|ms|min|h|d|km/h|m/s|mph|ppm|pcs|\u20ac/MWh|EUR/MWh"
)
"""Units that may stand after every number of a column."""
NUMBER = r"[-+]?(\d[\d.,]*|[.,]\d+)([eE][-+]?\d+)?"
"""A number with marks of any meaning."""
HEAD = 1000
"""Rows by which columns of words are told; a column of numbers has some of them there."""


def check_marks(decimal: str | None, thousands: str | None) -> tuple[str | None, str | None]:
    """Both marks, the decimal one from the other where only that is given.

    Raises:
        OptionError: for marks that cannot be.
    """
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands in "+-"):
        raise OptionError(f"thousands must be one mark such as ',' or '.', got {thousands!r}.")
    if decimal is None and thousands in (".", ","):
        decimal = "." if thousands == "," else ","
    if thousands is not None and thousands == decimal:
        raise OptionError(f"decimal and thousands cannot both be {decimal!r}.")
    return decimal, thousands


def to_numbers(
    table: pd.DataFrame,
    *,
    decimal: str | None,
    thousands: str | None,
    na: Collection[str],
    hint: str | None,
    kept: Collection[str],
    commas: bool,
) -> tuple[pd.DataFrame, str | None, list[str]]:
    """Columns of text that hold numbers become numbers; others, and single values that are none, stay text.

    Args:
        table: as it was read.
        decimal: the mark, where it is known.
        thousands: the mark that groups digits, where it is known.
        na: words for a missing value, besides those that are known.
        hint: the decimal mark of another table, for numbers that may mean two things.
        kept: columns that stay as they are written: names of series.
        commas: whether commas separate the columns, so that a mark outside of quotes is a decimal point.

    Returns:
        The table, the decimal mark if columns proved it, and sentences for the user.

    Raises:
        OptionError: if marks prove two things, or none although they are there.
    """
    notes: list[str] = []
    text: dict[str, pd.Series] = {}
    for column in table.columns:
        if column in kept or not _is_text(table[column]):
            continue
        text[column], remarks = _plain(table[column], na)
        notes += [f"column {column!r}: {one}" for one in remarks]
    if thousands is not None and thousands not in ".,":
        marks = f"[{SPACES}]" if thousands in SPACES else re.escape(thousands)
        between = rf"(?<=\d){marks}(?=\d\d\d)"
        grouped = {c: x for c, x in text.items() if _all(x, rf"[-+]?\d[\d.,{SPACES}'_]*")}
        text |= {c: x.str.replace(between, "", regex=True) for c, x in grouped.items()}
        thousands = None
    quoted = not commas or any(x.str.contains(r"\d,|,\d").any() for x in text.values())
    if commas and decimal is None and not quoted:
        decimal = "."
    proof = None if decimal else _find_decimal(text, hint, _fractions(table) if commas else None)
    mark = decimal or proof or "."
    other = thousands or ("." if mark == "," else ",")
    converted = {c: _convert(x, mark, other) for c, x in text.items()}
    columns = {c: converted.get(c, table[c]) for c in table.columns}
    result = pd.DataFrame(columns, index=table.index)
    return _without(result, na, kept), proof, notes


def missing_words(values: pd.Series, na: Collection[str]) -> pd.Series:
    """Which values are words for "missing"."""
    lower = values.str.lower()
    return lower.isin(MARKS | {word.lower() for word in na})


def _is_text(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"


def _without(table: pd.DataFrame, na: Collection[str], kept: Collection[str]) -> pd.DataFrame:
    """A table whose numbers that mean "missing" (-9999) are missing."""
    numbers = []
    for word in na:
        try:
            numbers.append(float(word))
        except ValueError:
            continue
    if not numbers:
        return table
    columns = [c for c in table.select_dtypes("number").columns if c not in kept]
    return table.assign(**{c: table[c].where(~table[c].isin(numbers)) for c in columns})


def _plain(values: pd.Series, na: Collection[str]) -> tuple[pd.Series, list[str]]:
    """A column of text whose numbers have lost their units and whose missing values are missing.

    Where it is no column of numbers it stays as it was: NA is a name among names.
    """
    if not _any_number(values.head(HEAD), na):
        return values, []
    stripped = values.str.strip()
    words = missing_words(stripped, na)
    present = stripped[~words & stripped.notna()]
    if present.empty:
        return stripped.mask(words), []
    number = present.str.fullmatch(rf"[-+]?[\d.,{SPACES}'_]*\d[\d.,]*([eE][-+]?\d+)?")
    if not number.any() and present.str.lower().isin(TRUTH).all():
        return stripped.mask(words).str.lower().map(TRUTH, na_action="ignore"), []
    notes = []
    if not number.all():
        bare, unit = _without_unit(present)
        if unit is None:
            # Of a few words among numbers the first is named where the values are needed (`columns.numeric`).
            mostly = number.mean() > 0.5
            return (stripped.mask(words) if mostly else stripped), []
        notes.append(f"{unit!r} was taken off its numbers")
        stripped = stripped.mask(words)
        stripped.loc[bare.index] = bare
    unusual = sorted(
        {word for word in stripped[words].dropna().unique() if word.lower() not in USUAL}
    )
    if unusual:
        count = int(stripped[words].isin(unusual).sum())
        notes.append(f"{', '.join(map(repr, unusual))} in {count} rows was read as missing")
    return stripped.mask(words), notes


def _any_number(values: pd.Series, na: Collection[str]) -> bool:
    """Whether some of the first values are numbers, with or without units, or words in their place."""
    values = values.dropna().str.strip()
    words = missing_words(values, na) | values.str.lower().isin(TRUTH)
    numbers = values.str.fullmatch(
        rf"([-+]|{CURRENCY}|\s)*[\d.,'_{SPACES}]+([eE][-+]?\d+)?({UNITS})?"
    )
    return values.empty or bool((words | numbers).any())


def _without_unit(values: pd.Series) -> tuple[pd.Series, str | None]:
    """Numbers without the one unit that stands beside all of them, and the unit; None if there is none."""
    signed = (
        rf"(?P<sign>[-+]?)\s?(?P<before>{CURRENCY})?\s?(?P<number>[-+]?[\d.,{SPACES}'_]*\d[\d.,]*)"
    )
    parts = values.str.extract(rf"^{signed}\s?(?P<after>{UNITS})?$")
    if parts["number"].isna().any():
        return values, None
    units = parts["before"].fillna("") + parts["after"].fillna("")
    named = units.unique()
    if len(named) != 1:
        return values, None
    return parts["sign"] + parts["number"], str(named[0])


def _fractions(table: pd.DataFrame) -> dict[str, str]:
    """The decimal point, with a column that pandas read numbers with one from, if there is such a one."""
    for column in table.select_dtypes("float"):
        if (table[column] % 1 > 0).any():
            return {".": str(column)}
    return {}


def _find_decimal(
    text: dict[str, pd.Series], hint: str | None, points: dict[str, str] | None
) -> str | None:
    """The decimal mark that the columns of numbers prove, or None where there is no mark.

    Args:
        text: by column.
        hint: the mark of another table, where this one proves none.
        points: of columns between commas: what other columns prove. A point there groups no digits.

    Raises:
        OptionError: if they prove both, or none although marks are there and no other table tells.
    """
    proof: dict[str, str] = dict(points or {})
    doubt: list[str] = []
    for column, values in text.items():
        values = values.dropna()
        if not _all(values, NUMBER):
            continue  # text
        if _all(values, r"\d{1,4}\.\d{1,2}\.\d{1,4}") or values.str.fullmatch(r"0\d.*").any():
            continue  # dates, and numbers that name things
        for mark, other in (".", ","), (",", "."):
            m, o = re.escape(mark), re.escape(other)
            maybe_grouped = values.str.fullmatch(rf"[-+]?[1-9]\d{{0,2}}({m}\d{{3}})+({o}\d*)?")
            groups = maybe_grouped & (values.str.contains(o) | (values.str.count(m) > 1))
            if groups.any():
                proof[other] = column
            elif maybe_grouped.any() and mark == "." and points is not None:
                proof["."] = column
            elif maybe_grouped.any():
                doubt.append(str(values[maybe_grouped].iloc[0]))
            single = values.str.fullmatch(
                rf"[-+]?(\d+|\d{{1,3}}({o}\d{{3}})+)?{m}\d*([eE][-+]?\d+)?"
            )
            if (single & ~maybe_grouped).any():
                proof[mark] = column
    if len(proof) == 2:
        raise OptionError(
            f"columns {proof['.']!r} and {proof[',']!r} write decimals differently; say decimal='.' or "
            "',' (--decimal)"
        )
    if proof:
        return next(iter(proof))
    if doubt and hint is None:
        one = doubt[0]
        whole = re.sub("[.,]", "", one)
        raise OptionError(
            f"numbers such as {one} may mean {whole}, or {whole} thousandths; say decimal=',' or '.' "
            "(--decimal)"
        )
    return hint if doubt else None


def _convert(values: pd.Series, decimal: str, thousands: str) -> pd.Series:
    """Text as numbers; where some of it is no number, those values as they are."""
    d, t = re.escape(decimal), re.escape(thousands)
    number = rf"[-+]?(\d+|\d{{1,3}}({t}\d{{3}})+)?({d}\d*)?([eE][-+]?\d+)?"
    known = values.isna() | (values.str.fullmatch(number) & values.str.contains(r"\d"))
    if not known.any() or values.isna().all():
        return values.astype(np.float64) if values.isna().all() else values
    plain = values.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    if known.all():
        return pd.to_numeric(plain)
    return plain.where(known, values)


def _all(values: pd.Series, pattern: str) -> bool:
    """Whether there are values and all match."""
    values = values.dropna()
    return len(values) > 0 and bool(values.str.fullmatch(pattern).all())
