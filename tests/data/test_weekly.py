"""Calendars of a week: what rows show, how they go on, and how they are written."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app import STanHopForecaster
from stanhop_app.data.frame import frame_frequency, read_frame, to_frame
from stanhop_app.data.frequency import season_length
from stanhop_app.data.weekly import WEEK, Weekly
from stanhop_app.errors import DataError


def opening_hours(zone=None):
    """Half hours from 8 to 18 on working days of a quarter, but for one holiday."""
    index = pd.date_range("2024-01-01", "2024-03-30", freq="30min", tz=zone)
    index = index[(index.day_of_week < 5) & (index.hour >= 8) & (index.hour < 18)]
    return index[index.normalize().tz_localize(None) != pd.Timestamp("2024-01-17")]


def table(index):
    rows = np.arange(len(index), dtype=float)
    return pd.DataFrame({"a": rows, "b": np.sin(rows)}, index=index)


def weekdays(count=200):
    """Monday to Saturday."""
    index = pd.date_range("2024-01-01", periods=count, freq="D")
    return table(index[index.day_of_week < 6])


@given(st.sets(st.integers(0, WEEK - 1), min_size=1, max_size=40))
def test_a_name_says_all_of_a_calendar(places):
    weekly = Weekly(places=tuple(sorted(places)))
    assert Weekly.named(weekly.name) == weekly


@given(st.sets(st.integers(0, WEEK - 1), min_size=1, max_size=40), st.integers(0, 10**6))
def test_steps_after_a_stamp_are_all_places_in_turn(places, minute):
    weekly = Weekly(places=tuple(sorted(places)))
    last = pd.Timestamp("2024-01-01") + pd.Timedelta(minutes=minute)
    after = weekly.after(last, 2 * len(places))
    assert after.is_monotonic_increasing
    assert after.is_unique
    assert after[0] > last
    assert weekly.holds(after).all()
    assert (after[len(places) :] - after[: len(places)] == pd.Timedelta(minutes=WEEK)).all()
    assert after[-1] - last <= pd.Timedelta(minutes=2 * WEEK)


def test_the_rows_that_exist_are_the_calendar():
    frame = to_frame(table(opening_hours()), calendar="rows")
    assert len(frame) == len(opening_hours())
    assert frame.attrs["filled"] == 0
    assert frame_frequency(frame) == "rows(Mon-Fri 08:00-17:30/30)"
    assert frame.attrs["notes"] == ["the rows are the calendar: rows(Mon-Fri 08:00-17:30/30)"]
    assert season_length(frame_frequency(frame)) == 20
    assert season_length("rows(Mon-Sat 00:00)") == 6


@pytest.mark.parametrize("rows", [table(opening_hours()), weekdays()], ids=["half hours", "days"])
def test_such_a_table_is_asked_about(rows):
    with pytest.raises(DataError, match=r"say calendar='rows' \(--calendar rows\): rows\(Mon-"):
        to_frame(rows)


def test_hours_with_a_hole_are_no_calendar():
    hours = table(pd.date_range("2024-01-01", periods=1000, freq="h")).drop(
        index="2024-01-05 07:00"
    )
    with pytest.raises(DataError, match="1 time stamps are missing") as caught:
        to_frame(hours)
    assert "calendar" not in str(caught.value)


@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
def test_the_future_goes_on_by_the_calendar_of_the_week(zone):
    index = opening_hours(zone)
    weekly = Weekly.of(index)
    after = weekly.after(index[-1], 21)
    assert str(after[0].tz_localize(None)) == "2024-04-01 08:00:00"  # Easter Monday: not known
    assert str(after[19].tz_localize(None)) == "2024-04-01 17:30:00"
    assert str(after[20].tz_localize(None)) == "2024-04-02 08:00:00"
    assert after.tz == index.tz


def test_stamps_at_ever_new_places_are_no_calendar():
    steps = np.random.default_rng(0).integers(1, 3000, size=400)
    index = pd.Timestamp("2024-01-01") + pd.to_timedelta(steps.cumsum(), unit="min")
    with pytest.raises(DataError, match="follow no calendar of a week"):
        to_frame(table(pd.DatetimeIndex(index)), calendar="rows")
    with pytest.raises(DataError, match="whole minutes"):
        to_frame(table(pd.date_range("2024-01-01", periods=9, freq="7s")), calendar="rows")


@pytest.mark.parametrize(
    "name", ["rows()", "rows(Mon)", "rows(Abc 08:00)", "rows(Mon 08:00-09:00/0)", "rows(Mon 99:00)"]
)
def test_other_names_are_refused(name):
    with pytest.raises(DataError, match="no calendar of a week"):
        Weekly.named(name)


@pytest.mark.filterwarnings("ignore::stanhop_app.errors.TableWarning")
def test_a_run_keeps_its_calendar(tmp_path, small):
    rows = weekdays()
    made = STanHopForecaster(**{**small, "horizon": 6}, reading={"calendar": "rows"}).fit(rows)
    future = made.predict()
    assert not (future.index.day_of_week == 6).any()
    made.save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run")
    assert again.context_.index.equals(made.context_.index)
    pd.testing.assert_frame_equal(again.predict(), future, check_freq=False)
    pd.testing.assert_frame_equal(again.predict(rows), future, check_freq=False)
    moved = rows.set_axis(rows.index + pd.Timedelta(days=1), axis=0)
    with pytest.raises(DataError, match="not of the calendar .* rows\\(Mon-Sat 00:00\\), first"):
        again.predict(moved)


def test_a_file_reads_as_a_frame_does(tmp_path):
    weekdays().rename_axis("date").to_csv(tmp_path / "shop.csv")
    frame = read_frame(tmp_path / "shop.csv", calendar="rows")
    assert frame_frequency(frame) == "rows(Mon-Sat 00:00)"


def test_one_special_day_is_no_part_of_the_calendar():
    """A Sunday on which a shop opened once would stand in every week to come."""
    rows = weekdays()
    sunday = pd.DataFrame({"a": [1.0], "b": [1.0]}, index=[pd.Timestamp("2024-03-03")])
    with pytest.raises(DataError, match="1 rows stand where few weeks have one, first 2024-03-03"):
        to_frame(pd.concat([rows, sunday]), calendar="rows")


def test_more_places_than_a_name_holds_are_refused_at_once():
    places = np.sort(np.random.default_rng(0).choice(WEEK, size=900, replace=False))
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(places, unit="min")
    with pytest.raises(DataError, match="too many places of the week, 900"):
        Weekly.of(pd.DatetimeIndex(stamps))
