"""A forecast as if the table had ended earlier, beside what came."""

import io

import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.errors import DataError, OptionError
from stanhop_app.runs.cutoff import cut

NETWORK = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}
OPTIONS = {"horizon": 12, "lookback": 48, "max_epochs": 1, "network": NETWORK, "progress": False}


@pytest.fixture(scope="module")
def forecaster(weather):
    return STanHopForecaster(**OPTIONS).fit(weather)


def test_what_came_has_no_part_in_it(forecaster, weather):
    """The final model, which was fitted on all rows, does not forecast; later rows do not count."""
    at = weather.index[800]
    made = cut(forecaster, str(at))
    assert made.history.index[-1] == at
    pd.testing.assert_frame_equal(made.actual, weather.iloc[801:813], check_freq=False)
    wanted = STanHopForecaster(**OPTIONS, final="none").fit(weather).predict(weather.iloc[:801])
    pd.testing.assert_frame_equal(made.forecaster.predict(made.history), wanted)
    assert not forecaster.predict(weather.iloc[:801]).equals(wanted)
    assert forecaster.fitted_.final is not None
    assert "no test" not in made.note
    assert "it was trained on rows behind that" in cut(forecaster, str(weather.index[200])).note


def test_its_intervals_read_nothing_later(forecaster, weather):
    made = cut(forecaster, str(weather.index[800]))
    before = made.forecaster.predict_interval(made.history)
    assert (
        made.forecaster.intervals()
        is cut(made.forecaster, str(weather.index[700])).forecaster.intervals()
    )
    changed = weather.copy()
    changed.iloc[801:] *= 3
    other = cut(forecaster, str(weather.index[800]), changed)
    pd.testing.assert_frame_equal(other.forecaster.predict_interval(other.history), before)


def test_a_table_of_the_users_is_cut(forecaster, weather):
    table = weather.iloc[300:500]
    made = cut(forecaster, str(table.index[150]), table)
    assert made.actual.index[0] == table.index[151]
    assert len(made.actual) == 12
    assert len(cut(forecaster, str(table.index[-3]), table).actual) == 2


def test_what_cannot_be_is_one_line(forecaster, weather):
    with pytest.raises(DataError, match="no row came behind it; the rows end at"):
        cut(forecaster, "2030-01-01")
    with pytest.raises(DataError, match="the first that can be is"):
        cut(forecaster, str(weather.index[3]))
    with pytest.raises(DataError, match="humidity_pct"):
        cut(forecaster, str(weather.index[800]), weather.drop(columns="humidity_pct"))
    for told in ("soon", "NaT", "2013-03-20T00:00Z", "99999999"):
        with pytest.raises(OptionError, match="is no time stamp"):
            cut(forecaster, told)


def test_a_long_table_is_refused_in_one_line(stanhop, forecaster, weather, tmp_path):
    forecaster.save(tmp_path / "run")
    parts = [weather.iloc[:100].assign(station=name) for name in "ab"]
    pd.concat(parts).to_csv(tmp_path / "long.csv")
    for words in (["--cutoff", str(weather.index[90])], ["--levels", "80"], ["--samples", "3"]):
        more = [tmp_path / "long.csv", "--id-column", "station", *words]
        code, out, err = stanhop("forecast", tmp_path / "run", *more)
        assert code in (2, 3), err
        assert "defect" not in err
        assert out == ""


def test_a_zone_is_that_of_the_rows(weather):
    zoned = weather.tz_localize("Europe/Vienna", nonexistent="shift_forward", ambiguous="NaT")
    zoned = weather.set_axis(weather.index.tz_localize("UTC").tz_convert("Europe/Vienna"))
    made = cut(STanHopForecaster(**OPTIONS).fit(zoned), "2013-04-08 12:00")
    assert str(made.history.index[-1]) == "2013-04-08 12:00:00+02:00"


def test_the_command(stanhop, forecaster, weather, tmp_path):
    forecaster.save(tmp_path / "run")
    at, page = str(weather.index[800]), tmp_path / "cut.html"
    words = ["forecast", tmp_path / "run", "--cutoff", at, "--plot", page]
    code, out, err = stanhop(*words, "--levels", "80")
    assert code == 0, err
    assert f"as if the rows had ended at {at}, by the scored model" in err
    assert "by a model" not in err
    assert '"actual"' in page.read_text()
    read = pd.read_csv(io.StringIO(out), index_col=0, parse_dates=True)
    made = cut(forecaster, at)
    wanted = made.forecaster.predict_interval(made.history, levels=(80,))
    pd.testing.assert_frame_equal(
        read, wanted, check_freq=False, check_names=False, check_index_type=False, rtol=1e-9
    )
    code, _, err = stanhop("forecast", tmp_path / "run", "--cutoff", "soon")
    assert code == 2
    assert "is no time stamp" in err
    code, _, err = stanhop("forecast", tmp_path / "run", "--cutoff", "2030-01-01")
    assert code == 3
