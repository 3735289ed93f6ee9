"""Covariates: read beside the values, checked, and encoded."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from stanhop_app.data.calendar import cycles, positions, waves
from stanhop_app.data.covariates import Roles
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.given import with_future
from stanhop_app.data.holidays import check_place, holiday_flags
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import take_any
from stanhop_app.errors import DataError, OptionError

ROWS, AHEAD = 40, 7
FUTURE = {"future_covariates": ["price", "event"]}


def shop(name="A", start="2024-01-01", seed=0):
    """A daily series with a price and an event known a week ahead, and a weather that is not."""
    draws = np.random.default_rng(seed)
    count = ROWS + AHEAD
    return pd.DataFrame(
        {
            "time": pd.date_range(start, periods=count, freq="D"),
            "id": name,
            "y": np.r_[draws.normal(size=ROWS), np.full(AHEAD, np.nan)],
            "price": draws.uniform(1, 2, count),
            "event": draws.choice(["fair", "sale", None], count),
            "rain": np.r_[draws.uniform(0, 9, ROWS), np.full(AHEAD, np.nan)],
            "kind": "big" if seed % 2 else "small",
        }
    )


@pytest.fixture
def wide():
    return shop().drop(columns=["id", "kind"])


@pytest.fixture
def long():
    return pd.concat([shop("A"), shop("B", "2024-01-11", 1)], ignore_index=True)


def test_a_wide_table_is_one_series_with_what_is_known_of_its_future(wide):
    table = take_any(wide, **FUTURE, past_covariates=["rain"])
    assert table.ids == ("",)
    assert list(table.frame.columns) == ["y"]
    assert len(table.frame) == ROWS
    assert len(table.covariates.frame) == ROWS + AHEAD
    np.testing.assert_array_equal(table.covariates.frame["price"], wide["price"])
    assert table.covariates.roles.categories == {"event": ("", "fair", "sale")}


def test_every_series_of_a_long_table_has_its_own(long):
    table = take_any(
        long, **FUTURE, past_covariates=["rain"], static_covariates=["kind"], id_column="id"
    )
    assert table.ids == ("A", "B")
    for number, (first, last) in enumerate(table.covariates.spans()):
        own = long[long["id"] == table.ids[number]]
        np.testing.assert_array_equal(table.covariates.frame["price"][first:last], own["price"])
    assert table.covariates.roles.categories["kind"] == ("big", "small")
    assert table.covariates.static["kind"].tolist() == [1.0, 0.0]
    only = table.chosen(["B"])
    np.testing.assert_array_equal(only.covariates.frame["price"], long["price"][-ROWS - AHEAD :])
    assert only.covariates.static["kind"].tolist() == [0.0]


def test_rows_before_the_first_value_are_left_out(wide):
    wide.loc[:4, "y"] = np.nan
    table = take_any(wide, **FUTURE, past_covariates=["rain"])
    assert table.frame.index[0] == wide["time"][5]
    assert table.covariates.frame.index[0] == wide["time"][5]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {},
            {"future_covariates": ["cost"]},
            "unknown covariate 'cost'; the columns are: y",
        ),
        (
            {},
            {"future_covariates": ["price", "price"]},
            "'price' is a covariate and something else",
        ),
        ({}, {"past_covariates": ["y"], "columns": ["y"]}, "'y' is a covariate and something else"),
        (
            {},
            {"future_covariates": ["price"], "static_covariates": ["kind"]},
            "no column names them",
        ),
        (
            {"price": (3, np.nan)},
            FUTURE,
            "column 'price' has 1 missing values, first at 2024-01-04",
        ),
        (
            {"price": (43, np.nan)},
            FUTURE,
            "column 'price' has 1 missing values, first at 2024-02-13",
        ),
        ({"price": (3, np.inf)}, FUTURE, "column 'price' has 1 infinite values, first in row 4"),
        (
            {"rain": (3, np.nan)},
            {"past_covariates": ["rain"]},
            "column 'rain' has 1 missing values",
        ),
    ],
)
def test_what_is_wrong_is_named(change, options, message):
    table = shop().drop(columns="id")
    for column, (row, value) in change.items():
        table.loc[row, column] = value
    kept = {"time", "y", *(c for names in options.values() for c in names)}
    if "future_covariates" not in options:
        table = table[:ROWS]
    if "static_covariates" not in options:
        table = table.drop(columns="kind")
    else:
        kept.add("kind")
    with pytest.raises(DataError, match=message):
        take_any(table[[c for c in table if c in kept]], **options)


def test_columns_that_go_on_beyond_the_values_are_taken_for_covariates(wide):
    with pytest.raises(DataError, match="name them future_covariates"):
        take_any(wide[["time", "y", "price"]])


def test_a_static_covariate_that_changes_is_none(long):
    long.loc[3, "kind"] = "huge"
    with pytest.raises(DataError, match="'kind' is not the same in all rows of series 'A'"):
        take_any(long, **FUTURE, past_covariates=["rain"], static_covariates=["kind"])


def test_a_series_of_covariates_alone_is_named(long):
    long.loc[long["id"] == "B", "y"] = np.nan
    told = {**FUTURE, "past_covariates": ["rain", "kind"], "id_column": "id"}
    with pytest.raises(DataError, match="series 'B': no value is known, only covariates"):
        take_any(long, **told)


def test_joint_series_have_no_covariates_of_their_own(long):
    with pytest.raises(OptionError, match="covariates are of each series"):
        take_any(long, **FUTURE, joint=True)


def test_a_rule_of_its_own_fills_a_covariate(wide):
    wide.loc[3, "rain"] = np.nan
    table = take_any(wide, **FUTURE, past_covariates=["rain"], missing="error,rain=zero")
    assert table.covariates.frame["rain"].iloc[3] == 0


def test_rows_that_are_left_out_and_covariates_that_are_filled_are_told(wide):
    wide.loc[:4, "y"] = np.nan
    wide.loc[10:12, "price"] = np.nan
    told = {**FUTURE, "past_covariates": ["rain"]}
    table = take_any(wide, **told, missing="error,price=ffill")
    assert "5 rows before the first value were left out" in table.notes
    assert "3 values of covariates were filled by error,price=ffill" in table.notes
    assert table.filled == 0


def test_without_a_future_the_last_rows_need_values(wide):
    table = wide.drop(columns=["price", "event"])
    with pytest.raises(DataError, match="column 'y' has 7 missing values"):
        take_any(table, past_covariates=["rain"])


def test_series_that_are_looked_at_once_are_read_as_those_that_are_not():
    """The second and third have the stamps of the first; the third has a hole, which is filled."""
    parts = [shop(name, seed=seed) for seed, name in enumerate("ABC")]
    parts[2].loc[5, "y"] = np.nan
    told = {**FUTURE, "past_covariates": ["rain"], "static_covariates": ["kind"], "id_column": "id"}
    table = take_any(pd.concat(parts), **told, missing="error,y=zero")
    for number, part in enumerate(parts):
        (a, b), (c, d) = table.spans()[number], table.covariates.spans()[number]
        np.testing.assert_array_equal(table.frame["y"][a:b], part["y"][:ROWS].fillna(0.0))
        np.testing.assert_array_equal(table.covariates.frame["price"][c:d], part["price"])
        np.testing.assert_array_equal(
            table.covariates.frame["rain"][c:d][:ROWS], part["rain"][:ROWS]
        )
    assert table.filled == 1


def test_a_number_that_may_mean_missing_is_pointed_out_as_without_covariates(wide):
    wide.loc[7, "y"] = -9999
    notes = take_any(wide, **FUTURE, past_covariates="rain").notes
    assert any("column 'y' holds -9999, far from its other values" in note for note in notes)


def test_words_that_alone_would_be_missing_values_stay_words(wide):
    told = {**FUTURE, "past_covariates": ["rain"]}
    named = wide.assign(event=wide["event"].fillna("none"))
    table = take_any(named, **told)
    assert table.proved["words"] == ["event"]
    only = take_any(named.assign(event="none"), hints=table.proved, **told)
    assert only.covariates.roles.categories == {"event": ("none",)}


def test_a_rule_for_a_column_that_is_not_there_is_refused(wide):
    with pytest.raises(DataError, match="missing=snow=... .* names a column that is not there"):
        take_any(wide, **FUTURE, past_covariates=["rain"], missing="error,snow=zero")


def test_words_are_never_counted_with(wide):
    whole = wide.assign(event=wide["event"].fillna("none")).drop(index=5)
    told = {**FUTURE, "past_covariates": ["rain"]}
    with pytest.raises(DataError, match="'event' holds words, and none at 2024-01-06"):
        take_any(whole, **told, missing="interpolate")
    table = take_any(whole, **told, missing="interpolate,event=ffill")
    codes = table.covariates.frame["event"]
    assert codes.iloc[5] == codes.iloc[4]


def encoded(table):
    panel = Panel.of_any(table, "2/1/1")
    known = panel.known
    encoder = Encoder.fit(known, known.frame.to_numpy()[: ROWS // 2], ("week",))
    return panel, encoder


def test_numbers_are_standardised_by_training_rows_and_words_become_features(wide):
    panel, encoder = encoded(take_any(wide, **FUTURE, past_covariates=["rain"]))
    rows = encoder.encode(panel.known.frame)
    assert (encoder.num_future, encoder.num_past) == (1 + 3 + 6, 1)
    training = rows[: ROWS // 2]
    assert training[:, [0, -1]].mean(0) == pytest.approx([0, 0], abs=1e-5)
    assert training[:, [0, -1]].std(0) == pytest.approx([1, 1], abs=1e-5)
    words = wide["event"].fillna("").to_numpy()
    for place, word in enumerate(("", "fair", "sale")):
        np.testing.assert_array_equal(rows[:, 1 + place], words == word)
    assert (rows[ROWS:, -1] == 0).all()  # the weather to come


def test_an_encoder_is_what_it_was_after_json(wide):
    _, encoder = encoded(take_any(wide, **FUTURE, past_covariates=["rain"]))
    assert Encoder.restored(encoder.as_json()) == encoder


def test_words_of_another_table_have_the_codes_of_the_training(wide):
    _, encoder = encoded(take_any(wide, **FUTURE, past_covariates=["rain"]))
    fewer = wide[wide["event"] != "fair"].assign(
        time=wide["time"][: (wide["event"] != "fair").sum()].to_numpy()
    )
    fewer = fewer.dropna(subset="y")
    table = take_any(fewer, **FUTURE, past_covariates=["rain"])
    recoded = encoder.matched(table.covariates)
    words = np.array(encoder.roles.categories["event"])
    assert (words[recoded.frame["event"].astype(int)] == fewer["event"].fillna("").to_numpy()).all()


def test_a_new_word_is_named_and_a_new_kind_of_series_is_unknown(long):
    told = {**FUTURE, "past_covariates": ["rain"], "static_covariates": ["kind"], "id_column": "id"}
    _, encoder = encoded(take_any(long, **told))
    new = long.assign(kind="huge")
    static = encoder.encode_static(encoder.matched(take_any(new, **told).covariates).static)
    assert (static == 0).all()
    with pytest.raises(
        DataError, match="'event' holds 'flood', which the training's table does not"
    ):
        encoder.matched(take_any(long.assign(event="flood"), **told).covariates)
    with pytest.raises(DataError, match="held numbers in the training's table and holds words"):
        encoder.matched(take_any(long.assign(price="dear"), **told).covariates)


def test_other_covariates_than_the_trained_ones_are_refused(wide):
    _, encoder = encoded(take_any(wide, **FUTURE, past_covariates=["rain"]))
    other = take_any(wide, future_covariates=["price"], past_covariates=["rain", "event"])
    with pytest.raises(
        DataError, match="the covariates differ from the trained ones: future price, event"
    ):
        encoder.matched(other.covariates)


def test_a_future_of_its_own_takes_the_place_of_the_tables(long):
    told = {**FUTURE, "past_covariates": ["rain"], "static_covariates": ["kind"], "id_column": "id"}
    table = take_any(long, **told)
    ahead = long[long["y"].isna()][["id", "time", "price", "event"]]
    same = with_future(table, ahead, told)
    pd.testing.assert_frame_equal(
        same.covariates.frame[["price", "event"]], table.covariates.frame[["price", "event"]],
        check_freq=False,
    )  # fmt: skip
    dear = with_future(table, ahead.assign(price=9.0).sample(frac=1, random_state=0), told)
    for first, last in dear.covariates.spans():
        assert (dear.covariates.frame["price"].iloc[last - AHEAD : last] == 9.0).all()
        assert (dear.covariates.frame["price"].iloc[first : last - AHEAD] != 9.0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="price"), "no column 'price'; the columns are: id, event"),
        (lambda f: f.drop(columns="id"), "no column 'id'"),
        (lambda f: f.iloc[1:], "series 'A': after 2024-02-09 00:00:00 comes 2024-02-10"),
        (lambda f: f.assign(event="flood"), "'event' holds 'flood', which the table does not"),
        (
            lambda f: f.assign(price=[np.nan, *f["price"][1:]]),
            "'price' is missing of series 'A' at 2024",
        ),
    ],
)
def test_a_future_that_does_not_follow_is_refused(long, change, message):
    told = {**FUTURE, "past_covariates": ["rain"], "static_covariates": ["kind"], "id_column": "id"}
    table = take_any(long, **told)
    ahead = long[long["y"].isna()][["id", "time", "price", "event"]].reset_index(drop=True)
    with pytest.raises(DataError, match=message):
        with_future(table, change(ahead), told)


@pytest.mark.parametrize(
    ("frequency", "days", "names"),
    [
        ("h", 400, ("day", "week", "year")),
        ("h", 300, ("day", "week")),
        ("6h", 20, ("day", "week")),
        ("12h", 20, ("week",)),
        ("D", 60, ("week",)),
        ("W-SUN", 800, ("year",)),
        ("MS", 800, ("year",)),
        ("QS-OCT", 2000, ("year",)),
        ("YS-JAN", 9000, ()),
        (None, 9000, ()),
        ("rows(0=9-17)", 9000, ()),
    ],
)
def test_cycles_are_those_that_the_rows_hold(frequency, days, names):
    assert cycles(frequency, days) == names


def test_positions_follow_the_local_clock():
    utc = pd.date_range("2024-03-30 22:00", periods=5, freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Vienna")  # clocks go forward in this night
    np.testing.assert_allclose(24 * positions(local, "day"), [23, 0, 1, 3, 4])
    monday = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-07 12:00", "2024-12-31 12:00"])
    np.testing.assert_allclose(positions(monday, "week") * 7, [0, 6.5, 1.5])
    np.testing.assert_allclose(positions(monday, "year") * 366, [0, 6.5, 365.5])
    assert waves(monday, "week").shape == (3, 6)


def test_roles_name_all_columns():
    roles = Roles(future=("a",), past=("b",), static=("c",))
    assert roles.names == ("a", "b", "c")
    assert roles.moving == ("a", "b")


def test_holidays_are_known_by_their_local_dates():
    night = pd.date_range("2023-12-23 12:00", "2023-12-26 12:00", freq="12h", tz="Europe/Vienna")
    on, before = holiday_flags(night, "AT").T
    assert on.tolist() == [0, 0, 0, 1, 1, 1, 1]  # 25 and 26 December
    assert before.tolist() == [0, 1, 1, 1, 1, 0, 0]
    utc = holiday_flags(night.tz_convert("UTC"), "AT")[:, 0]
    assert utc.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert holiday_flags(pd.DatetimeIndex(["2024-12-31"]), "AT").tolist() == [[0, 1]]


@pytest.mark.parametrize("place", ["XX", "AT-99", "../../etc"])
def test_a_place_whose_holidays_are_not_known_is_named(place):
    with pytest.raises(OptionError, match=f"holidays of '{re.escape(place)}' are not known"):
        check_place(place)


def test_holidays_without_the_package_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(OptionError, match=r"pip install 'stanhop-app\[holidays\]'"):
        check_place("ZA")
