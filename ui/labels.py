"""What options are called on the pages: one label each, in widgets and in messages."""

import re

from stanhop_app.models.config import STanHopConfig
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig

MISSING = "Missing values and time stamps"
READING = (
    ("time_column", "Column of time stamps"),
    ("time_format", "How stamps are written, such as %d.%m.%y %H:%M"),
    ("time_zone", "Time zone, such as Europe/Vienna"),
    ("id_column", "Column that names series"),
    ("value_column", "Column of values, where one names series"),
    ("columns", "Columns to use, by name: OT,HUFL"),
    ("future_covariates", "Columns known ahead: price,promo"),
    ("past_covariates", "Columns known up to now: weather"),
    ("static_covariates", "Columns of a series: its kind"),
    ("frequency", "Frequency, such as h, 15min, D"),
    ("encoding", "Encoding, such as cp1252"),
    ("skip_rows", "Lines before the names"),
    ("skip_last", "Rows after the data, such as a total"),
    ("header_rows", "Rows of names"),
    ("decimal", "Decimal mark"),
    ("thousands", "Mark that groups digits"),
    ("sheet", "Sheet of an Excel file"),
    ("comment", "Mark of lines that are no rows"),
)
"""Options of reading a table, of `ReadingConfig`."""
TRAINING = (
    (
        (STanHopConfig, "horizon", "Horizon (steps)"),
        (STanHopConfig, "lookback", "Lookback (steps)"),
        (RunConfig, "split", "Split: A/B/C, or etth"),
        (RunConfig, "calendar_features", "Cycles of day, week and year"),
        (RunConfig, "holidays", "Public holidays of, such as AT"),
        (RunConfig, "memory", "External memory"),
        (TrainingConfig, "seed", "Seed"),
    ),
    (
        (STanHopConfig, "association", "Association"),
        (STanHopConfig, "gate", "Gate"),
        (STanHopConfig, "feed_forward", "Feed-forward"),
        (STanHopConfig, "projection", "Projections"),
        (STanHopConfig, "linear_skip", "Linear part"),
    ),
    (
        (STanHopConfig, "patch_length", "Patch length (steps)"),
        (STanHopConfig, "dim", "Width"),
        (STanHopConfig, "num_heads", "Heads"),
        (STanHopConfig, "num_layers", "Blocks in the encoder"),
        (TrainingConfig, "max_epochs", "Epochs"),
        (TrainingConfig, "max_steps", "Steps at most"),
    ),
)
"""Options of a training that can be chosen, by column; one more is one line."""
NAMED = {
    "missing": MISSING,
    "output": "Name of the run",
    **dict(READING),
    **{name: label for column in TRAINING for _, name, label in column},
}
"""Labels by the name of the option."""
FLAG = re.compile(r"(?<![\w'\"-])--(no-)?([a-z][a-z-]*)(?!\w|\.\w)")
UNKNOWN = re.compile(r"\s*\((?:or )?--[a-z][a-z-]*(?:,? (?:or )?--[a-z][a-z-]*)*\)")


def in_words(message: str) -> str:
    """A message of the command line in the words of the pages.

    Flags are named by the labels of their widgets; brackets that name nothing but flags without one are left
    out, and what else has no widget is called an option of the command line.

    Example:
        >>> in_words("take fewer columns (--columns) or raise max_megabytes (--max-megabytes).")
        'take fewer columns (“Columns to use”) or raise max_megabytes.'
    """

    def bracket(words: re.Match[str]) -> str:
        flags = FLAG.findall(words.group())
        known = any(name.replace("-", "_") in NAMED for _, name in flags)
        return words.group() if known else ""

    return FLAG.sub(_label, UNKNOWN.sub(bracket, message))


def _label(flag: re.Match[str]) -> str:
    label = None if flag.group(1) else NAMED.get(flag.group(2).replace("-", "_"))
    if label is None:
        return f"{flag.group()} of the command line"
    short = re.split(r"[:,(]", label)[0].strip() if ":" in label or "such as" in label else label
    return f"“{short}”"
