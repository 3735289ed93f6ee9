"""What the text of time stamps means."""

import pandas as pd
import pytest

from stanhop_app.data.frame import to_frame
from stanhop_app.data.times import day_comes_first, order_hint, parse_times
from stanhop_app.errors import DataError

DATES = [
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d/%m/%y",
    "%m-%d-%y",
]
TIMES = ["", " %H:%M", " %H:%M:%S", " %I:%M %p"]


def column(*texts):
    return pd.Series(list(texts), name="date")


def written(frequency, form, start="2023-03-01", periods=10):
    days = pd.date_range(start, periods=periods, freq=frequency)
    return pd.Series(days.strftime(form), name="date"), days


@pytest.mark.parametrize("form", DATES)
@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(
    ("frequency", "periods"), [("MS", 12), ("D", 10), ("D", 800), ("h", 24 * 40)]
)
def test_the_order_in_which_dates_are_regular_is_taken(frequency, periods, form, time):
    if frequency == "h" and not time:
        return
    text, days = written(frequency, form + time, periods=periods)
    assert list(parse_times(text, "t")) == list(days)


def test_rows_in_any_order_are_read_alike():
    text, days = written("D", "%d/%m/%y", periods=500)
    shuffled = text.sample(frac=1, random_state=0)
    assert list(parse_times(shuffled, "t")) == list(days[shuffled.index])


def test_the_order_can_be_said():
    text = column("01/02/2024", "01/03/2024")
    assert parse_times(text, "t")[0] == pd.Timestamp("2024-01-02")
    assert parse_times(text, "t", day_first=True)[0] == pd.Timestamp("2024-02-01")
    assert parse_times(text, "t", day_first=False)[0] == pd.Timestamp("2024-01-02")
    points = column("01.02.2024", "01.03.2024")
    assert parse_times(points, "t")[0] == pd.Timestamp("2024-02-01")
    iso = column("2024-02-01", "2024-02-02")
    assert parse_times(iso, "t", day_first=True)[0] == pd.Timestamp("2024-02-01")


def test_the_frequency_tells_the_order():
    text, days = written("MS", "%d/%m/%Y", start="2024-01-01", periods=12)
    assert list(parse_times(text, "t", frequency="MS")) == list(days)
    as_days = pd.date_range("2024-01-01", periods=12, freq="D")
    assert list(parse_times(text, "t", frequency="D")) == list(as_days)


@pytest.mark.parametrize(
    ("texts", "day_first", "row"),
    [
        (["01/02/2024", "13/02/2024"], False, 2),
        (["01/13/2024", "02/13/2024"], True, 1),
        (["01/02/2024", "01/13/2024"], True, 2),
        (["01/02/2024", "02/02/2024", "02/30/2024"], None, 3),
        (["2024-01-01", "2024-01-02", "soon"], None, 3),
        (["10:00", "11:00"], None, 1),
    ],
)
def test_the_row_that_is_no_date_is_named(texts, day_first, row):
    with pytest.raises(DataError, match=f"row {row}: '{texts[row - 1]}' is not a date"):
        parse_times(column(*texts), "t", day_first)


def test_an_irregular_table_says_how_its_dates_were_read():
    table = pd.DataFrame(
        {"date": ["01/02/2024", "01/03/2024", "02/07/2024", "05/08/2024"], "a": 1.0}
    )
    with pytest.raises(DataError, match=r"01/02/2024 were read month first.*--day-first"):
        to_frame(table)
    with pytest.raises(DataError, match="not regular") as error:
        to_frame(table, day_first=True)
    assert "first;" not in str(error.value)  # it was said: nothing to point out


def test_no_hint_where_there_is_one_reading():
    for text in (column("13/02/2024", "14/02/2024"), column("2024-01-02"), column("03/03/2024")):
        assert order_hint(text, parse_times(text, "t")) == ""


def test_what_was_found_is_kept_for_further_tables():
    text, _ = written("MS", "%d/%m/%Y", periods=15)
    frame = to_frame(pd.DataFrame({"date": text, "a": 1.0}))
    assert frame.attrs["reading"] == {"day_first": True}
    text, _ = written("D", "%m/%d/%Y", start="2023-01-01")
    assert day_comes_first(text, parse_times(text, "t", frequency="D")) is False
    with pytest.raises(
        DataError, match="regular both ways"
    ):  # days of January, or first days of months
        parse_times(text, "t")
    iso, _ = written("D", "%Y-%m-%d")
    assert to_frame(pd.DataFrame({"date": iso, "a": 1.0})).attrs["reading"] == {}


def test_repeated_time_stamps_are_no_obstacle_to_reading():
    dates = ["01/02/2024", "01/02/2024", "02/02/2024", "02/02/2024"]
    table = pd.DataFrame({"Datum": dates, "id": list("abab"), "v": [1.0, 2, 3, 4]})
    assert list(to_frame(table, frequency="D", day_first=True).columns) == ["a", "b"]
    with pytest.raises(DataError, match="appear more than once"):
        to_frame(table.drop(columns="id"))


def test_offsets_that_change_become_utc():
    times = parse_times(column("2024-03-31 01:00+01:00", "2024-03-31 03:00+02:00"), "t")
    assert [str(t) for t in times] == ["2024-03-31 00:00:00+00:00", "2024-03-31 01:00:00+00:00"]


@pytest.mark.parametrize("place", ["index", "column"])
def test_periods_are_their_starts(place):
    months = pd.period_range("2024-01", periods=3, freq="M")
    values = {"a": [1.0, 2, 3]}
    table = (
        pd.DataFrame(values, index=months)
        if place == "index"
        else pd.DataFrame({"month": months, **values})
    )
    assert to_frame(table).index.freqstr == "MS"


def test_days_without_week_ends_and_holidays_are_business_days_with_gaps():
    days = pd.bdate_range("2024-01-01", periods=60).delete([0, 20, 33])
    table = pd.DataFrame({"date": days, "a": 1.0})
    with pytest.raises(DataError, match="2 time stamps are missing at frequency B"):
        to_frame(table)
    filled = to_frame(table, missing="ffill")
    assert (filled.index.freqstr, len(filled)) == ("B", 59)


def test_two_columns_of_a_long_table_are_told_apart():
    days = pd.date_range("2024", periods=8).repeat(2)
    table = pd.DataFrame({"date": days, "shop": ["n", "s"] * 8, "sold": range(16)})
    assert list(to_frame(table).columns) == ["n", "s"]
    numbered = table.assign(id=[1, 2] * 8).drop(columns="shop")
    assert list(to_frame(numbered, columns=["2"]).columns) == ["2"]


def test_a_column_of_text_beside_repeated_stamps_need_not_name_series():
    days = [*pd.date_range("2024", periods=6), pd.Timestamp("2024-01-03")]
    table = pd.DataFrame({"date": days, "quality": ["ok"] * 7, "a": 1.0})
    with pytest.raises(DataError, match="'quality' has 7 values that are not numbers"):
        to_frame(table)
