"""The league's judge and its ranks; the league itself is a command (tests/benchmarks/league.py)."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def league(monkeypatch):
    """Modules of the league by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
    return importlib.import_module


def test_ranks_of_ties_failures_and_models_that_were_not_run(league):
    standings = league("standings")
    cells = [
        {"table": "a", "horizon": 1, "model": "x", "point": 1.0},
        {"table": "a", "horizon": 1, "model": "x", "point": 3.0},  # another seed
        {"table": "a", "horizon": 1, "model": "y", "point": 2.001},
        {"table": "a", "horizon": 1, "model": "z", "failed": "no memory"},
        {"table": "b", "horizon": 1, "model": "x", "point": 1.0},
        {"table": "b", "horizon": 1, "model": "y", "point": 0.9},
        {"table": "b", "horizon": 1, "model": "z", "point": 0.5},
        {"table": "c", "horizon": 1, "model": "x", "point": 1.0},
    ]
    table = standings.errors(cells, "point")
    assert table.loc["a 1", "x"] == 2.0
    found = standings.ranks(table)
    assert list(found.index) == ["a 1", "b 1"]
    assert found.loc["a 1"].to_dict() == {"x": 1.5, "y": 1.5, "z": 3.0}
    assert found.loc["b 1"].to_dict() == {"x": 3.0, "y": 2.0, "z": 1.0}


def test_a_chain_of_small_steps_ties_no_models_that_lie_far_apart(league):
    table = pd.DataFrame([[1.0, 1.004, 1.008, 1.012]], columns=list("abcd"))
    assert league("standings").ranks(table).iloc[0].tolist() == [1.5, 1.5, 3.5, 3.5]


def test_critical_difference_is_that_of_the_paper(league):
    """Demšar (2006), table 5 and section 3.2.2: five classifiers, 30 data sets: 2.728 and 1.11."""
    made = league("standings").critical_difference(5, 30)
    assert made == pytest.approx(2.728 * np.sqrt(5 * 6 / (6 * 30)), abs=1e-3)


def test_forecasts_are_judged_in_units_of_seasonal_naive(league):
    entry = league("entrants.entries").Entry(
        table="t", horizon=2, season=1, frequency="D", origins=1, wide=False
    )
    judged = league("league").judged
    days = pd.date_range("2024-01-01", periods=6)
    table = pd.DataFrame({"unique_id": "s", "ds": days, "y": [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]})
    made = table.iloc[4:].assign(point=[9.0, 9.0])
    made = made.assign(**{f"q{level}": made["point"] for level in league("league").LEVELS})
    told = judged(made.drop(columns="y"), table, entry)
    assert told["point"] == pytest.approx(1.0 / 2.0)
    assert told["wql"] == pytest.approx(1.0 / 2.0)  # pinball losses of both signs sum to |error|
    assert told["coverage_80"] == 0.0
    with pytest.raises(ValueError, match="1 forecasts of 2"):
        judged(made.drop(columns="y").iloc[:1], table, entry)
    with pytest.raises(ValueError, match="2 forecasts of 2 rows, or others"):
        judged(pd.concat([made.iloc[:1]] * 2).drop(columns="y"), table, entry)
    with pytest.raises(ValueError, match="not numbers"):
        judged(made.drop(columns="y").assign(point=np.nan), table, entry)
