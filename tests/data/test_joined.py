"""Rows that came since, put behind those that are kept."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanhop_app.data.frame import to_frame
from stanhop_app.data.joined import joined
from stanhop_app.data.reading import deferred
from stanhop_app.data.series import SeriesTable, take_any, to_series
from stanhop_app.errors import DataError

ROWS = 30


def whole(rows=ROWS, zone=None):
    index = pd.date_range("2024-03-20", periods=rows, freq="D", tz=zone, name="day")
    values = np.random.default_rng(0).normal(size=(rows, 2))
    return to_frame(pd.DataFrame(values, columns=["a", "b"], index=index))


def as_one(frame):
    return SeriesTable.of_frame(frame)


@settings(deadline=None)
@given(st.integers(5, ROWS - 3), st.integers(0, ROWS - 6), st.integers(1, ROWS))
def test_any_later_part_that_leaves_no_gap_makes_the_whole(kept, start, length):
    """Overlapping or not, with the old rows in it or not, ending before the old ones or after."""
    table = whole()
    start, stop = min(start, kept), min(start + max(length, 3), ROWS)
    old, new = as_one(table[:kept]), as_one(table[start:stop])
    if stop <= kept:
        with pytest.raises(DataError, match="no new rows: those that are kept end at 2024"):
            joined(old, new)
        return
    made = joined(old, new)
    pd.testing.assert_frame_equal(made.table.frame, table[:stop])
    assert (made.rows, made.series, made.revised) == (stop - kept, (), 0)


def test_rows_that_reach_further_back_than_those_kept_are_taken_in():
    table = whole()
    made = joined(as_one(table[10:25]), as_one(table))
    pd.testing.assert_frame_equal(made.table.frame, table)
    assert made.rows == 5


def test_values_that_are_others_now_are_taken_and_counted():
    table = whole()
    late = table.copy()
    late.iloc[18, 0] = 99.0
    made = joined(as_one(table[:20]), as_one(late[15:22]))
    assert (made.rows, made.revised) == (2, 1)
    assert made.table.frame.iloc[18, 0] == 99.0
    only = joined(as_one(table[:20]), as_one(late[15:20]))  # nothing but a correction
    assert (only.rows, only.revised) == (0, 1)


def test_a_gap_is_named():
    table = whole()
    with pytest.raises(DataError, match=r"end at 2024-04-08 .* begin at 2024-04-10 .* missing"):
        joined(as_one(table[:20]), as_one(table[21:25]))


def test_local_days_go_on_over_a_clock_change():
    table = whole(zone="Europe/Vienna")
    made = joined(as_one(table[:8]), as_one(table[8:]))
    pd.testing.assert_frame_equal(made.table.frame, table)


def long(*spans):
    parts = []
    for name, (first, last) in zip("ABC", spans, strict=False):
        draws = np.random.default_rng(ord(name)).normal(size=ROWS)
        days = pd.date_range("2024-01-01", periods=ROWS, freq="D")
        part = pd.DataFrame({"id": name, "day": days, "y": draws})
        parts.append(part[first:last])
    return to_series(pd.concat(parts), id_column="id")


def test_rows_before_those_that_are_kept_leave_a_series_as_it_is():
    """They once were put before it, whatever lay between."""
    made = joined(long((20, 25), (5, 25)), long((2, 8), (25, 27)))
    pd.testing.assert_frame_equal(made.table.frame, long((20, 25), (5, 27)).frame, check_freq=False)
    assert made.rows == 2


def test_each_series_goes_on_by_itself_and_new_ones_come_last():
    made = joined(long((0, 20), (5, 25)), long((20, 24), (0, 0), (3, 30)))
    assert made.table.ids == ("A", "B", "C")
    assert made.series == ("C",)
    assert made.rows == 4
    same = long((0, 24), (5, 25), (3, 30))
    pd.testing.assert_frame_equal(made.table.frame, same.frame, check_freq=False)
    assert made.table.starts == same.starts


def test_a_gap_of_one_series_names_it():
    with pytest.raises(DataError, match="series 'B': the rows that are kept end at 2024-01-25"):
        joined(long((0, 20), (5, 25)), long((20, 24), (27, 30)))


def test_covariates_go_on_with_the_rows_and_their_future():
    days = pd.date_range("2024-01-01", periods=ROWS, freq="D")
    draws = np.random.default_rng(1)
    price, y = draws.normal(size=ROWS), draws.normal(size=ROWS)

    def until(known, told, first=0):
        values = np.where(np.arange(ROWS) < known, y, np.nan)
        frame = pd.DataFrame({"day": days, "y": values, "price": price})
        return take_any(frame[first:told], future_covariates=["price"])

    made = joined(until(20, 24), until(23, 28, first=19))
    pd.testing.assert_frame_equal(made.table.frame, until(23, 28).frame)
    np.testing.assert_array_equal(made.table.covariates.frame["price"], price[:28])


@pytest.mark.parametrize("rule", ["interpolate", "ffill", "zero", "mask"])
def test_a_gap_and_holes_are_filled_as_if_all_had_been_read_at_once(rule):
    """Rows 17 to 19 are missing, the first new row holds nothing of one column, a later one neither."""
    table = pd.DataFrame(whole())
    holed = table.drop(table.index[17:20])
    holed.loc[table.index[20], "a"] = holed.loc[table.index[24], "b"] = np.nan
    new = SeriesTable.of_frame(to_frame(holed[17:], missing=deferred(rule), frequency="D"))
    made = joined(as_one(whole()[:17]), new, rule)
    expected = to_frame(holed, missing=rule)
    pd.testing.assert_frame_equal(made.table.frame, expected)


def test_covariates_of_a_gap_are_what_was_known_of_it():
    index = pd.date_range("2024-01-01", periods=20, freq="D", name="day")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"y": rng.normal(size=20), "x": rng.normal(size=20)}, index=index)
    known = table.copy()
    known.loc[index[15] :, "y"] = np.nan
    options = {"future_covariates": ["x"], "missing": "interpolate"}
    new = take_any(table[17:], **{**options, "missing": deferred("interpolate")}, frequency="D")
    made = joined(take_any(known, **options), new, "interpolate").table
    np.testing.assert_array_equal(made.covariates.frame["x"], table["x"])
    assert made.frame["y"].notna().all()
    with pytest.raises(DataError, match="rows between them are missing"):
        joined(take_any(known, **options), new)


def test_a_gap_longer_than_what_is_kept_is_refused():
    table = whole()
    with pytest.raises(DataError, match=r"more rows are missing between .* than are kept before"):
        joined(as_one(table[:5]), as_one(table[20:]), "ffill")


def test_stamps_that_are_no_steps_behind_a_gap_are_refused():
    table = whole()
    late = table[20:].set_axis(table.index[20:] + pd.Timedelta(hours=5), axis=0)
    new = SeriesTable.of_frame(late.asfreq("D"))
    with pytest.raises(DataError, match="is no step after 2024-04-03"):
        joined(as_one(table[:15]), new, "ffill")


def test_rows_before_all_that_there_were_are_left_out():
    table = whole()
    made = joined(as_one(table[10:20]), as_one(table[5:25]), complete=True)
    pd.testing.assert_frame_equal(made.table.frame, table[10:25])
    assert made.rows == 5
    only = joined(as_one(table[10:20]), as_one(table[:22]), complete=False)
    assert len(only.table.frame) == 22
