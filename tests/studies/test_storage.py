"""The experiment of storage: cells, table, claim, command."""

import json
import math

import pytest

from stanhop_app.errors import OptionError
from stanhop_app.studies.config import StorageExperiment
from stanhop_app.studies.present import present
from stanhop_app.studies.storage import growth, run_storage, storage_table

SMALL = StorageExperiment(repeats=3, largest=32)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("storage") / "storage.json"
    run_storage([4, 6, 8], SMALL, results=path)
    return json.loads(path.read_text())


def test_more_is_measured_than_is_sure_and_more_in_more_dimensions(content):
    table = storage_table(content)
    assert len(table) == 9
    assert bool((table["measured"] >= table["sure"]).all())
    for n in (0, 1):
        rows = table.xs(n, level="n")
        assert rows["measured"].is_monotonic_increasing
        assert rows["sure"].is_monotonic_increasing
        assert growth(table, n, "measured") > growth(table, n, "sure") > 0
    sure = table["sure"].unstack("n")
    assert bool((sure[0] >= sure[1]).all() and (sure[1] >= sure[16]).all())


def test_the_search_says_where_it_ended(content):
    """The limit of 32 patterns is reached or not; what is measured is never beyond it."""
    table = storage_table(content)
    assert table["measured"].max() <= SMALL.largest
    assert not bool(table.loc[4, "more"].any())
    tight = run_storage([8], StorageExperiment(repeats=1, largest=2))
    assert bool(storage_table(tight)["more"].all())


def test_growth_is_a_slope():
    import pandas as pd

    index = pd.MultiIndex.from_product([[4, 6, 8], [0]], names=["dim", "n"])
    table = pd.DataFrame({"measured": [2.0, 8.0, 32.0]}, index=index)
    assert growth(table, 0, "measured") == pytest.approx(1.0)
    assert math.isnan(growth(table.iloc[:1], 0, "measured"))


def test_cells_that_are_there_are_not_made_again(content, tmp_path):
    path = tmp_path / "storage.json"
    path.write_text(json.dumps(content))
    said = []
    again = run_storage([4, 6, 8], SMALL, results=path, say=said.append)
    assert again["cells"] == content["cells"]
    assert not said


def test_it_is_shown(content, stanhop, tmp_path):
    shown = present(content)
    assert shown.verdict.startswith('"Exponential in d, and at least as many')
    assert "in 3 of 3 dimensions" in shown.verdict
    assert shown.command == "stanhop theory storage --scale 1.5 --beta 1 --share 0.5"
    assert len(shown.figures[0].data) == 5
    with pytest.raises(OptionError, match="dims must name dimensions"):
        run_storage([1, 4], SMALL)
    code, _, err = stanhop("theory", "storage", "--share", "1")
    assert (code, "share" in err) == (2, True)
