"""What the text of time stamps means."""

import pandas as pd
import pytest

from stanhop_app.errors import DataError
from stanhop_app.forecasting.frame import to_frame
from stanhop_app.forecasting.times import order_hint, parse_times


def column(*texts):
    return pd.Series(list(texts), name="date")


def written(frequency, form, start="2023-03-01", periods=10):
    days = pd.date_range(start, periods=periods, freq=frequency)
    return pd.Series(days.strftime(form), name="date"), days


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y-%m-%d"])
@pytest.mark.parametrize(("frequency", "periods"), [("MS", 12), ("D", 10), ("D", 40), ("h", 60)])
def test_the_order_in_which_dates_are_regular_is_taken(frequency, periods, form):
    text, days = written(frequency, form + " %H:%M", periods=periods)
    assert list(parse_times(text, "t")) == list(days)


def test_the_order_can_be_said():
    text = column("01/02/2024", "01/03/2024")
    assert parse_times(text, "t")[0] == pd.Timestamp("2024-01-02")
    assert parse_times(text, "t", day_first=True)[0] == pd.Timestamp("2024-02-01")
    assert parse_times(text, "t", day_first=False)[0] == pd.Timestamp("2024-01-02")
    points = column("01.02.2024", "01.03.2024")
    assert parse_times(points, "t")[0] == pd.Timestamp("2024-02-01")
    with pytest.raises(DataError, match="'13/02/2024' is not a date"):
        parse_times(column("01/02/2024", "13/02/2024"), "t", day_first=False)


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


def test_offsets_that_change_become_utc():
    times = parse_times(column("2024-03-31 01:00+01:00", "2024-03-31 03:00+02:00"), "t")
    assert [str(t) for t in times] == ["2024-03-31 00:00:00+00:00", "2024-03-31 01:00:00+00:00"]


def test_periods_are_their_starts():
    frame = pd.DataFrame({"a": [1.0, 2, 3]}, index=pd.period_range("2024-01", periods=3, freq="M"))
    assert to_frame(frame).index.freqstr == "MS"


def test_days_without_week_ends_and_holidays_are_business_days_with_gaps():
    days = pd.bdate_range("2024-01-01", periods=60).delete([0, 20, 33])
    table = pd.DataFrame({"date": days, "a": 1.0})
    with pytest.raises(DataError, match="2 time stamps are missing at frequency B"):
        to_frame(table)
    filled = to_frame(table, missing="ffill")
    assert (filled.index.freqstr, len(filled)) == ("B", 59)


def test_two_columns_of_a_long_table_are_told_apart():
    table = pd.DataFrame(
        {
            "date": pd.date_range("2024", periods=4).repeat(2),
            "shop": ["n", "s"] * 4,
            "sold": range(8),
        }
    )
    assert list(to_frame(table).columns) == ["n", "s"]
