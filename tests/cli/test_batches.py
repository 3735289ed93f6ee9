"""stanhop forecast --engine, from the command line."""

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.engines import batch
from stanhop_app.engines.work import Worker


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    """A run of many series, and its table."""
    folder, days = tmp_path_factory.mktemp("sales"), np.arange(60)
    times = pd.date_range("2024-01-01", periods=60)
    parts = [
        pd.DataFrame({"shop": name, "day": times, "sold": size + np.sin(days * 2 * np.pi / 7)})
        for name, size in (("north", 5), ("south", 9), ("east", 2))
    ]
    pd.concat(parts).to_parquet(folder / "sales.parquet")
    STanHopForecaster(
        horizon=7,
        lookback=14,
        split="*/21/7",
        max_epochs=1,
        progress=False,
        reading={"id_column": "shop", "joint": False},
        network={"dim": 8, "patch_length": 7, "num_heads": 2},
    ).fit(pd.concat(parts)).save(folder / "run")
    return folder


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch):
    monkeypatch.setitem(
        batch.ENGINES,
        "local",
        lambda task, blocks, workers: (Worker(task)(*block) for block in blocks),
    )


def test_a_folder_of_forecasts_is_the_forecast(stanhop, sales, tmp_path):
    words = ["forecast", sales / "run", sales / "sales.parquet", "--levels", "80"]
    code, out, err = stanhop(*words, "--engine", "local", "-o", tmp_path / "out")
    assert (code, out) == (0, "")
    assert "3 series in 1 blocks" in err
    stanhop(*words, "-o", tmp_path / "whole.parquet")
    made, whole = (pd.read_parquet(tmp_path / name) for name in ("out", "whole.parquet"))
    pd.testing.assert_frame_equal(made, whole, check_exact=True)
    again = stanhop(*words, "--engine", "local", "-o", tmp_path / "out")
    assert "1 of 1 blocks are there, 0 are left" in again[2]
    code, _, err = stanhop(*words[:3], "--engine", "local", "-o", tmp_path / "out")
    assert code == 4
    assert "of another run, table or options" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot", "page.html"], "--plot does not go with --engine"),
        (["--ids", "north"], "--ids does not go with --engine"),
        ([], "--engine needs DATA and --output"),
        (["--levels", "80", "--horizon", "9"], "the trained horizon"),
        (["--workers", "0"], "workers must be at least 1"),
    ],
)
def test_what_an_engine_does_not_take_is_one_line(stanhop, sales, tmp_path, words, message):
    output = [] if message.startswith("--engine needs") else ["-o", tmp_path / "out"]
    code, out, err = stanhop(
        "forecast", sales / "run", sales / "sales.parquet", "--engine", "local", *output, *words
    )
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_run_of_one_table_has_no_blocks(stanhop, trained, tmp_path):
    code, _, err = stanhop("forecast", trained, "x.parquet", "--engine", "local", "-o", tmp_path)
    assert code == 2
    assert "is no run of many series" in err
