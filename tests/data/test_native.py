"""Frames of other libraries, series, and indexes of every kind are taken for what they are."""

import datetime as dt

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.frame import read_frame, to_frame
from stanhop_app.data.native import is_table, to_pandas
from stanhop_app.errors import DataError, OptionError

DAYS = pd.date_range("2024-01-01", periods=8, name="time")
WIDE = pd.DataFrame({"a": np.arange(8.0), "b": np.arange(8.0) ** 2}, index=DAYS)
PANEL = pd.concat({"01": WIDE["a"], "2": WIDE["a"] + 1}, names=["item", "time"])

FORMS = {
    "polars": lambda: polars.from_pandas(WIDE.reset_index()),
    "polars, lazy": lambda: polars.from_pandas(WIDE.reset_index()).lazy(),
    "polars, dates": lambda: polars.from_pandas(WIDE.reset_index()).with_columns(
        polars.col("time").cast(polars.Date)
    ),
    "pyarrow": lambda: pa.Table.from_pandas(WIDE.reset_index()),
    "dates as objects in the index": lambda: WIDE.set_axis([day.date() for day in DAYS]),
    "dates as text in the index": lambda: WIDE.set_axis([f"{day:%Y-%m-%d}" for day in DAYS]),
    "dates as objects in a column": lambda: WIDE.reset_index(names="day").assign(
        day=[day.date() for day in DAYS]
    ),
    "periods": lambda: WIDE.set_axis(DAYS.to_period("D")),
    "two levels of columns": lambda: WIDE.set_axis(
        pd.MultiIndex.from_tuples([("a", ""), ("b", "")]), axis=1
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_table_is_one_frame(form):
    frame = to_frame(FORMS[form]())
    pd.testing.assert_frame_equal(frame, to_frame(WIDE), check_names=False, check_index_type=False)
    assert list(frame.index) == list(DAYS)


@pytest.mark.parametrize("level", ["item", None])
def test_a_series_by_item_and_time_is_a_series_an_item(level):
    frame = to_frame(PANEL.rename_axis([level, "time"]))
    assert list(frame.columns) == ["01", "2"]
    np.testing.assert_array_equal(frame["2"], WIDE["a"] + 1)


def test_a_series_is_one_variate():
    assert list(to_frame(WIDE["a"]).columns) == ["a"]
    assert list(to_frame(WIDE["a"].rename(None)).columns) == ["value"]


def test_rows_that_are_only_numbered_are_asked_about():
    with pytest.raises(DataError, match="time_column"):
        to_frame(WIDE.reset_index(drop=True))


@pytest.mark.parametrize("thing", [np.zeros((3, 2)), [[1.0]], {"a": [1]}, 3, None])
def test_what_is_no_table_is_none(thing):
    assert not is_table(thing)
    with pytest.raises(OptionError, match="X must be"):
        to_pandas(thing)


@pytest.mark.parametrize(
    ("zone", "kept"),
    [
        ("dateutil/Europe/Vienna", "Europe/Vienna"),
        (dt.timezone(dt.timedelta(hours=1), "CET"), "UTC+01:00"),
        (dt.timezone(dt.timedelta(hours=-3)), "UTC-03:00"),
        ("Europe/Vienna", "Europe/Vienna"),
        ("UTC", "UTC"),
    ],
)
def test_zones_are_kept_by_a_name_that_says_all(tmp_path, zone, kept):
    """An offset called CET was read back as the zone CET, which has summers."""
    hours = pd.date_range("2024-05-01", periods=120, freq="h", tz=zone, name="time")
    table = pd.DataFrame({"a": np.sin(np.arange(120.0))}, index=hours)
    options = {"patch_length": 6, "dim": 8, "num_heads": 2, "hidden_dim": 8, "num_layers": 1}
    forecaster = STanHopForecaster(4, 12, network=options, training={"max_steps": 1})
    wanted = forecaster.fit(table).predict()
    assert str(wanted.index.tz) == kept
    forecaster.save(tmp_path / "run")
    pd.testing.assert_frame_equal(STanHopForecaster.load(tmp_path / "run").predict(), wanted)
    with pytest.raises(DataError, match="have no zone, .*--time-zone"):
        forecaster.predict(table.tz_localize(None))
    forecaster.fit(table.tz_localize(None))
    with pytest.raises(DataError, match="trained on stamps without a zone"):
        forecaster.predict(table)


def test_one_table_of_three_libraries_trains_to_the_same_bits(weather, small):
    table = weather.iloc[:400].rename_axis("time").reset_index()
    forms = {"pandas": table, "polars": polars.from_pandas(table), "pyarrow": pa.table(table)}
    forecasts = {}
    for name, form in forms.items():
        forecaster = STanHopForecaster(**small).fit(form)
        forecasts[name] = forecaster.predict(form)
        assert list(forecaster.feature_names_in_) == list(weather.columns)
        assert isinstance(forecaster.score(form), float)
    for name in ("polars", "pyarrow"):
        np.testing.assert_array_equal(forecasts[name], forecasts["pandas"])
        assert list(forecasts[name].index) == list(forecasts["pandas"].index)


def test_the_estimator_reads_as_it_is_told(weather, small):
    table = weather.iloc[:400].rename_axis("when").reset_index().astype({"when": str})
    table["other"] = table["when"]
    forecaster = STanHopForecaster(**small, frequency="h", reading={"time_column": "when"})
    with pytest.raises(DataError, match="'other' has 400 values that are not numbers"):
        forecaster.fit(table)
    forecaster.set_params(reading__columns=list(weather.columns)).fit(table)
    assert forecaster.columns_ == list(weather.columns)
    with pytest.raises(OptionError, match="unknown"):
        forecaster.set_params(reading__time="when")
    with pytest.raises(DataError, match="frequency 2h"):
        STanHopForecaster(**small, frequency="2h").fit(weather)


@pytest.mark.parametrize(
    ("values", "options", "wanted"),
    [
        (["1,5", "2,5", "3,5", "4,5"], {}, [1.5, 2.5, 3.5, 4.5]),
        (["1.234", "2.5", "3", "4"], {"decimal": "."}, [1.234, 2.5, 3, 4]),
        (["1.234", "2.234", "3.000", "4.111"], {"thousands": "."}, [1234, 2234, 3000, 4111]),
        (["1 kWh", "2 kWh", "3 kWh", "4 kWh"], {}, [1, 2, 3, 4]),
        (["1", "?", "3", "4"], {"missing": "ffill"}, [1, 1, 3, 4]),
        (["1", "closed", "3", "4"], {"missing": "zero", "na": ["closed"]}, [1, 0, 3, 4]),
        ([1.0, -9999.0, 3.0, 4.0], {"missing": "ffill", "na": ["-9999"]}, [1, 1, 3, 4]),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "polars", "parquet"])
def test_text_in_a_frame_is_read_by_the_rules_of_csv_files(values, options, wanted, kind, tmp_path):
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=4), "a": values})
    if kind == "parquet":
        frame.to_parquet(tmp_path / "t.parquet")
        made = read_frame(tmp_path / "t.parquet", **options)
    else:
        made = to_frame(polars.from_pandas(frame) if kind == "polars" else frame, **options)
    assert made["a"].tolist() == wanted


def test_names_of_series_in_a_frame_stay_text():
    long = pd.DataFrame(
        {"date": [*pd.date_range("2024-01-01", periods=4)] * 2, "shop": ["01"] * 4 + ["02"] * 4}
    ).assign(sold=[f"{i},5" for i in range(8)])
    assert list(to_frame(long, id_column="shop").columns) == ["01", "02"]
    assert to_frame(long, id_column="shop")["02"].tolist() == [4.5, 5.5, 6.5, 7.5]
    numbers = long.assign(sold=range(8))
    assert list(to_frame(numbers).columns) == ["01", "02"]
