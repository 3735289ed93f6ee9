"""Tables from users, good and bad."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.data.fingerprint import fingerprint
from stanhop_app.data.frame import frame_frequency, read_frame, to_frame
from stanhop_app.data.frequency import future_index, season_length
from stanhop_app.errors import DataError


def wide(rows=48, freq="h", start="2024-01-01", columns=("a", "b"), **index):
    times = pd.date_range(start, periods=rows, freq=freq, name="time", **index)
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(rows, len(columns))), index=times, columns=list(columns))


def write(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("freq", ["h", "15min", "D", "W-SUN", "B", "MS", "ME", "QS", "YS", "7s"])
def test_frequency_is_inferred_and_continued(freq):
    frame = to_frame(wide(30, freq).reset_index())
    assert frame_frequency(frame) == pd.tseries.frequencies.to_offset(freq).freqstr
    future = future_index(frame.index, 3)
    longer = pd.date_range(frame.index[0], periods=33, freq=freq)
    assert list(future) == list(longer[-3:])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("tz", [None, "UTC", "Europe/Vienna"])
def test_every_unit_and_zone_is_kept(unit, tz):
    table = wide(96, start="2024-03-30", tz=tz)
    table.index = table.index.as_unit(unit)
    frame = to_frame(table)
    assert frame.index.unit == unit
    assert str(frame.index.tz) == str(tz)
    future = future_index(frame.index, 2)
    assert future.unit == unit
    assert future[0] - frame.index[-1] == pd.Timedelta(hours=1)


@given(st.permutations(range(12)))
def test_rows_in_any_order_give_the_same_frame(order):
    table = wide(12)
    pd.testing.assert_frame_equal(to_frame(table.iloc[list(order)]), to_frame(table))


def test_csv_gz_and_parquet_by_path_or_stream_give_the_same(tmp_path):
    table = wide()
    text = table.to_csv()
    write(tmp_path, text)
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(text.encode()))
    table.to_parquet(tmp_path / "table.parquet")
    wanted = to_frame(table)
    for name in ("table.csv", "table.csv.gz", "table.parquet"):
        frame = read_frame(tmp_path / name)
        pd.testing.assert_frame_equal(frame, wanted, check_index_type=False, check_freq=False)
        streamed = read_frame(io.BytesIO((tmp_path / name).read_bytes()))
        pd.testing.assert_frame_equal(frame, streamed)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(tmp_path, separator):
    path = write(tmp_path, wide().to_csv(sep=separator))
    assert list(read_frame(path).columns) == ["a", "b"]


def test_decimal_commas_and_a_byte_order_mark(tmp_path):
    text = "\ufefftime;a\n" + "".join(f"0{d}.01.2024;{d},5\n" for d in range(1, 8))
    frame = read_frame(write(tmp_path, text))
    assert frame["a"].tolist() == [d + 0.5 for d in range(1, 8)]
    assert frame_frequency(frame) == "D"


def test_long_tables_become_wide(tmp_path):
    table = wide(10)
    long = table.reset_index().melt("time", var_name="unique_id", value_name="y")
    long = long.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(to_frame(long), to_frame(table), check_names=False)
    named = long.rename(columns={"unique_id": "shop", "y": "sales"}).assign(other=1)
    frame = to_frame(named, id_column="shop", value_column="sales", columns=["b"])
    np.testing.assert_array_equal(frame["b"], table["b"])


def test_one_series_in_long_form_is_one_column():
    long = wide(10, columns=("y",)).assign(unique_id="shop 1").reset_index()
    assert list(to_frame(long).columns) == ["shop 1"]


def test_a_wide_table_may_number_its_rows_in_a_column_named_id(tmp_path):
    table = wide(10).assign(id=range(10))
    assert list(to_frame(table).columns) == ["a", "b", "id"]
    path = write(tmp_path, table.reset_index().drop(columns="id").to_csv())  # pandas numbers rows
    assert list(read_frame(path).columns) == ["a", "b"]


def test_names_that_are_numbers_are_names(tmp_path):
    table = wide(10).rename(columns={"a": 1, "b": 2})
    assert list(to_frame(table, columns=["2"]).columns) == ["2"]
    with pytest.raises(DataError, match="two columns named '1'"):
        to_frame(table.rename(columns={2: "1"}))


def test_a_blank_first_line_and_a_separator_too_many_do_no_harm(tmp_path):
    text = wide(10).to_csv()
    wanted = read_frame(write(tmp_path, text))
    head, *rows = text.splitlines()
    trailing = "\n".join(["", head, *(row + "," for row in rows)])
    pd.testing.assert_frame_equal(read_frame(write(tmp_path, trailing)), wanted)


@pytest.mark.parametrize(
    ("frequency", "same"), [("60min", "h"), ("24h", "D"), ("7D", "W-MON"), ("3ME", "QE-OCT")]
)
def test_one_frequency_has_one_name(frequency, same):
    table = wide(30, frequency)
    assert frame_frequency(to_frame(table, frequency=frequency)) == frame_frequency(to_frame(table))
    holed = table.drop(table.index[7])
    filled = to_frame(holed, frequency=frequency, missing="ffill")
    assert frame_frequency(filled) == frame_frequency(to_frame(table))
    assert filled.attrs["filled"] == 2


def test_fingerprints_tell_tables_apart_and_stay():
    table = to_frame(wide(tz="Europe/Vienna"))
    assert fingerprint(table) == fingerprint(table.copy())
    for other in (table + 1, table.shift(freq="h"), table.rename(columns={"a": "c"})):
        assert fingerprint(other) != fingerprint(table)


def test_columns_are_chosen_in_the_given_order():
    assert list(to_frame(wide(columns=("a", "b", "c")), columns=["c", "a"]).columns) == ["c", "a"]


def test_integers_and_booleans_become_numbers():
    frame = to_frame(wide().assign(a=range(48), b=[True, False] * 24))
    assert (frame.dtypes == np.float64).all()
    assert frame["b"].tolist() == [1.0, 0.0] * 24


def holes():
    table = wide(10)
    table.iloc[[3, 4], 0] = np.nan
    table.iloc[7, 1] = np.nan
    return table.drop(table.index[5])


def test_missing_values_and_gaps_are_filled_when_told():
    table = wide(10)
    line = to_frame(holes(), missing="interpolate")
    assert len(line) == 10
    step = (table["a"].iloc[6] - table["a"].iloc[2]) / 4
    np.testing.assert_allclose(np.diff(line["a"].iloc[2:7]), step)
    last = to_frame(holes(), missing="ffill")
    assert (last["a"].iloc[3:6] == table["a"].iloc[2]).all()


def one_bad(column, row, value):
    table = wide(10).astype(object).reset_index()
    table.loc[row, column] = value
    return table


BAD = {
    "no rows": (lambda: wide(0), {}, "table has 0 rows"),
    "no time": (
        lambda: wide().reset_index(drop=True),
        {},
        r"no time column found .* \(--time-column\)",
    ),
    "wrong time": (lambda: wide().reset_index(), {"time_column": "t"}, "columns are: time, a, b"),
    "numbers as time": (
        lambda: wide().reset_index(drop=True).assign(time=range(48)),
        {},
        "'time' holds numbers",
    ),
    "bad time": (
        lambda: wide().reset_index().astype({"time": str}).replace("2024-01-01 04:00:00", "soon"),
        {},
        "'time', row 5: 'soon' is not a date",
    ),
    "empty time": (
        lambda: one_bad("time", 4, pd.NaT),
        {},
        "'time' is empty in 1 rows, first in row 5",
    ),
    "text": (
        lambda: one_bad("b", 6, "n/a!"),
        {},
        r"'b' has 1 values .* row 7: 'n/a!'; .*--columns",
    ),
    "infinite": (lambda: one_bad("b", 6, np.inf), {}, "'b' has 1 infinite values, first in row 7"),
    "nan": (
        lambda: wide(10).mask(wide(10) > 0.5),
        {},
        r"column 'a' has \d+ missing values, first at 2024.* \(row \d+ in time order\).*--missing",
    ),
    "gap": (
        lambda: wide(10).drop(wide(10).index[[5, 6]]),
        {},
        "2 time stamps are missing at frequency h, first 2024-01-01 05:00:00 .*'ffill'",
    ),
    "monthly gap": (
        lambda: wide(20, "MS").drop(wide(20, "MS").index[5]),
        {},
        "1 time stamps are missing at frequency MS, first 2024-06-01",
    ),
    "twice": (
        lambda: pd.concat([wide(10), wide(3)]),
        {},
        "3 time stamps appear more than once, first 2024-01-01 00:00:00",
    ),
    "irregular": (
        lambda: wide(10).set_axis(wide(10).index + pd.to_timedelta(np.arange(10) ** 2, "s")),
        {},
        "time stamps are not regular .*--frequency",
    ),
    "off grid": (
        lambda: wide(10),
        {"frequency": "2h"},
        "5 time stamps are not on the grid of frequency 2h",
    ),
    "unknown frequency": (lambda: wide(10), {"frequency": "often"}, "unknown frequency 'often'"),
    "much too fine": (lambda: wide(10, "D"), {"frequency": "ms"}, "only 10 of 777600001 time"),
    "no step": (lambda: wide(10), {"frequency": "0D"}, "unknown frequency '0D'"),
    "one stamp far away": (
        lambda: wide(10).set_axis([pd.Timestamp(0), *wide(10).index[1:].as_unit("ns")]),
        {},
        "time stamps are not regular",
    ),
    "NaT": (lambda: wide(10).set_axis([pd.NaT, *wide(10).index[1:]]), {}, "NaT. in row 1"),
    "chosen twice": (lambda: wide(), {"columns": ["a", "a"]}, "chosen twice"),
    "too coarse": (lambda: wide(10, "D"), {"frequency": "h"}, "only 10 of 217 time stamps"),
    "two rows": (lambda: wide(2), {}, "2 time stamps are too few to infer the frequency"),
    "unknown column": (lambda: wide(), {"columns": ["a", "z"]}, "unknown column 'z'; .* a, b"),
    "same name": (lambda: wide(columns=("a", "a")), {}, "two columns named 'a'"),
    "only time": (lambda: wide().reset_index()[["time"]], {}, "no column besides the time column"),
    "empty column": (
        lambda: wide().assign(b=np.nan),
        {"missing": "ffill"},
        "'b' is empty; choose other columns",
    ),
    "hole at the start": (
        lambda: wide().assign(b=[np.nan] * 3 + [1.0] * 45),
        {"missing": "interpolate"},
        "'b' begins with 3 missing values",
    ),
    "long without value": (
        lambda: wide().reset_index().assign(id="x"),
        {"id_column": "id"},
        "needs value_column .* a, b",
    ),
    "long with unknown id": (
        lambda: wide().reset_index(),
        {"id_column": "shop"},
        "unknown column 'shop'",
    ),
    "long and twice": (
        lambda: pd.concat([wide(columns=("y",)).assign(id="x")] * 2).reset_index(),
        {},
        "48 rows repeat a time stamp of the same series, first in row 49",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_in_one_line(name):
    make, options, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        to_frame(make(), name="my.csv", **options)
    assert str(caught.value).startswith("my.csv: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"\x00\x01\x02\x9d" * 9, "neither Parquet nor text"),
        (b"PAR1 and then nothing", "not a table that can be read"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b'time,a\n"2024-01-01,1\n', "not a table that can be read"),
        (b"time,a\n", "table has 0 rows"),
        (b"\x80\x81\x82", "not a table"),
        (gzip.compress(b"time,a\n", mtime=0)[:-9] + b"x" * 9, "cannot be read"),
        (b"time,a\n2024-01-01,1,2\n2024-01-02,1,2\n", "more fields than the header"),
    ],
)
def test_files_that_are_no_tables_are_named(tmp_path, content, message):
    path = tmp_path / "my.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_frame(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_has_four_rules():
    with pytest.raises(ValueError, match="error, interpolate, ffill, zero, .* got 'drop'"):
        to_frame(wide(), missing="drop")


def shop():
    """Sales without a row on one day, and a price that is not written on another."""
    rows = pd.DataFrame({"sales": [3.0, 5.0, 0.0, 4.0], "price": [2.0, np.nan, 2.5, 3.0]})
    days = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"], name="date")
    return rows.set_axis(days, axis=0)


@pytest.mark.parametrize("missing", ["sales=zero,price=ffill", "ffill, sales = zero"])
def test_each_column_can_have_its_own_rule(missing):
    filled = to_frame(shop(), missing=missing)
    assert filled["sales"].tolist() == [3.0, 5.0, 0.0, 0.0, 4.0]
    assert filled["price"].tolist() == [2.0, 2.0, 2.0, 2.5, 3.0]
    assert filled.attrs["filled"] == 3


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("sales=zero", "column 'price' has 2 missing values, first at 2024-01-02"),
        (
            "ffill,amount=zero",
            "missing=amount=.* names a column that is not there; .* sales, price",
        ),
        ("sales=drop", "missing must be one of .* got 'sales=drop'"),
        ("sales=zero,sales=ffill", "two rules for column 'sales'"),
        ("sales=zero,ffill", "write the rule of all other columns first"),
    ],
)
def test_rules_of_columns_are_checked(missing, message):
    with pytest.raises(ValueError, match=message):
        to_frame(shop(), missing=missing)


SEASONS = {"h": 24, "15min": 96, "min": 1440, "D": 7, "B": 5, "W-SUN": 52, "MS": 12, "ME": 12}
SEASONS |= {"QS-OCT": 4, "YS-JAN": 1, "7h": 1, "2D": 1, "ms": 86_400_000}


@pytest.mark.parametrize(("frequency", "season"), SEASONS.items())
def test_seasons_of_frequencies(frequency, season):
    assert season_length(frequency) == season


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("9" * 400, "column 'a' has 1 infinite values, first in row 61"),
        ("1e200", r"column 'a' has 1 values beyond 1e\+150, .* first in row 61"),
        ("-1e160", "first in row 61; mend them, or choose other columns"),
        ("1e400", "infinite values, first in row 61"),
    ],
)
def test_values_without_a_square_are_refused(tmp_path, cell, message):
    times = pd.date_range("2024-01-01", periods=120, freq="h")
    lines = [f"{t},{cell if n == 60 else n}" for n, t in enumerate(times)]
    (tmp_path / "a.csv").write_text("time,a\n" + "\n".join(lines))
    with pytest.raises(DataError, match=message):
        read_frame(tmp_path / "a.csv")


@pytest.mark.parametrize("year", [2262, 3024])
def test_times_that_nanoseconds_cannot_tell_are_refused(tmp_path, year):
    lines = [f"{year}-01-{1 + n // 24:02d} {n % 24:02d}:00,{n}" for n in range(100)]
    (tmp_path / "a.csv").write_text("time,a\n" + "\n".join(lines))
    with pytest.raises(
        DataError, match=f"100 time stamps lie outside of the years 1678 .* row 1: {year}"
    ):
        read_frame(tmp_path / "a.csv")


def test_what_is_far_from_the_training_rows_is_refused_before_training(stanhop, tmp_path):
    """A slip of the keyboard in the last rows gave a loss that is no number, after the training."""
    times = pd.date_range("2024-01-01", periods=200, freq="h")
    values = np.sin(np.arange(200.0))
    values[190] = 1e40
    pd.DataFrame({"a": values}, index=times.rename("time")).to_csv(tmp_path / "a.csv")
    words = ["--horizon", 2, "--lookback", 24, "--patch-length", 12]
    code, _, err = stanhop("train", tmp_path / "a.csv", *words, "--output", tmp_path / "run")
    assert code == 3
    assert "column 'a' has 1 values more than 1e+15 deviations" in err
    assert "first in row 191: 1e+40" in err
    assert not (tmp_path / "run" / "steps.csv").exists()


def test_an_open_file_is_called_by_its_name():
    stream = io.BytesIO(b"time,a\n2024-01-01,1\n2024-01-02,?\n2024-01-03,2\n")
    with pytest.raises(DataError, match="standard input: column 'a' has 1 missing"):
        read_frame(stream)
    stream.seek(0)
    stream.name = "mine.csv"
    with pytest.raises(DataError, match="^mine.csv: column 'a' has 1 missing"):
        read_frame(stream)
