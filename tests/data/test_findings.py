"""What stands out in a table is found where it was put, and nothing where there is nothing."""

import numpy as np
import pandas as pd
import pytest

from stanhop_app.data.findings import find
from stanhop_app.data.frame import arrange, to_frame
from stanhop_app.figures.table import POINTS, table_figure, thinned


def days_of_hours(count=1000):
    """A day's wave and a little noise, in two columns."""
    hours = np.arange(count)
    noise = np.random.default_rng(0).normal(0, 0.1, size=(count, 2))
    values = np.sin(2 * np.pi * hours / 24)[:, None] + noise
    index = pd.date_range("2024-01-01", periods=count, freq="h")
    return pd.DataFrame(values, index=index, columns=["a", "b"])


def found(table, **options):
    """What stands out, by column and kind."""
    listed = find(arrange(table, **options)).listed
    return {(f.column, f.kind): (f.count, f.first) for f in listed}


def test_nothing_stands_out_where_nothing_is():
    assert found(days_of_hours()) == {}


def put_holes(table):
    table.iloc[100:105, 0] = np.nan


def put_outlier(table):
    table.iloc[300, 1] = 50.0


def put_jump(table):
    table.iloc[600:, 0] += 30.0


def put_stretch(table):
    table.iloc[200:230, 1] = 0.25


def put_code(table):
    table.iloc[[10, 400], 0] = -9999.0


@pytest.mark.parametrize(
    ("put", "key", "count", "row"),
    [
        (put_holes, ("a", "holes"), 5, 100),
        (put_outlier, ("b", "outliers"), 1, 300),
        (put_jump, ("a", "jump"), 1, 600),
        (put_stretch, ("b", "constant"), 30, 200),
        (put_code, ("a", "code"), 2, 10),
    ],
)
def test_what_was_put_there_stands_out_and_nothing_else(put, key, count, row):
    table = days_of_hours()
    put(table)
    assert found(table) == {key: (count, pd.Timestamp("2024-01-01") + pd.Timedelta(hours=row))}


def test_duplicates_and_gaps_are_listed_not_refused():
    table = days_of_hours()
    table = pd.concat([table.drop(index=table.index[50:53]), table.iloc[7:8]])
    assert found(table) == {
        ("", "duplicates"): (1, table.index[7]),
        ("", "gaps"): (3, pd.Timestamp("2024-01-03 02:00")),
    }


def test_a_table_without_steps_is_described_with_the_reason():
    table = days_of_hours(60)
    table.index = table.index[0] + pd.to_timedelta(np.arange(60) ** 2, unit="s")
    findings = find(arrange(table))
    assert findings.frequency is None
    assert "not regular" in findings.refused


def test_an_empty_and_a_constant_column_are_told():
    table = days_of_hours(200).assign(c=np.nan, d=4.0)
    assert found(table) == {
        ("c", "holes"): (200, table.index[0]),
        ("d", "constant"): (200, table.index[0]),
    }


def test_a_code_is_pointed_out_where_a_table_is_read():
    table = days_of_hours()
    put_code(table)
    assert "holds -9999" in to_frame(table).attrs["notes"][0]
    filled = to_frame(table.replace(-9999.0, np.nan), missing="interpolate")
    assert "-9999" not in filled.attrs["notes"][0]


def test_a_long_line_keeps_its_extremes_and_its_holes():
    column = days_of_hours(20 * POINTS)["a"]
    column.iloc[31_000] = 9.0
    column.iloc[40_000:41_000] = np.nan
    thin = thinned(column)
    assert len(thin) <= POINTS
    assert thin.index.is_monotonic_increasing
    assert thin.max() == 9.0
    assert thin.min() == column.min()
    assert thin.isna().any()


def test_a_figure_marks_each_kind_once_in_the_legend_and_bounds_its_panels():
    table = days_of_hours(200)
    for number in range(30):
        table[f"c{number}"] = table["a"]
        table.iloc[3, -1] = np.nan
    figure = table_figure(find(arrange(table)), title="shop")
    assert "24 of 32 columns" in figure.layout.title.text
    assert sum(bool(trace.showlegend) for trace in figure.data) == 1
