"""Exports of many series, of covariates and of holes forecast what the run does, without torch."""

import asyncio
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load, save

from stanhop_app import STanHopForecaster
from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.models.holes import doubled_latest
from stanhop_app.runs.exported import load_forecaster
from stanhop_app.runs.exporting import ExportReport, export_run
from stanhop_app.runs.run import Run
from stanhop_app.runs.serving.asked import Asked
from stanhop_app.runs.serving.service import Service

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::stanhop_app.errors.TableWarning"),
]

SMALL = {
    "horizon": 7,
    "lookback": 28,
    "linear_skip": False,  # or all of it may be the linear part
    "network": {"dim": 8, "num_heads": 2, "num_layers": 1, "hidden_dim": 16, "patch_length": 7},
    "training": {"max_steps": 5},
    "progress": False,
}
TOLD = {
    "future_covariates": ["price", "promo"],
    "past_covariates": ["heat"],
    "static_covariates": ["kind"],
}


LONG = {"reading": {"id_column": "shop"}}


def shop(number, rows, ahead=7):
    """Daily sales that a price lowers and a promotion raises; a week of the future is known."""
    draws = np.random.default_rng(number)
    count = rows + ahead
    price = 10 + 3 * np.sin(0.1 * draws.normal(size=count).cumsum())
    promo = draws.random(count) < 0.1
    sold = 20 * (number + 1) + np.sin(np.arange(count) * 2 * np.pi / 7) - 0.8 * price + 2.5 * promo
    return pd.DataFrame(
        {
            "shop": f"S{number}",
            "day": pd.date_range("2023-01-01", periods=count, freq="D"),
            "sold": np.where(
                np.arange(count) < rows, sold + 0.2 * draws.normal(size=count), np.nan
            ),
            "price": price.round(3),
            "promo": np.where(promo, "yes", "no"),
            "heat": draws.normal(size=count).round(3),
            "kind": "ab"[number % 2],
        }
    )


def tables():
    """One table a kind of run, with what its forecaster is told."""
    many = pd.concat([shop(i, 330 - 20 * i) for i in range(4)], ignore_index=True)
    plain = many.dropna(subset="sold")[["shop", "day", "sold"]].reset_index(drop=True)
    holed = plain.copy()
    holed.loc[holed.index % 29 == 5, "sold"] = np.nan
    wide = shop(0, 400).drop(columns=["shop", "kind"])
    named = {key: value for key, value in TOLD.items() if "static" not in key}
    return {
        "covariates": (many, {**TOLD, **LONG}),
        "wide": (wide, {**named, "calendar_features": True}),
        "holes": (holed, {"missing": "mask", **LONG}),
    }


@pytest.fixture(scope="module")
def fitted():
    return {
        kind: (STanHopForecaster(**SMALL, **told).fit(table), table)
        for kind, (table, told) in tables().items()
    }


@pytest.fixture(scope="module")
def exports(fitted, tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    reports: dict[tuple[str, str], ExportReport] = {
        (kind, to): export_run(Run(forecaster=forecaster).on_kept(), root / f"{kind}-{to}", to=to)
        for kind, (forecaster, _) in fitted.items()
        for to in ("onnx", "onnx-int8")
        if to == "onnx" or kind == "covariates"
    }
    return root, reports


def same(found, wanted, tolerance=1e-4):
    pd.testing.assert_frame_equal(found, wanted, rtol=tolerance, atol=tolerance, check_freq=False)


@pytest.mark.parametrize("kind", ["covariates", "wide", "holes"])
def test_an_export_forecasts_what_the_run_does(fitted, exports, kind):
    """Of the rows that are kept, of some series, and of a table; intervals and quantiles too."""
    (forecaster, table), exported = fitted[kind], load_forecaster(exports[0] / f"{kind}-onnx")
    which = {} if kind == "wide" else {"ids": ["S2", "S0"]}
    same(exported.predict(), forecaster.predict())
    same(exported.predict(**which), forecaster.predict(**which))
    same(exported.predict(table), forecaster.predict(table))
    same(exported.predict_interval(**which), forecaster.predict_interval(**which), 5e-3)
    quantiles = exported.predict_quantiles(table, (0.1, 0.9))
    same(quantiles, forecaster.predict_quantiles(table, (0.1, 0.9)), 5e-3)
    assert exported.columns_ == forecaster.columns_
    assert exported.way == forecaster.way


def test_it_rolls_on_and_takes_series_that_were_not_trained(fitted, exports):
    (forecaster, table), exported = fitted["holes"], load_forecaster(exports[0] / "holes-onnx")
    same(exported.predict(horizon=18), forecaster.predict(horizon=18))
    other = table[table["shop"] == "S1"].iloc[-20:].assign(shop="new")  # shorter than the lookback
    found = exported.predict(pd.concat([table, other]), ids=["new", "S3"])
    same(found, forecaster.predict(pd.concat([table, other]), ids=["new", "S3"]))
    assert set(found["shop"]) == {"new", "S3"}


@pytest.mark.parametrize("kind", ["covariates", "wide"])
def test_another_future_is_another_forecast(fitted, exports, kind):
    """And what is wrong with it is said in the same words."""
    (forecaster, table), exported = fitted[kind], load_forecaster(exports[0] / f"{kind}-onnx")
    future = (
        table[table["sold"].isna()]
        .drop(columns=["sold", "heat"])
        .drop(columns="kind", errors="ignore")
    )
    cheaper = future.assign(price=5.0)
    found = exported.predict(future=cheaper)
    same(found, forecaster.predict(future=cheaper))
    assert not np.allclose(found["sold"], exported.predict()["sold"], atol=0.05)
    for wrong, said in (
        (future.assign(promo="maybe"), "holds 'maybe'"),
        (future.iloc[:-1], "is known for 6 of 7 steps"),
    ):
        for model in (forecaster, exported):
            with pytest.raises(DataError, match=said):
                model.predict(future=wrong)


def test_what_a_run_refuses_its_export_does(exports):
    series, wide = (load_forecaster(exports[0] / f"{kind}-onnx") for kind in ("holes", "wide"))
    with pytest.raises(OptionError, match="ids choose among many series"):
        wide.predict(ids=["S0"])
    with pytest.raises(OptionError, match="fitted without any"):
        series.predict(future=shop(0, 10))
    with pytest.raises(OptionError, match="must be a long table"):
        series.predict(np.zeros((40, 1)))


def test_int8_is_judged_on_windows_of_all_series(exports):
    for (kind, to), report in exports[1].items():
        assert set(report.errors) == {"validation", "test"}, kind
        loss = report.errors["validation"]
        assert 0 < loss["export"] <= 1.01 * loss["network"]
        assert report.difference < (1e-5 if to == "onnx" else 0.2)
        assert (report.layers > 0) == (to == "onnx-int8")


def test_no_more_rows_are_kept_than_are_read(exports, stored):
    rows = np.load(stored(exports[0] / "covariates-onnx", "context.npy"))
    beside = load(stored(exports[0] / "covariates-onnx", "beside.safetensors").read_bytes())
    assert rows.shape == (4 * 28, 1)
    assert beside["rows"].shape == (4 * (28 + 7), 3)


def test_the_command_forecasts_without_torch(fitted, exports, tmp_path):
    forecaster, table = fitted["covariates"]
    future = table[table["sold"].isna()].drop(columns=["sold", "heat", "kind"]).assign(price=5.0)
    future.to_csv(tmp_path / "future.csv", index=False)
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from stanhop_app.cli import main; main(sys.argv[1:])"
    )
    told = ["--ids", "S3", "--future", str(tmp_path / "future.csv"), "--levels", "80"]
    command = [sys.executable, "-c", program, "forecast", str(exports[0] / "covariates-onnx")]
    done = subprocess.run([*command, *told], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "made.csv").write_text(done.stdout)
    found = pd.read_csv(tmp_path / "made.csv", parse_dates=["day"])
    wanted = forecaster.predict_interval(levels=(80,), ids=["S3"], future=future)
    np.testing.assert_allclose(found.iloc[:, 2:], wanted.iloc[:, 2:], rtol=5e-3)
    assert list(found) == list(wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.zeros((3, 1))),
        ("scale", np.full((4, 1), np.nan)),
        ("rows", np.zeros((9, 3))),
        ("static", np.zeros((4, 2))),
        ("weights", np.full((3, 1), np.inf)),
        ("static", np.zeros((4, 1), dtype=np.float32)),
    ],
)
def test_what_lies_beside_and_does_not_fit_is_refused(
    exports, tmp_path, stored, forge, name, value
):
    folder = tmp_path / "export"
    shutil.copytree(exports[0] / "covariates-onnx", folder)
    arrays = load(stored(folder, "beside.safetensors").read_bytes())
    assert name in arrays
    content = save({**arrays, name: value})
    told = json.loads((folder / "config.json").read_text())["sha256"]
    digest = forge.put(folder, "beside.safetensors", content)
    forge(folder, sha256={**told, "beside.safetensors": digest})
    with pytest.raises(ArtefactError, match="damaged"):
        load_forecaster(folder)


def test_a_file_that_is_no_table_of_tensors_is_refused(exports, tmp_path, forge):
    folder = tmp_path / "export"
    shutil.copytree(exports[0] / "holes-onnx", folder)
    told = json.loads((folder / "config.json").read_text())["sha256"]
    digest = forge.put(folder, "beside.safetensors", b"not a table of tensors")
    forge(folder, sha256={**told, "beside.safetensors": digest})
    with pytest.raises(ArtefactError, match="damaged"):
        load_forecaster(folder)


@pytest.mark.parametrize("steps", [1, 2, 5, 16, 33])
def test_what_exports_count_with_is_the_same(steps):
    """The running maximum that every format knows, against that of torch."""
    x = torch.randint(-1, 20, (3, steps, 2), generator=torch.Generator().manual_seed(steps))
    torch.testing.assert_close(doubled_latest(x), x.cummax(1).values)


def test_an_export_of_many_series_answers_requests(fitted, exports):
    forecaster, table = fitted["covariates"]
    service = Service(exports[0] / "covariates-onnx")
    assert service.about["many_series"]
    future = table[table["sold"].isna()].drop(columns=["sold", "heat", "kind"]).assign(price=5.0)
    asked = {"ids": ["S1"], "future": future}
    answer = asyncio.run(service.forecast(Asked(**asked, levels=(80,))))
    same(answer.forecast, forecaster.predict_interval(levels=(80,), **asked), 5e-3)
    known = table[table["shop"] == "S2"]
    answer = asyncio.run(service.forecast(Asked(table=known, horizon=3)))
    same(answer.forecast, forecaster.predict(known, 3))
    with pytest.raises(OptionError, match="a window is of one table"):
        asyncio.run(service.forecast(Asked(window=np.zeros((28, 1)))))
