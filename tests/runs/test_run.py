"""Runs: train, score, keep; evaluate again; benchmark grids."""

import json
import shutil

import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.runs.making import make_run
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import choose_season, evaluate_run
from stanhop_app.studies.benchmark import benchmark_table, run_benchmark
from stanhop_app.training.folder import write_config

MODELS = [
    "STanHop-Net",
    "deep part",
    "linear part",
    "last value",
    "seasonal naive",
    "ridge",
    "DLinear",
]


def made_run(forecaster, frame, folder, **options):
    return make_run(forecaster, Panel.of(frame, forecaster.split), folder, **options)


def evaluated(folder, frame):
    return evaluate_run(Run.open(folder).on(frame))


@pytest.fixture(scope="module")
def run(weather, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    report = made_run(STanHopForecaster(**small), weather, folder, source={"data": "sample"})
    return folder, report


def test_a_run_scores_the_network_its_parts_and_four_baselines(run):
    _, report = run
    assert list(report.table.index) == MODELS
    assert list(report.table.columns) == [
        "validation_mse",
        "validation_mae",
        "test_mse",
        "test_mae",
    ]
    assert report.table.notna().all(axis=None)
    assert report.split == "14/5/5"
    best = report.table.loc[MODELS[1:3], "validation_mse"].min()
    assert report.table.loc["STanHop-Net", "validation_mse"] <= best + 1e-9


def test_the_folder_holds_the_artefact_the_baselines_and_the_history(run, stored):
    folder, report = run
    assert sorted(p.name for p in folder.iterdir()) == [
        stored(folder, "baselines.safetensors").name,
        "config.json",
        "history.csv",
        stored(folder, "model.safetensors").name,
        "steps.csv",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config["metrics"]["scores"]["ridge"]["test_mse"] == report.table.loc["ridge", "test_mse"]
    assert config["source"]["data"] == "sample"
    assert config["source"]["season"] == 24


def test_evaluating_the_trained_table_gives_the_same_scores(run, weather):
    folder, report = run
    again = evaluated(folder, weather[weather.columns[::-1]])
    assert again.as_json() == report.as_json()


def test_another_table_is_scored_on_all_its_windows(run, weather):
    folder, _ = run
    other = evaluated(folder, weather.iloc[:850] * 1.01)
    assert other.split == "all rows"
    assert list(other.table.columns) == ["all_mse", "all_mae"]
    assert list(other.table.index) == MODELS
    lookbacks = {s.windows for s in other.scores["all"].values()}
    assert len(lookbacks) == 1


def test_a_table_of_another_kind_is_refused(run, weather, small, tmp_path):
    folder, _ = run
    with pytest.raises(DataError, match="missing: humidity_pct"):
        evaluated(folder, weather.drop(columns="humidity_pct"))
    STanHopForecaster(**small).fit(weather).save(tmp_path / "saved")
    with pytest.raises(ArtefactError, match="saved without baselines"):
        evaluated(tmp_path / "saved", weather)


def test_a_run_is_overwritten_only_by_force(run, weather, small, tmp_path):
    folder, _ = run
    before = (folder / "config.json").read_bytes()
    with pytest.raises(
        ValueError, match="holds a finished run; choose another --output, or --force"
    ):
        made_run(STanHopForecaster(**small), weather, folder)
    assert (folder / "config.json").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        made_run(STanHopForecaster(**small), weather, tmp_path / "file")


def test_a_table_in_a_time_zone_is_known_again(small, weather, tmp_path):
    zoned = weather.tz_localize("UTC")
    made = made_run(STanHopForecaster(**small), zoned, tmp_path / "run")
    assert evaluated(tmp_path / "run", zoned).as_json() == made.as_json()
    assert not made.overlaps


def test_a_table_that_begins_within_the_training_rows_is_told(run, weather):
    folder, _ = run
    assert evaluated(folder, weather.iloc[:850] * 1.01).overlaps
    assert not evaluated(folder, weather.iloc[530:] * 1.01).overlaps


@pytest.mark.parametrize("told", ["../../etc/passwd", "2013-03-20T00:00Z", "999999999-01-01"])
def test_an_altered_end_of_the_training_is_one_line(run, weather, told, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    write_config(folder, {**config, "source": {**config["source"], "train_end": told}})
    with pytest.raises(ArtefactError, match="source.train_end is .*; damaged"):
        evaluated(folder, weather.iloc[:850] * 1.01)


NEVER_NULL = (
    "season",
    "sha256",
    "train_end",
    "baselines_sha256",
    "novelty_sha256",
    "outliers_sha256",
)


@pytest.mark.parametrize("name", NEVER_NULL)
def test_what_a_training_wrote_of_its_table_is_never_null(run, weather, name, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    write_config(folder, {**config, "source": {**config["source"], name: None}})
    with pytest.raises(ArtefactError, match=f"source.{name} is null"):
        evaluated(folder, weather)


def test_the_season_is_one_where_the_rows_do_not_hold_the_natural_one(small, weather, tmp_path):
    seconds = weather.iloc[:300].set_axis(
        pd.date_range("2024-01-01", periods=300, freq="s", name="time"), axis=0
    )
    made = made_run(STanHopForecaster(**small), seconds, tmp_path / "run")
    assert made.table.loc["seasonal naive", "test_mse"] == made.table.loc["last value", "test_mse"]
    assert made.scores["validation"]["ridge"].windows == 62 - 12 + 1
    assert choose_season(Panel.of(weather)) == 24
    assert choose_season(Panel.of(weather), 7) == 7
    for season in (0, -1, 525):
        with pytest.raises(ValueError, match=f"below the 525 training rows, got {season}"):
            choose_season(Panel.of(weather), season)


def test_force_destroys_nothing_before_everything_is_checked(run, weather, small):
    folder, _ = run
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    for options in ({"association": "foo"}, {"lookback": 5000}, {"training": {"patience": 0}}):
        with pytest.raises(ValueError, match=r"foo|too few rows|patience"):
            made_run(STanHopForecaster(**{**small, **options}), weather, folder, force=True)
    with pytest.raises(ValueError, match="season must be"):
        made_run(STanHopForecaster(**small), weather, folder, force=True, season=9999)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["history.csv", "config.json", "notes.txt"])
def test_files_that_are_no_run_are_never_touched(weather, small, tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"holds (files and no run|a config.json that is not)"):
        made_run(STanHopForecaster(**small), weather, tmp_path, force=True)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "{}"


def test_damaged_baselines_are_refused(run, weather, tmp_path, stored):
    folder, _ = run
    shutil.copytree(folder, tmp_path / "run")
    path = stored(tmp_path / "run", "baselines.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match=r"baselines-\w+.safetensors: checksum does not match"):
        evaluated(tmp_path / "run", weather)


@pytest.mark.slow
def test_a_grid_is_trained_once_and_goes_on_where_it_was_cut(weather, small, tmp_path):
    options = {name: value for name, value in small.items() if name != "horizon"}
    said: list[str] = []

    def bench(horizons, **change):
        return run_benchmark(
            weather,
            horizons=horizons,
            splits=["14/5/5", "3/1/1"],
            options={**options, **change},
            results=tmp_path / "grid.json",
            say=said.append,
        )

    first = bench([6])
    assert said == ["14/5/5 6", "3/1/1 6"]
    second = bench([6, 12])
    assert said[2:] == ["14/5/5 12", "3/1/1 12"]
    assert all(second["cells"][key] == cell for key, cell in first["cells"].items())
    table = benchmark_table(second)
    assert list(table.columns) == MODELS
    assert set(table.index) == {(s, h) for s in ("14/5/5", "3/1/1") for h in (6, 12)}
    assert (
        table.loc[("3/1/1", 6), "ridge"] == first["cells"]["3/1/1 6"]["scores"]["ridge"]["test_mse"]
    )
    with pytest.raises(ArtefactError, match="other options or data"):
        bench([6], seed=5)
    (tmp_path / "grid.json").write_text("{")
    with pytest.raises(ArtefactError, match="damaged"):
        bench([6])


def test_force_destroys_nothing_for_an_option_that_cannot_be(run, weather, small):
    folder, _ = run
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(ValueError, match="outlier_steps must be at least 1, got 0"):
        made_run(STanHopForecaster(**small), weather, folder, force=True, outlier_steps=0)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_panel_brings_its_own_split(weather, small):
    """Scores stand under the split that the rows were divided by."""
    forecaster = STanHopForecaster(**{**small, "training": {"max_steps": 1}})
    panel = Panel.of(weather, "4/1/1")
    fitted = forecaster.fit(panel).fitted_
    assert (fitted.split, fitted.borders) == ("4/1/1", panel.borders)
    assert Run(forecaster=forecaster).on(weather).table.split == "4/1/1"


def test_a_report_says_how_sure_a_gain_is(weather, small, tmp_path):
    """Windows are paired, in the order of time, whatever the lookback of each model."""
    forecaster = STanHopForecaster(**small)
    report = make_run(forecaster, Panel.of(weather, "14/5/5"), tmp_path / "run")
    test = report.scores["test"]
    for name, scores in test.items():
        assert len(scores.over_time) == scores.windows
        assert scores.over_time.mean() == pytest.approx(scores.mse, rel=1e-6)
        if name != WHOLE:
            assert report.gains[name].gain == pytest.approx(1 - test[WHOLE].mse / scores.mse)
            assert report.gains[name].low <= report.gains[name].gain <= report.gains[name].high
    assert report.as_json()["gains"]["ridge"]["low"] == report.gains["ridge"].low
