"""Forecasts at many cut-offs: no row of later has a part in one, and a stopped backtest goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import to_series
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.runs.backtest.backtest import backtest
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.record import ENDS, Backtest
from stanhop_app.runs.backtest.scores import scores
from stanhop_app.runs.backtest.team import REFITTED, UPDATED
from stanhop_app.runs.making import make_run
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import evaluate_run


@pytest.fixture(scope="module")
def run(weather, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest") / "run"
    forecaster = STanHopForecaster(**small)
    make_run(forecaster, Panel.of(weather, "14/5/5"), folder)
    return Run.open(folder).on(weather)


@pytest.fixture(scope="module")
def made(run):
    return backtest(run, BacktestConfig(stride=6))


def test_every_window_scores_as_evaluate_does(run):
    """At a stride of one row a backtest is the evaluation of the test part."""
    whole = backtest(run, BacktestConfig(stride=1, update=False))
    told, report = scores(whole), evaluate_run(run)
    for name in told.index:
        wanted = report.table.loc[name, ["test_mse", "test_mae"]]
        assert np.allclose(told.loc[name, ["mse", "mae"]].to_numpy(), wanted.to_numpy(), rtol=1e-5)
    by_variate = scores(whole, by=["variate"]).loc[WHOLE]
    assert np.allclose(by_variate["mase"], report.variates["mase"], rtol=1e-5)
    assert np.allclose(by_variate["smape"], report.variates["smape"], rtol=1e-5)


@pytest.mark.slow
def test_what_came_later_changes_nothing(run, weather, made):
    """Rows after a cut-off are turned around: what is forecast at it stays, to the bit."""
    cutoff = made.table["cutoff"].unique()[10]
    changed = weather.copy()
    later = changed.index > cutoff
    changed.loc[later] = changed.loc[later].to_numpy()[::-1]
    folder = run.folder
    other = Run.open(folder).on(changed)
    # Known to begin as the training's does up to the cut-off only, so that its parts must be said.
    object.__setattr__(other.fitted, "fingerprint", other.table.fingerprint)
    again = backtest(other, BacktestConfig(stride=6)).table
    known = made.table["cutoff"] <= cutoff
    names = ["cutoff", "model", "forecast", *ENDS]
    pd.testing.assert_frame_equal(made.table.loc[known, names], again.loc[known, names])
    assert not made.table["forecast"].equals(again["forecast"])


@pytest.mark.slow
def test_an_outlying_value_before_a_cut_off_says_nothing_of_later(run, weather, made):
    """What is left out of the fit was once replaced by a line to the next value, which had not come."""
    cutoff = made.table["cutoff"].unique()[10]
    tables = []
    for later in (1, -1):
        changed = weather.copy()
        changed.loc[cutoff, "temperature_f"] = 1e5
        behind = changed.index > cutoff
        changed.loc[behind] = changed.loc[behind].to_numpy()[::later]
        other = Run.open(run.folder).on(changed)
        object.__setattr__(other.fitted, "fingerprint", other.table.fingerprint)
        table = backtest(other, BacktestConfig(stride=6)).table
        tables.append(table[table["cutoff"] <= cutoff][["cutoff", "model", "forecast", *ENDS]])
    pd.testing.assert_frame_equal(*tables)


def test_updated_is_what_update_would_have_made(weather, small, made, run):
    """The first cut-off by hand: a fit whose linear part saw all rows before it."""
    border = run.fitted.borders.validation
    first = made.table["cutoff"].iloc[0]
    rows = weather[weather.index <= first]
    options = {**small, "final": "linear"}
    forecaster = STanHopForecaster(**options, split=run.fitted.split)
    forecaster.fit(Panel.of(weather, run.fitted.split))
    start = weather.iloc[:border]
    assert len(rows) >= border
    by_hand = STanHopForecaster(**options, split=f"*/{border - run.fitted.borders.train}/0")
    by_hand.fit(start)
    by_hand.update(rows) if len(rows) > len(start) else None
    own = made.table[(made.table["model"] == UPDATED) & (made.table["cutoff"] == first)]
    wide = own.pivot(index="time", columns="variate", values="forecast")
    wanted = by_hand.predict()
    assert np.allclose(wide[list(wanted)], wanted, rtol=1e-4, atol=1e-4)


def test_quantiles_rise_and_scores_follow_their_definitions(made):
    ends = made.table[list(ENDS)].to_numpy()
    assert (np.diff(ends, axis=1) >= 0).all()
    told = scores(made)
    own = made.table[made.table["model"] == WHOLE]
    inside = (own["actual"] >= own["ql0.1"]) & (own["actual"] <= own["ql0.9"])
    assert told.loc[WHOLE, "coverage_80"] == pytest.approx(inside.mean())
    assert (told["width_95"] > told["width_80"]).all()
    by_step = scores(made, by=["step"]).loc[WHOLE]
    assert by_step["mse"].mean() == pytest.approx(told.loc[WHOLE, "mse"])
    for group in ("hour", "weekday", "cutoff"):
        parts = scores(made, by=[group]).loc[WHOLE]
        weighed = np.average(parts["mae"], weights=parts["values"])
        assert weighed == pytest.approx(told.loc[WHOLE, "mae"])
    with pytest.raises(OptionError, match="scores are told by step"):
        scores(made, by=["series"])


@pytest.mark.slow
def test_a_stopped_backtest_goes_on_to_the_same_table(run, tmp_path, monkeypatch, made):
    monkeypatch.setattr("stanhop_app.runs.backtest.backtest.AT_ONCE", 4)
    config = BacktestConfig(stride=6)
    whole = backtest(run, config, output=tmp_path / "whole.parquet")
    stopped, told = tmp_path / "stopped.parquet", []

    def stop(text):
        told.append(text)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backtest(run, config, output=stopped, say=stop)
    assert not stopped.exists()
    with pytest.raises(ArtefactError, match="was begun with other options"):
        backtest(run, BacktestConfig(stride=12), output=stopped)
    again = []
    went_on = backtest(run, config, output=stopped, say=again.append)
    assert again[0] == told[2]
    pd.testing.assert_frame_equal(went_on.table, whole.table)
    assert stopped.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not Path(f"{stopped}.parts").exists()
    back = Backtest.load(stopped)
    pd.testing.assert_frame_equal(scores(back), scores(whole))
    assert back.about == whole.about


@pytest.mark.slow
def test_trained_anew(run):
    """Three trainings, each on all rows before its cut-offs."""
    told = []
    config = BacktestConfig(origins=5, refit=2)
    table = backtest(run, config, say=told.append).table
    assert list(table["model"].cat.categories)[:3] == [WHOLE, UPDATED, REFITTED]
    anew = table[table["model"] == REFITTED]
    assert anew["forecast"].notna().all()
    others = table.loc[table["model"] == UPDATED]
    for name in ("actual", "time", "variate"):
        assert (anew[name].to_numpy() == others[name].to_numpy()).all()
    assert np.abs(anew["forecast"].to_numpy() - others["forecast"].to_numpy()).mean() < 20
    assert not np.allclose(anew["forecast"], table.loc[table["model"] == UPDATED, "forecast"])


@pytest.mark.slow
def test_a_table_that_goes_on(run, weather):
    """Rows behind those of the training are cut-offs too; a table of later rows alone is another table."""
    more = datasets.load("sample").iloc[:1000, :3]
    longer = run.on(more)
    table = backtest(longer, BacktestConfig(origins=5)).table
    assert table["time"].max() == more.index[-1]
    assert UPDATED in set(table["model"])
    told = []
    later = backtest(run.on(more.iloc[800:]), say=told.append).table
    assert UPDATED not in set(later["model"])
    assert any("nothing follows what came since" in text for text in told)
    assert any("by the scored model" in text for text in told)


@pytest.mark.slow
def test_many_series(weather, small, tmp_path):
    long = weather.rename_axis("time").reset_index().melt("time", var_name="id", value_name="y")
    table = to_series(long, id_column="id")
    folder = tmp_path / "run"
    make_run(STanHopForecaster(**small), Panel.of_series(table, "14/5/5"), folder)
    run = Run.open(folder).on(table)
    made = backtest(run, BacktestConfig(origins=4))
    assert list(made.table["series"].cat.categories) == list(weather.columns)
    assert len(made.table) == 4 * 12 * 3 * 5
    by_series = scores(made, by=["series"])
    assert len(by_series) == 5 * 3
    made.save(tmp_path / "made.parquet")
    pd.testing.assert_frame_equal(scores(Backtest.load(tmp_path / "made.parquet")), scores(made))
    with pytest.raises(OptionError, match="refit is of one table"):
        backtest(run, BacktestConfig(refit=2))


@pytest.mark.parametrize("number", range(9))
def test_a_file_that_somebody_else_made_is_one_line(made, tmp_path, number):
    """Each once ended a page with an exception."""
    unit = made.about["units"][0]
    tables = {
        0: (made.table, {"units": [*made.about["units"], unit]}),
        1: (made.table, {"units": [{**u, "mean": 10**400} for u in made.about["units"]]}),
        2: (made.table, {"units": [{**u, "scale": 0.0} for u in made.about["units"]]}),
        3: (made.table.assign(model=1), {}),
        4: (
            made.table.assign(model=made.table["model"].astype(object).where(made.table.index > 3)),
            {},
        ),
        5: (made.table.assign(actual=np.nan), {}),
        6: (made.table.assign(cutoff=pd.NaT), {}),
        7: (made.table.assign(model=[["a"]] * len(made.table)), {}),
        8: (made.table, {"horizon": "x"}),
    }
    table, about = tables[number]
    path = tmp_path / "other.parquet"
    Backtest(table=table, about={**made.about, **about}).save(path)
    with pytest.raises(ArtefactError, match="damaged"):
        Backtest.load(path)


def test_what_cannot_be(run, tmp_path):
    with pytest.raises(OptionError, match="origins is 100,000, but the rows have"):
        backtest(run, BacktestConfig(origins=100_000))
    with pytest.raises(OptionError, match="stride must be"):
        BacktestConfig(stride=0)
    for content in (b"", b"PAR1" * 20):
        (tmp_path / "x.parquet").write_bytes(content)
        with pytest.raises(ArtefactError, match="damaged"):
            Backtest.load(tmp_path / "x.parquet")
    with pytest.raises(ArtefactError, match="no such file"):
        Backtest.load(tmp_path / "y.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "z.parquet")
    with pytest.raises(ArtefactError, match="holds no backtest"):
        Backtest.load(tmp_path / "z.parquet")


def test_rows_behind_a_split_are_left_out_as_in_scores(weather, small):
    """A split that names its rows ends before the table does."""
    panel = Panel.of(weather, "*/150/150")
    cut = replace(panel, splits=(replace(panel.borders, test=panel.borders.test - 40),))
    forecaster = STanHopForecaster(**small).fit(cut)
    made = backtest(Run(forecaster=forecaster).on(weather))
    assert made.table["time"].max() == weather.index[-41]


def test_windows_alike_are_known_by_what_came_before(run, weather, monkeypatch):
    """However residuals are read: spreads and distances are measured on validation rows alone."""
    from stanhop_app.forecasting.intervals import intervals

    ways = intervals.choose
    alike = lambda *given: [judged for judged in ways(*given) if judged.pool.way.nearest]  # noqa: E731
    monkeypatch.setattr(intervals, "choose", alike)
    tables = []
    for later in (1, -1):
        changed = weather.copy()
        behind = changed.index > weather.index[800]
        changed.loc[behind] = (
            1.5 * changed.loc[behind].to_numpy()[::later] if later < 0 else changed.loc[behind]
        )
        other = Run.open(run.folder).on(changed)
        object.__setattr__(other.fitted, "fingerprint", other.table.fingerprint)
        object.__setattr__(other.fitted, "rows", changed)
        table = backtest(other, BacktestConfig(stride=6)).table
        tables.append(table[table["cutoff"] <= weather.index[800]][["cutoff", "forecast", *ENDS]])
    # Distances are made by Fourier transforms of blocks that hold later rows, too: equal but for rounding,
    # which moves a quantile by a residual of hardly any weight now and then.
    one, other = (table[list(ENDS)].to_numpy() for table in tables)
    assert np.abs(one - other).mean() < 0.02  # 1.6 where later rows had a part in them
