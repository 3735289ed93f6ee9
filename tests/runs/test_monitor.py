"""Whether a run is to be trained again: said when something changed, and not when nothing did."""

import json

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import DataError, OptionError
from stanhop_app.runs.made import checked, read_forecast
from stanhop_app.runs.making import make_run
from stanhop_app.runs.monitor import monitor
from stanhop_app.runs.run import Run
from stanhop_app.runs.significance import ratio, share


@pytest.fixture(scope="module")
def days():
    """Days that are all alike, but for noise."""
    hours = pd.date_range("2024-01-01", periods=1500, freq="h", name="time")
    draws = np.random.default_rng(0)
    day = np.sin(2 * np.pi * np.arange(1500) / 24)[:, None] * [1.0, 2.0]
    return pd.DataFrame(day + 0.3 * draws.normal(size=(1500, 2)), index=hours, columns=["a", "b"])


@pytest.fixture(scope="module")
def folder(days, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched") / "run"
    make_run(STanHopForecaster(**small), Panel.of(days.iloc[:1000], "14/5/5"), folder)
    return folder


@pytest.mark.slow
def test_the_same_days_go_on(folder, days):
    """Nothing is said where nothing changed, whether new rows come alone or with the old ones."""
    run = Run.open(folder)
    alone, whole = monitor(run, days.iloc[1000:]), monitor(run, days)
    assert alone == whole
    assert alone.now == 41
    assert alone.error.low < 1
    assert 0.6 < alone.skill.value < 1.4
    assert not alone.retrain
    assert alone.sentences()[-1] == "no reason to train it again"
    assert alone.novel is None


def test_other_days_are_a_reason(folder, days):
    """A day of twelve hours: seasonal naive knows it at once, the run does not."""
    changed = days.copy()
    other = np.sin(2 * np.pi * np.arange(1500) / 12)[:, None] * [1.0, 2.0]
    later = np.arange(1500) >= 1000
    was = np.sin(2 * np.pi * np.arange(1500) / 24)[:, None] * [1.0, 2.0]
    changed[later] = (days.to_numpy() - was + other)[later]
    made = monitor(Run.open(folder), changed.iloc[1000:])
    assert made.worse
    assert made.drifted
    assert "train it again: its errors rose" in made.sentences()[-1]
    assert not monitor(Run.open(folder), changed.iloc[1000:], tolerance=1e6).worse


def test_times_that_are_harder_for_everybody_are_none(folder, days):
    """Noise that no model can tell: errors rise, and those of seasonal naive as much."""
    noisy = days.iloc[1000:] + 0.25 * np.random.default_rng(1).normal(size=(500, 2))
    made = monitor(Run.open(folder), noisy)
    assert made.error.low > 1
    assert not made.worse


@pytest.mark.slow
def test_forecasts_that_were_made_are_scored(folder, days, tmp_path):
    forecaster = STanHopForecaster.load(folder)
    made = []
    for number, end in enumerate(range(1000, 1480, 12)):
        path = tmp_path / f"made-{number}.{'csv' if number % 2 else 'parquet'}"
        table = forecaster.predict_interval(days.iloc[:end], levels=(80,))
        table.to_csv(path) if number % 2 else table.to_parquet(path)
        made.append(read_forecast(path))
    health = monitor(Run.open(folder), days, forecasts=made)
    assert health.now == 40
    assert not health.retrain
    assert 0.7 < health.coverage.value < 0.9
    points = [table[["a", "b"]] for table in made]
    assert monitor(Run.open(folder), days, forecasts=points).coverage is None
    with pytest.raises(DataError, match="column 'b' is missing"):
        monitor(Run.open(folder), days, forecasts=[points[0][["a"]]] * 10)


def test_rows_that_were_taken_in_are_looked_at(folder, days, tmp_path):
    forecaster = STanHopForecaster.load(folder).update(days.iloc[1000:])
    updated = Run(forecaster=forecaster)
    assert monitor(updated).now == monitor(Run.open(folder), days).now


def test_what_cannot_be_told(folder, days, small, tmp_path):
    run = Run.open(folder)
    with pytest.raises(DataError, match="too few forecasts to tell"):
        monitor(run, days.iloc[:1030])
    with pytest.raises(DataError, match="nothing to compare: no forecast of 12 steps has come"):
        monitor(run)
    with pytest.raises(OptionError, match="tolerance must be at least 0"):
        monitor(run, days, tolerance=-1)
    bare = STanHopForecaster(**small, split="14/5/0").fit(days.iloc[:1000])
    with pytest.raises(DataError, match="no test part"):
        monitor(Run(forecaster=bare), days)
    for content in ("", "a,b\n1,x\n"):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(DataError, match="cannot be read as a forecast"):
            read_forecast(tmp_path / "bad.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as a forecast"):
        read_forecast(tmp_path / "bad.parquet")


def test_the_command_ends_with_5_where_it_says_so(folder, days, stanhop, tmp_path):
    same, other = tmp_path / "same.csv", tmp_path / "other.csv"
    days.iloc[1000:].to_csv(same)
    (3 * days.iloc[1000:].iloc[::-1].set_axis(days.index[1000:])).to_csv(other)
    code, out, err = stanhop("monitor", folder, same)
    assert code == 0, err
    assert "no reason to train it again" in out
    code, out, _ = stanhop("monitor", folder, other, "--json")
    assert code == 5
    told = json.loads(out)
    assert told["retrain"] is True
    assert told["error"]["low"] > 1


def test_a_ratio_is_found_as_often_as_its_interval_says():
    inside = []
    for seed in range(150):
        draws = np.random.default_rng(seed)
        made = ratio(1.2 * draws.gamma(2.0, size=60), draws.gamma(2.0, size=80), 0)
        inside.append(made.low <= 1.2 <= made.high)
    assert 0.87 <= np.mean(inside) <= 0.99
    both = np.random.default_rng(0).gamma(2.0, size=(60, 2))
    assert ratio(both, both, 0).value == 1
    assert share(np.array([0.8] * 30), 0).low == pytest.approx(0.8)


@pytest.fixture(scope="module")
def whole(folder, days):
    """A forecast as it was made."""
    return STanHopForecaster.load(folder).predict_interval(days.iloc[:1100], levels=(80,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[::-1], r"row 2 \(2024-.*\) is not later than the one before"),
        (lambda t: t.assign(a=np.inf), r"column 'a', row 1 \(2024-.*\): 'inf' is no number"),
        (lambda t: t.assign(b=np.nan), "column 'b', row 1 .*: 'nan' is no number"),
        (lambda t: t.assign(b=["x", *t["b"][1:]]), "column 'b', row 1 .*: 'x' is no number"),
        (
            lambda t: t.assign(**{"a-lo-80": np.nan}),
            "column 'a-lo-80', row 1 .*: 'nan' is no number",
        ),
        (
            lambda t: t.assign(**{"a-lo-80": t["a-hi-80"] + 1}),
            "row 1 .*: the lower end of column 'a'",
        ),
        (lambda t: t.set_axis(t.index.insert(1, pd.NaT)[:-1], axis=0), "row 2 has no time stamp"),
        (lambda t: t.shift(freq="30min"), "are between the rows of the run"),
        (lambda t: t.tz_localize("UTC"), "one has a time zone"),
    ],
)
def test_a_forecast_that_was_damaged_is_named(whole, days, tmp_path, change, message):
    change(whole).to_csv(tmp_path / "made.csv")
    made = read_forecast(tmp_path / "made.csv")
    with pytest.raises(DataError, match=f"made.csv: .*{message}"):
        checked(made, days.index, ["a", "b"], 80)


def test_one_forecast_counts_once(folder, days, tmp_path):
    table = STanHopForecaster.load(folder).predict(days.iloc[:1100])
    for name in ("one.csv", "two.csv"):
        table.to_csv(tmp_path / name)
    made = [read_forecast(tmp_path / name) for name in ("one.csv", "two.csv")]
    with pytest.raises(DataError, match="two.csv: forecasts the same steps as .*one.csv"):
        monitor(Run.open(folder), days, forecasts=made)
    with pytest.raises(OptionError, match="tolerance must be at least 0"):
        monitor(Run.open(folder), days, tolerance=float("nan"))
