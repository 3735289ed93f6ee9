"""Public holidays of a country, or of a part of one, as covariates: they are known ahead."""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from stanhop_app.errors import OptionError

COLUMNS = 2
"""Features: whether a row lies on a holiday, and whether on the day before one."""


def check_place(place: str | None) -> None:
    """Refuse a place whose holidays are not known.

    Args:
        place: a country by its two letters, with a part of it after a hyphen if need be: AT, US-NY.

    Raises:
        OptionError: if it is none, or what knows them is not installed.
    """
    if place is not None:
        _days(place, (2024,))


def holiday_flags(index: pd.DatetimeIndex, place: str) -> np.ndarray:
    """(M, 2): 1 where a time stamp lies on a holiday by its local date, and on the day before one."""
    local = index.tz_localize(None).normalize()
    years = range(int(local.year.min()), int(local.year.max()) + 2)
    days = _days(place, tuple(years))
    before = frozenset(day - timedelta(days=1) for day in days)
    return np.stack([_among(local, days), _among(local, before)], axis=1)


def _among(local: pd.DatetimeIndex, days: Iterable[date]) -> np.ndarray:
    return np.asarray(local.isin(pd.DatetimeIndex(sorted(days))), dtype=np.float64)


@lru_cache(maxsize=64)
def _days(place: str, years: tuple[int, ...]) -> frozenset[date]:
    try:
        import holidays
    except ImportError:
        raise OptionError(
            "holidays need a package that is not installed: pip install 'stanhop-app[holidays]'."
        ) from None
    country, _, part = place.partition("-")
    known = holidays.list_supported_countries()
    if country not in known or (part and part not in known[country]):
        parts = f"; of {country} it knows {', '.join(known[country])}" if known.get(country) else ""
        raise OptionError(
            f"holidays of {place!r} are not known; say a country by two letters, as AT or US-NY{parts}."
        )
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=years))
