"""Daily exchange rates of eight countries, 1990 to 2016 (Lai et al., arXiv 1703.07015), with dates.

The published file holds numbers only. Its rows are taken for business days from 1990-01-01 on, as others do.
"""

from pathlib import Path

import pandas as pd
from stanhop_app.datasets import cache

SHA256 = "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f"
"""Checksum of the published numbers."""
TABLE = "96e69bdffcb4ac6cf6690ffb096155f561949926251a90bc6a1de1ea46868358"
"""Checksum of the table that is made of them."""
URL = (
    "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/master/"
    "exchange_rate/exchange_rate.txt.gz"
)
NAMES = "Australia,Britain,Canada,Switzerland,China,Japan,New Zealand,Singapore"


def locate() -> Path:
    """The verified path of the table, made in the user's cache on first use.

    Raises:
        DataError: if no source answers, or a file has the wrong checksum.
    """
    return cache.locate("exchange-rate.csv", TABLE, (_made,))


def _made() -> bytes:
    """The published numbers."""
    names = ("exchange_rate.txt", "exchange_rate.txt.gz")
    lines = cache.original(names, SHA256, URL).decode().split()
    days = pd.date_range("1990-01-01", periods=len(lines), freq="B").strftime("%Y-%m-%d")
    rows = (f"{day},{line}" for day, line in zip(days, lines, strict=True))
    return "\n".join([f"date,{NAMES}", *rows, ""]).encode()
