"""Ranks of models over tables, and how far two mean ranks must lie apart.

References:
    Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006), section 3.2.2.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import studentized_range

NAIVE = "seasonal naive"
TIED = 0.005
"""Errors of one table that lie no further apart than this share of the smaller are a tie."""


def errors(cells: Iterable[Mapping[str, Any]], measure: str) -> pd.DataFrame:
    """The mean error over the seeds, a row a table and horizon, a column a model.

    A model that failed on a table has infinity there, one that was not run has NaN.
    """
    rows = [
        {**cell, "entry": f"{cell['table']} {cell['horizon']}", measure: cell.get(measure, np.inf)}
        for cell in cells
    ]
    frame = pd.DataFrame(rows)
    return frame.pivot_table(index="entry", columns="model", values=measure, sort=False)


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Ranks of the models (1: least error) in every row that all models have; ties share their mean rank.

    In order of errors, a model is tied with the first of those before it that lies within `TIED`, so that no
    chain of small steps ties models that lie far apart.
    """
    whole = table.dropna()
    made = {}
    for entry, row in whole.iterrows():
        ordered = row.sort_values()
        heads: list[float] = []
        for value in ordered:
            tied = heads and value <= heads[-1] * (1 + TIED)
            heads.append(heads[-1] if tied else value)
        groups = pd.Series(heads, index=ordered.index)
        places = pd.Series(np.arange(1.0, len(ordered) + 1), index=ordered.index)
        made[entry] = places.groupby(groups).transform("mean")
    return pd.DataFrame(made, index=whole.columns).T


def critical_difference(models: int, tables: int, level: float = 0.05) -> float:
    """How far mean ranks of two models must lie apart to differ at this level (Nemenyi).

    ``q / sqrt(2) sqrt(k (k + 1) / (6 N))`` with q of the studentised range, k models and N tables.
    """
    q = float(studentized_range.ppf(1 - level, models, np.inf))
    return q / np.sqrt(2) * float(np.sqrt(models * (models + 1) / (6 * tables)))
