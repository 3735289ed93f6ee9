"""Single cut-offs of a backtest, against numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from stanhop_app.errors import OptionError
from stanhop_app.figures.page import FORECAST, model_styles
from stanhop_app.runs.backtest.past import Place, by_cutoff, window_figure, worst
from stanhop_app.runs.backtest.record import ENDS, Backtest

CUTOFFS = pd.date_range("2024-01-01", periods=4, freq="D")
STEPS = 2


@pytest.fixture
def made():
    """Two variates, two models, four cut-offs of two steps; what came is the number of the day."""
    rows = []
    for number, cutoff in enumerate(CUTOFFS):
        for model, error in (("ours", [1.0, 4.0, 2.0, 3.0][number]), ("theirs", 2.5)):
            for variate, scale in (("a", 1.0), ("b", 10.0)):
                for step in range(1, STEPS + 1):
                    came = scale * (number + step)
                    unknown = variate == "b" and number == 3
                    forecast = came + scale * error * (-1) ** step
                    row = {
                        "variate": variate,
                        "cutoff": cutoff,
                        "time": cutoff + pd.Timedelta(days=step),
                        "step": step,
                        "model": model,
                        "actual": np.nan if unknown else came,
                        "forecast": forecast,
                    }
                    rows.append(row | {end: forecast + k for k, end in enumerate(ENDS)})
    return Backtest(table=pd.DataFrame(rows), about={"horizon": STEPS})


def test_errors_are_in_the_units_of_the_table_and_unknown_truths_left_out(made):
    errors = by_cutoff(made, Place(variate="b"))
    assert list(errors.columns) == ["ours", "theirs"]
    assert list(errors.index) == list(CUTOFFS[:3])
    np.testing.assert_allclose(errors["ours"], [10.0, 40.0, 20.0])
    np.testing.assert_allclose(errors["theirs"], 25.0)


def test_the_worst_cut_off_is_the_first_and_named_beside_the_best_other(made):
    ranked = worst(made, Place(variate="a"), "ours")
    assert list(ranked.index) == [CUTOFFS[k] for k in (1, 3, 2, 0)]
    np.testing.assert_allclose(ranked["error"], [4.0, 3.0, 2.0, 1.0])
    assert set(ranked["best other"]) == {"theirs"}
    np.testing.assert_allclose(ranked["its error"], 2.5)


def test_the_figure_holds_what_was_said_and_what_came(made):
    figure = window_figure(made, Place(variate="a"), "ours", CUTOFFS[2])
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["95%", "80%", "theirs", "history", "forecast", "actual"]
    np.testing.assert_allclose(traces["actual"].y, [3.0, 4.0])
    np.testing.assert_allclose(traces["forecast"].y, [1.0, 6.0])
    np.testing.assert_allclose(traces["theirs"].y, [0.5, 6.5])
    # What came until the cut-off, as far as it was a target of another one.
    assert list(traces["history"].x) == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")]
    np.testing.assert_allclose(traces["history"].y, [1.0, 2.0])
    np.testing.assert_allclose(traces["80%"].y, [1.0 + 1, 6.0 + 1, 6.0 + 5, 1.0 + 5])
    np.testing.assert_allclose(traces["95%"].y, [1.0, 6.0, 6.0 + 6, 1.0 + 6])


def test_what_is_not_there_is_said(made):
    with pytest.raises(OptionError, match="has no .*c"):
        by_cutoff(made, Place(variate="c"))
    with pytest.raises(OptionError, match="made no forecast at"):
        window_figure(made, Place(variate="a"), "ours", pd.Timestamp("2030-01-01"))


def test_a_model_has_one_line_whichever_is_looked_at(made):
    styles = model_styles(["ours", "theirs", "ridge"], "theirs")
    assert styles["theirs"]["color"] == FORECAST
    other = model_styles(["ours", "theirs", "ridge"], "ours")
    assert styles["ridge"] == other["ridge"]
    lines = [(line["color"], line["dash"]) for line in styles.values()]
    assert len(set(lines)) == 3
    figure = window_figure(made, Place(variate="a"), "ours", CUTOFFS[2])
    (drawn,) = [trace for trace in figure.data if trace.name == "theirs"]
    assert drawn.line.color == model_styles(["ours", "theirs"], "ours")["theirs"]["color"]
