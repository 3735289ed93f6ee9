"""One network of many series."""

import json

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster, forecast
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import to_series
from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.metrics import seasonal_error
from stanhop_app.forecasting.suited import suited_to_series
from stanhop_app.runs.by_series import series_errors


def shops(count=8, seed=0):
    """Weekly waves of shops of different sizes, some of them young."""
    generator, parts = np.random.default_rng(seed), []
    for number in range(count):
        length = 20 if number == 0 else 120 + 30 * number
        days = np.arange(length)
        sold = (10 + number) * (2 + np.sin(2 * np.pi * days / 7)) + generator.normal(size=length)
        index = pd.date_range("2024-01-01", periods=length)
        parts.append(pd.DataFrame({"shop": f"s{number}", "day": index, "sold": sold}))
    return pd.concat(parts, ignore_index=True)


OPTIONS = {
    "horizon": 7,
    "lookback": 28,
    "split": "*/14/7",
    "max_epochs": 1,
    "progress": False,
    "reading": {"id_column": "shop"},
    "network": {"dim": 16, "patch_length": 7, "num_heads": 2},
}


@pytest.fixture(scope="module")
def many():
    return STanHopForecaster(**OPTIONS).fit(shops())


def test_all_series_are_forecast_long_by_the_names_of_the_table(many):
    made = many.predict()
    assert list(made.columns) == ["shop", "day", "sold"]
    assert len(made) == 8 * 7
    last = shops().groupby("shop")["day"].max()
    first = made.groupby("shop")["day"].min()
    assert ((first - last) == pd.Timedelta(days=1)).all()
    assert many.predict(horizon=10).groupby("shop").size().eq(10).all()


def test_ids_that_are_numbers_stay_numbers(many, tmp_path):
    """A table of whole numbers can be merged with its forecast; one of text with that of text."""
    table = shops().assign(shop=lambda rows: rows["shop"].str[1:].astype("int32"))
    numbered = STanHopForecaster(**OPTIONS).fit(table)
    made = numbered.predict()
    pd.testing.assert_series_equal(made["shop"], many.predict()["shop"].str[1:].astype("int64"))
    pd.testing.assert_frame_equal(numbered.predict(ids=[5, "0"]), numbered.predict(ids=["5", "0"]))
    assert numbered.predict_interval(ids=[7])["shop"].dtype == np.int64
    numbered.save(tmp_path / "run")
    pd.testing.assert_frame_equal(STanHopForecaster.load(tmp_path / "run").predict(), made)
    text = numbered.predict(table.astype({"shop": str}))
    assert list(text["shop"]) == list(made["shop"].astype(str))
    new = table[table["shop"] == 3].assign(shop="new")
    assert set(numbered.update(new).predict()["shop"]) == {*map(str, range(8)), "new"}


@pytest.mark.parametrize(
    ("levels", "columns"),
    [
        (["shop", "day"], ["shop", "day", "sold"]),
        ([None, None], ["unique_id", "time", "sold"]),
        (["sold", "day"], ["unique_id", "day", "sold"]),
    ],
)
def test_levels_of_an_index_keep_their_names(many, levels, columns):
    table = shops().set_index(["shop", "day"]).rename_axis(levels)
    fitted = STanHopForecaster(**{**OPTIONS, "reading": None}).fit(table)
    made = fitted.predict(table)
    assert list(made.columns) == columns
    np.testing.assert_array_equal(made, many.predict())


def test_a_series_that_ended_long_ago_has_no_intervals_and_takes_none_from_others(many):
    with pytest.warns(UserWarning, match="1 of 8 series, such as 's0', end before any"):
        made = many.predict_interval(levels=[80])
    ends = made[["sold-lo-80", "sold-hi-80"]]
    assert ends[made["shop"] == "s0"].isna().all(axis=None)
    assert ends[made["shop"] != "s0"].notna().all(axis=None)
    others = many.predict_interval(levels=[80], ids=[f"s{number}" for number in range(1, 8)])
    np.testing.assert_allclose(ends[7:], others[["sold-lo-80", "sold-hi-80"]], rtol=1e-5)
    assert made["sold"].notna().all()
    with pytest.raises(DataError, match="no paths; leave them out"):
        many.sample(count=2)
    with pytest.raises(DataError, match="no window that is known had ended"):
        many.predict_interval(ids=["s0"])


def test_validation_windows_of_one_moment_tell_no_intervals():
    rows = shops().groupby("shop").tail(120).query("shop != 's0'")
    rows["day"] = (
        rows.groupby("shop")
        .cumcount()
        .map(lambda day: pd.Timestamp("2024-01-01") + pd.Timedelta(days=day))
    )
    options = {**OPTIONS, "split": "*/7/7", "reading": {"id_column": "shop", "joint": False}}
    with pytest.raises(DataError, match="some of which end before others begin"):
        STanHopForecaster(**options).fit(rows).predict_interval()


def test_a_series_is_forecast_alone_as_among_the_others(many):
    whole = many.predict()
    some = many.predict(ids=["s5", "s0"])
    assert list(dict.fromkeys(some["shop"])) == ["s5", "s0"]
    wanted = whole[whole["shop"] == "s5"]["sold"].to_numpy()
    np.testing.assert_allclose(some["sold"].to_numpy()[:7], wanted, rtol=1e-5)


def test_the_table_forecasts_what_the_kept_rows_do(many):
    pd.testing.assert_frame_equal(many.predict(shops()), many.predict(), rtol=1e-6)


def test_a_series_that_nobody_has_seen_is_forecast_in_its_own_units(many):
    rows = shops().query("shop == 's5'")
    new = many.predict(rows.assign(shop="new", sold=rows["sold"] * 1000))
    old = many.predict(rows)
    assert set(new["shop"]) == {"new"}
    np.testing.assert_allclose(new["sold"], 1000 * old["sold"], rtol=0.05)
    short = many.predict(rows.iloc[-3:].assign(shop="new"))
    assert short["sold"].between(0, 60).all()


def test_one_row_is_forecast_too(many):
    assert len(many.predict(shops().query("shop == 's5'").iloc[-1:], horizon=2)) == 2


def test_it_is_saved_and_read(many, tmp_path):
    many.save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(again.predict(), many.predict())
    pd.testing.assert_frame_equal(again.predict(shops()), many.predict(shops()))
    assert again.fitted_.series.ids == many.fitted_.series.ids


def test_the_same_seed_gives_the_same_bits(many):
    pd.testing.assert_frame_equal(
        STanHopForecaster(**OPTIONS).fit(shops()).predict(), many.predict(), rtol=0, atol=0
    )


def test_sampling_may_be_balanced_between_long_and_short_series(many):
    even = STanHopForecaster(**OPTIONS, training={"balanced": True}).fit(shops())
    assert even.predict().shape == many.predict().shape
    assert not even.predict().equals(many.predict())
    assert even.linear_ == many.linear_  # which sums over all windows


def test_the_order_of_the_rows_changes_nothing(many):
    by_day = shops().sort_values(["day", "shop"])
    again = STanHopForecaster(**OPTIONS).fit(by_day)
    assert again.fitted_.fingerprint == many.fitted_.fingerprint


@pytest.mark.parametrize(
    ("table", "more", "error", "message"),
    [
        (
            shops().rename(columns={"sold": "price"}),
            {},
            DataError,
            "missing: sold; unexpected: price",
        ),
        (shops().assign(day=shops()["day"].dt.tz_localize("UTC")), {}, DataError, "without a zone"),
        (shops().iloc[::7], {}, DataError, "time stamps at frequency D exist; give a coarser one"),
        (np.zeros((40, 1)), {}, OptionError, "X must be a long table"),
        (None, {"ids": ["s99"]}, OptionError, "no series 's99'"),
        (None, {"horizon": 0}, OptionError, "horizon must be in"),
    ],
)
def test_what_does_not_fit_is_one_line(many, table, more, error, message):
    with pytest.raises(error, match=message) as caught:
        many.predict(table, **more)
    assert "\n" not in str(caught.value)


def test_ids_of_a_wide_table_are_refused(fitted):
    with pytest.raises(OptionError, match="ids choose among many series"):
        fitted.predict(ids=["a"])


def test_errors_of_each_series_are_those_of_its_own_numbers():
    table = shops()
    panel = Panel.of_series(to_series(table, id_column="shop"), "*/14/7")
    last = Predictor(predict=lambda x: x[:, -1:].expand(-1, 7, -1), lookback=28)
    made = series_errors(last, panel.windows(28, 7)["test"], panel, 7)
    assert list(made.index) == [f"s{i}" for i in range(1, 8)]  # s0 is too short to be scored
    for name, rows in table[table["shop"] != "s0"].groupby("shop"):
        sold = rows["sold"].to_numpy()
        error = np.abs(sold[-7:] - sold[-8])
        assert made.loc[name, "mae"] == pytest.approx(error.mean(), rel=1e-5)
        smape = (200 * error / (np.abs(sold[-7:]) + np.abs(sold[-8]))).mean()
        assert made.loc[name, "smape"] == pytest.approx(smape, rel=1e-5)
        naive = seasonal_error(sold[: len(sold) - 21, None], 7)[0]
        assert made.loc[name, "mase"] == pytest.approx(error.mean() / naive, rel=1e-5)


def test_options_follow_the_median_series():
    table = to_series(shops(), id_column="shop")
    assert suited_to_series(table, 7) | {"loss": 0, "batch_size": 0, "epoch_windows": 0} == {
        "split": "*/14/7",
        "lookback": 56,
        "patch_length": 7,
        "loss": 0,
        "batch_size": 0,
        "epoch_windows": 0,
    }


@pytest.mark.filterwarnings("ignore::stanhop_app.errors.TableWarning")
def test_holes_of_many_series_are_left_out():
    table = shops()
    gone = np.random.default_rng(0).random(len(table)) < 0.1
    first = ~table["shop"].duplicated()
    holed = table.assign(sold=table["sold"].mask(gone & ~first))
    made = STanHopForecaster(**OPTIONS, missing="mask").fit(holed)
    forecast = made.predict()
    assert forecast["sold"].notna().all()
    pd.testing.assert_frame_equal(made.predict(holed), forecast, rtol=1e-5)
    last = Predictor(predict=lambda x: x[:, -1:].expand(-1, 7, -1), lookback=28)
    panel = Panel.of_series(to_series(holed, id_column="shop", missing="mask"), "*/14/7")
    errors = series_errors(last, panel.windows(28, 7)["validation"], panel, 7)
    assert errors[["mae", "smape"]].notna().all(axis=None)


def test_a_series_too_short_to_train_does_not_touch_the_others(many):
    """One of a few large values, as review found it: it is forecast, and nothing else moves."""
    young = pd.DataFrame(
        {"shop": "young", "day": pd.date_range("2024-01-01", periods=16), "sold": 1e6}
    )
    young["sold"] += np.arange(16)
    flat = pd.DataFrame(
        {"shop": "flat", "day": pd.date_range("2024-01-01", periods=90), "sold": 0.0}
    )
    flat.loc[80:, "sold"] = 1e5
    made = STanHopForecaster(**OPTIONS).fit(pd.concat([shops(), young, flat]))
    forecast = made.predict()
    others = forecast[~forecast["shop"].isin(["young", "flat"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, many.predict(), rtol=1e-6)
    assert forecast.query("shop == 'young'")["sold"].between(9e5, 1.1e6).all()
    panel = Panel.of_series(
        to_series(pd.concat([shops(), young, flat]), id_column="shop"), "*/14/7"
    )
    assert panel.used(7) == [False, *[True] * 7, False, False]


def months(day="2024-03-01", count=40):
    """Two shops by month, and a third with one row on this day."""
    index = pd.date_range("2020-01-01", periods=count, freq="MS")
    two = [pd.DataFrame({"shop": s, "day": index, "sold": np.arange(count) % 12.0}) for s in "ab"]
    one = pd.DataFrame({"shop": ["x"], "day": [pd.Timestamp(day)], "sold": [1.0]})
    return pd.concat([two[0], two[1].iloc[3:], one], ignore_index=True)


@pytest.mark.filterwarnings("ignore::stanhop_app.errors.TableWarning")
@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (months("2024-03-15"), {}, "series 'x': its only time stamp, 2024-03-15 00:00:00, is none"),
        (shops(), {"final": None}, "final must be one of all, linear, none, got None"),
        (shops(), {"reading": {"id_column": "shop", "calendar": "rows"}}, "calendar=rows"),
        (
            shops().rename(columns={"sold": "time"}).set_index("day").rename_axis(None),
            {},
            "two columns",
        ),
        (
            to_series(shops().drop(index=200), id_column="shop", missing="mask"),
            {},
            "does not expect it; fill them, or say missing='mask'",
        ),
    ],
)
def test_what_can_be_refused_is_refused_before_training(table, options, message):
    forecaster = STanHopForecaster(**{**OPTIONS, **options})
    with pytest.raises((DataError, OptionError), match=message):
        forecaster.prepare(table)


def test_scores_of_many_series_are_not_one_number(many):
    with pytest.raises(OptionError, match="score takes one table"):
        many.score(shops())


def test_one_line_takes_many_series_with_holes():
    table = shops(3, seed=1).drop(index=[100, 101])
    options = {"network": {"dim": 16}, "training": {"max_steps": 2}, "progress": False}
    with pytest.warns(UserWarning, match="left out"):
        made = forecast(table, 7, missing="mask", reading={"id_column": "shop"}, **options)
    assert len(made) == 21


@pytest.mark.parametrize(
    "change",
    [
        {"ends": [2**70] * 8},
        {"lengths": [0, *[28] * 7]},
        {"ids": ["s0"] * 8},
        {"ids": ["s0"]},
        {"id_name": "sold"},
        {"time_name": "shop"},
        {"unit": "h"},
        {"zone": "Nowhere/Land"},
        {"numbered": True},
    ],
)
def test_a_folder_with_series_that_cannot_be_is_damaged(many, tmp_path, forge, change):
    many.save(tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["series"]
    forge(tmp_path / "run", series={**kept, **change})
    with pytest.raises(ArtefactError, match="damaged|config.json") as caught:
        STanHopForecaster.load(tmp_path / "run")
    assert "\n" not in str(caught.value)
