"""Long tables as many series: each regular by itself, whatever its span."""

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.data.book import Book, restored
from stanhop_app.data.cutting import series_windows
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable, read_any, read_series, take_any, to_series
from stanhop_app.data.windows import SeriesWindows, Split, split_rows
from stanhop_app.errors import DataError, OptionError


def shops(lengths=(40, 25, 60), freq="D", zone=None):
    """A long table of shops that opened at different times."""
    parts = []
    for number, length in enumerate(lengths):
        days = pd.date_range("2024-01-01", periods=length, freq=freq, tz=zone)
        days = days + number * (days[1] - days[0] if freq == "D" else pd.Timedelta(0))
        rows = {"shop": f"0{number}", "day": days, "sold": 100.0 * number + np.arange(length)}
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def same(one, other):
    pd.testing.assert_frame_equal(one.frame, other.frame, check_freq=False)
    assert (one.ids, one.starts, one.frequency) == (other.ids, other.starts, other.frequency)


def test_each_series_keeps_its_own_span_and_its_name_as_written(tmp_path):
    shops().to_csv(tmp_path / "s.csv", index=False)
    table = read_series(tmp_path / "s.csv", id_column="shop")
    assert table.ids == ("00", "01", "02")
    assert table.starts == (0, 40, 65)
    assert table.frequency == "D"
    assert table.frame["sold"].iloc[40] == 100.0
    assert str(table.frame.index[65]) == "2024-01-03 00:00:00"


def test_rows_may_come_in_any_order_and_from_any_library():
    table = to_series(shops(), id_column="shop")
    mixed = shops().sample(frac=1, random_state=1)
    order = list(dict.fromkeys(mixed["shop"]))
    again = to_series(mixed, id_column="shop").chosen(table.ids)
    same(again, table)
    assert list(to_series(mixed, id_column="shop").ids) == order
    same(to_series(polars.from_pandas(shops()), id_column="shop"), table)
    by_levels = shops().set_index(["shop", "day"])
    same(replaced(to_series(by_levels, id_column="unique_id")), table)


def replaced(table):
    """The same under the names of the flat table."""
    return SeriesTable(
        **{**vars(table), "frame": table.frame.rename_axis("day"), "id_name": "shop"}
    )


def test_gaps_are_filled_series_by_series_or_named():
    table = shops().drop(index=[45, 46])
    with pytest.raises(DataError, match="series '01': 2 time stamps are missing at frequency D"):
        to_series(table, id_column="shop")
    filled = to_series(table, id_column="shop", missing="ffill")
    assert filled.filled == 2
    assert filled.notes == ("2 values were filled by ffill",)
    assert filled.frame["sold"].iloc[45:47].tolist() == [104.0, 104.0]
    ending = shops()
    ending.loc[39, "sold"] = np.nan
    with pytest.raises(DataError, match="series '00': column 'sold' ends with 1 missing"):
        to_series(ending, id_column="shop", missing="interpolate")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t, {"id_column": "store"}, "no column names the series.*shop, sold"),
        (lambda t: pd.concat([t, t.iloc[3:4]]), {"id_column": "shop"}, "'00' at 2024-01-04"),
        (lambda t: t.assign(shop=t["shop"].where(t.index != 5)), {"id_column": "shop"}, "row 6"),
        (lambda t: t, {"id_column": "shop", "columns": ["price"]}, "unknown column 'price'"),
        (lambda t: t.assign(sold="many"), {"id_column": "shop"}, "not numbers, first in row 1"),
    ],
)
def test_what_is_wrong_is_named(change, options, message):
    with pytest.raises(DataError, match=message):
        to_series(change(shops()), **options)


def test_a_column_of_words_that_tells_series_apart_is_found_beside_several_values():
    """A table as shops keep it: day, shop, sales, price; what was guessed is said, and what is forecast."""
    table = (
        shops().rename(columns={"sold": "sales"}).assign(price=2.5, shop=lambda t: "s" + t["shop"])
    )
    found = take_any(table)
    assert isinstance(found, SeriesTable)
    assert (found.id_name, found.ids, list(found.frame)) == (
        "shop",
        ("s00", "s01", "s02"),
        ["sales", "price"],
    )
    assert "column 'shop' names the series; if it does not, say --no-id" in found.notes
    assert any(
        n.startswith("sales, price are all forecast; of one say value_col") for n in found.notes
    )
    told = take_any(table, future_covariates=["price"])
    assert list(told.frame) == ["sales"]
    assert not any("are all forecast" in note for note in told.notes)
    assert not any("names the series" in note for note in take_any(table, id_column="shop").notes)
    # Of two columns of words the one is taken that tells rows of one day apart.
    kinds = table.assign(kind=table["shop"].where(table["shop"] == "s00", "other"))
    assert take_any(kinds, static_covariates=["kind"], future_covariates=["price"]).ids == found.ids
    with pytest.raises(DataError, match=r"column 'kind' .* not numbers.*\(--static-covariates, "):
        take_any(kinds)
    # Words that repeat within a day, and numbers, are not taken for names; what would tell is said.
    pairs = pd.concat([table.assign(kind="a"), table.assign(kind="b")])
    with pytest.raises(DataError, match=r"such as --id-column shop,kind\.$"):
        take_any(pairs)
    numbered = table.assign(shop=table["shop"].str[1:].astype(int) + 1)
    for options in ({}, {"future_covariates": ["price"]}):
        with pytest.raises(DataError, match=r"63 time stamps .* such as --id-column shop\.$"):
            take_any(numbered, **options)
    # Rows of one day that nothing tells apart are duplicates, and no more.
    with pytest.raises(DataError, match=r"name the column that tells series apart \(--id-column\)"):
        take_any(table.assign(shop=1, price=1))


def test_several_columns_name_a_series_together():
    """Store and item, of numbers and words; a part can be said of its series as well."""
    table = shops().drop(columns="shop").iloc[:40]
    parts = [table.assign(store=s, item=i) for s in (1, 2) for i in ("milk", "bread")]
    long = pd.concat(parts, ignore_index=True)
    named = {"id_column": "store,item", "static_covariates": ["item"]}
    found = to_series(long.assign(id=range(len(long))), columns=["sold"], **named)
    assert found.ids == ("1/milk", "1/bread", "2/milk", "2/bread")
    assert (found.id_name, list(found.frame)) == ("store,item", ["sold"])
    assert list(found.covariates.roles.categories["item"]) == ["bread", "milk"]
    # As it is written, it is read.
    again = to_series(found.long(), id_column="store,item")
    pd.testing.assert_frame_equal(again.frame, found.frame)
    assert again.ids == found.ids
    with pytest.raises(DataError, match="id column 'item' is empty in 1 rows, first in row 3"):
        to_series(long.assign(item=long["item"].where(long.index != 2)), id_column="store,item")
    with pytest.raises(DataError, match="no column names the series.*: day, sold|store, item"):
        to_series(long, id_column="store,shelf")


def test_numbers_of_rows_that_are_called_id_name_no_series():
    table = shops().assign(shop=lambda t: "s" + t["shop"])
    table.insert(0, "id", range(len(table)))
    found = take_any(table, value_column="sold")
    assert (found.id_name, found.ids) == ("shop", ("s00", "s01", "s02"))


def test_a_long_table_is_many_series_where_they_do_not_align():
    assert isinstance(take_any(shops(), id_column="shop"), SeriesTable)
    equal = shops((30, 30)).assign(day=lambda t: list(t["day"][:30]) * 2)
    assert list(take_any(equal, id_column="shop").columns) == ["00", "01"]
    assert isinstance(take_any(equal, id_column="shop", joint=False), SeriesTable)
    two = equal.assign(price=1.0)
    assert take_any(two, id_column="shop").frame.shape == (60, 2)
    with pytest.raises(DataError, match="begins with 1 missing"):
        take_any(shops(), id_column="shop", joint=True, missing="ffill")


def test_a_wide_table_is_one_series(tmp_path):
    wide = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=9), "a": 1.0, "b": 2.0})
    wide.to_csv(tmp_path / "w.csv", index=False)
    assert list(read_any(tmp_path / "w.csv").columns) == ["a", "b"]


@pytest.mark.parametrize("names", [["09"], [], ["00", "00"]])
def test_chosen_names_are_there_once(names):
    with pytest.raises(OptionError, match="there are 3, such as 00, 01, 02"):
        to_series(shops(), id_column="shop").chosen(names)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_no_window_reads_another_series_or_the_future(lengths, lookback, horizon):
    ends = np.cumsum(lengths)
    spans = list(zip(ends - lengths, ends, strict=True))
    owner = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)).float()
    row = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths])).float()
    splits = [split_rows(n, f"*/{2 * horizon}/{horizon}") for n in lengths]
    values = torch.stack([owner, row], dim=1)
    parts = series_windows(values, spans, splits, lookback, horizon)
    for part, windows in parts.items():
        if len(windows) == 0:
            continue
        x, y = windows.gather(torch.arange(len(windows)))
        own = owner[windows.begins]
        assert (x[..., 0] == own[:, None]).all()
        assert (y[..., 0] == own[:, None]).all()
        assert (x[:, -1, 1] + 1 == y[:, 0, 1]).all()
        for number, split in enumerate(splits):
            rows = y[own == number][..., 1]
            low, high = {
                "train": (0, split.train),
                "validation": (split.train, split.validation),
                "test": (split.validation, split.test),
            }[part]
            assert ((rows >= low) & (rows < high)).all()


def test_one_long_series_has_the_windows_of_a_wide_table():
    values = torch.arange(200.0)[:, None]
    split = Split(train=120, validation=160, test=200)
    many = series_windows(values, [(0, 200)], [split], 24, 6)
    wide = Panel.of(pd.DataFrame({"a": np.arange(200.0)}), "3/1/1").windows(24, 6)
    for part, windows in many.items():
        assert len(windows) == len(wide[part])
    x, _ = many["test"].gather(torch.tensor([0]))
    assert x[0, :, 0].tolist() == list(range(136, 160))


def test_a_short_series_is_continued_by_its_first_value():
    values = torch.cat([torch.full((50, 1), -9.0), torch.arange(10.0)[:, None]])
    split = split_rows(10, "*/2/0")
    windows = series_windows(values, [(50, 60)], [split], 8, 2)
    x, y = windows["validation"].gather(torch.tensor([0]))
    assert x[0, :, 0].tolist() == list(range(8))
    x, y = windows["train"].gather(torch.tensor([0]))
    assert y[0, :, 0].tolist() == [3.0, 4.0]
    assert x[0, :, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 2]


def test_thinned_windows_lie_evenly_over_all():
    panel = Panel.of_series(to_series(shops((200, 300)), id_column="shop"), "*/20/10")
    windows = panel.windows(24, 10)["train"]
    few = windows.thinned(50)
    assert len(few) == 50
    assert set(few.begins.tolist()) == {0, 200}
    assert windows.thinned(10**6) is windows


@pytest.mark.parametrize(("freq", "zone"), [("D", None), ("h", "Europe/Vienna"), ("W-MON", None)])
def test_a_book_is_read_back_as_it_was(freq, zone):
    table = to_series(shops(freq=freq, zone=zone), id_column="shop")
    panel = Panel.of_series(table, "*/6/3")
    book = Book.of(panel, 30)
    arrays = {"mean": book.mean, "scale": book.scale, "context": book.context.to_numpy()}
    again = restored(book.as_json(), table.frequency, panel.columns, arrays)
    pd.testing.assert_frame_equal(again.context, book.context, check_freq=False)
    assert (again.ids, again.lengths) == (book.ids, book.lengths) == (panel.ids, (30, 25, 30))
    with pytest.raises(DataError, match="do not fit together"):
        restored({**book.as_json(), "lengths": [30, 25]}, table.frequency, panel.columns, arrays)


def test_new_series_are_scaled_by_their_own_rows():
    panel = Panel.of_series(to_series(shops(), id_column="shop"), "*/6/3")
    book = Book.of(panel, 30)
    new = to_series(shops().assign(shop=lambda t: "x" + t["shop"]), id_column="shop")
    known, own = (book.scalers(ids, new.frame, new.starts) for ids in (panel.ids, new.ids))
    assert known == list(panel.scalers)
    assert own[1].mean == (112.0,)


def test_a_series_without_a_value_is_named():
    empty = shops().assign(sold=lambda t: t["sold"].where(t["shop"] != "01"))
    for missing in ("mask", "interpolate"):
        with pytest.raises(DataError, match="series '01': column 'sold' is empty"):
            to_series(empty, id_column="shop", missing=missing)


def test_holes_of_a_series_can_be_left_out():
    table = shops().drop(index=[45, 46])
    masked = to_series(table, id_column="shop", missing="mask")
    assert masked.frame["sold"].isna().sum() == 2
    assert masked.filled == 0
    assert masked.notes == ("2 values are missing, and were left out (mask)",)


def test_one_id_is_one_series():
    one = shops((40,))
    assert to_series(one, id_column="shop").ids == ("00",)
    panel = Panel.of_series(to_series(one, id_column="shop"), "*/6/3")
    assert panel.is_many
    assert len(panel.windows(10, 3)["test"]) == 1


def test_a_named_zone_is_kept_as_one_that_a_table_proves():
    table = to_series(shops(freq="h", zone="Europe/Vienna"), id_column="shop")
    assert table.proved == {"time_zone": "Europe/Vienna"}


def test_one_frequency_has_one_name():
    assert to_series(shops(), id_column="shop", frequency="24h").frequency == "D"


@pytest.mark.parametrize("change", ["mean", "scale", "nan"])
def test_scales_that_are_none_are_refused(change):
    table = to_series(shops(), id_column="shop")
    book = Book.of(Panel.of_series(table, "*/6/3"), 30)
    arrays = {"mean": book.mean, "scale": book.scale, "context": book.context.to_numpy()}
    arrays |= {
        "mean": {"mean": book.mean[:, :0]},
        "scale": {"scale": 0 * book.scale},
        "nan": {"mean": np.nan * book.mean},
    }[change]
    with pytest.raises(DataError, match="no numbers above 0"):
        restored(book.as_json(), "D", ["sold"], arrays)


def test_thinning_keeps_to_the_windows_beyond_the_reach_of_floats():
    count = 2**24 + 5
    many = SeriesWindows(
        values=torch.zeros(1, 1), first=0, last=1, lookback=1, horizon=1,
        origins=torch.arange(count), begins=torch.zeros(count, dtype=torch.long),
    )  # fmt: skip
    kept = many.thinned(1000).origins
    assert kept[-1] == count - 1
    assert (kept.diff() > 0).all()


def test_balanced_windows_are_equally_many_of_each_series():
    values, lengths = torch.arange(300.0)[:, None], (200, 60, 40)
    splits = [split_rows(n, "*/10/5") for n in lengths]
    windows = series_windows(values, [(0, 200), (200, 260), (260, 300)], splits, 10, 5)["train"]
    even = windows.balanced()
    begins, counts = torch.unique_consecutive(even.begins, return_counts=True)
    assert begins.tolist() == [0, 200, 260]
    assert len(set(counts.tolist())) == 1
    assert len(windows) <= len(even) < len(windows) + 3
    for begin in begins:  # none that there was not, and both ends of each series
        own, was = (w.origins[w.begins == begin] for w in (even, windows))
        assert set(own.tolist()) <= set(was.tolist())
        assert (own.min(), own.max()) == (was.min(), was.max())


def test_a_number_and_the_same_number_as_text_are_one_name():
    days = pd.date_range("2024-01-01", periods=12)
    table = pd.DataFrame(
        {"id": ["1"] * 6 + [1] * 6 + ["2"] * 12, "day": [*days, *days], "y": np.arange(24.0)}
    )
    made = to_series(table, id_column="id")
    assert made.ids == ("1", "2")
    assert made.frame["y"].tolist() == list(range(24))
