"""The record of a fit: a new fit makes a new one, and a folder says which table it is of."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import DataError
from stanhop_app.runs.making import make_run
from stanhop_app.runs.run import Run


@pytest.fixture(scope="module")
def folder(weather, small, tmp_path_factory):
    """A scored run."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    make_run(STanHopForecaster(**small), Panel.of(weather), folder, source={"data": "first.csv"})
    return folder


def test_a_new_fit_keeps_nothing_of_an_old_run(folder, weather, tmp_path):
    forecaster = STanHopForecaster.load(folder)
    assert forecaster.source_["data"] == "first.csv"
    assert forecaster.metrics_["scores"]
    forecaster.set_params(training={"max_steps": 1}).fit(weather.iloc[:700] * 2)
    assert (dict(forecaster.source_), forecaster.metrics_) == ({}, None)
    forecaster.save(tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    assert (config["source"], config["metrics"], config["rows"]) == (None, None, 700)


def test_after_a_plain_save_another_table_of_the_same_length_is_refused(fitted, weather, tmp_path):
    fitted.save(tmp_path / "plain")
    run = Run.open(tmp_path / "plain")
    assert list(run.on(weather).parts) == ["train", "validation", "test"]
    with pytest.raises(DataError, match="not the one that the run was trained on"):
        _ = run.on(weather + 1e-3).parts


def test_a_folder_that_does_not_say_its_table_is_refused(fitted, weather, tmp_path, forge):
    """As version 2 of the format was written by a plain save."""
    fitted.save(tmp_path / "plain")
    forge(tmp_path / "plain", fingerprint=None, format_version=2)
    run = Run.open(tmp_path / "plain")
    pd.testing.assert_frame_equal(run.forecaster.predict(), fitted.predict())
    with pytest.raises(DataError, match="does not say which table it was trained on"):
        _ = run.on(weather).parts


def test_runs_of_version_2_open_with_their_table(folder, weather, tmp_path):
    old = shutil.copytree(folder, tmp_path / "old")
    config = json.loads((old / "config.json").read_text())
    for name in ("fingerprint", "checksum"):
        del config[name]
    (old / "config.json").write_text(json.dumps({**config, "format_version": 2}))
    for path in old.glob("*-*.safetensors"):  # files had no checksum in their names
        path.rename(old / f"{path.stem.split('-')[0]}.safetensors")
    run = Run.open(old).on(weather)
    assert run.is_trained_table
    assert len(run.parts["test"]) > 0
    run.forecaster.save(tmp_path / "new")
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert (written["format_version"], written["fingerprint"]) == (4, config["source"]["sha256"])


def test_options_that_change_after_a_fit_change_no_forecast(fitted, weather, small):
    """`set_params` says what the next fit is to do."""
    before = fitted.predict()
    changed = STanHopForecaster(**small).fit(weather).set_params(horizon=5, lookback=3)
    pd.testing.assert_frame_equal(changed.predict(), before)


def test_one_training_reads_scales_and_fingerprints_its_table_once(
    stanhop, csv, tmp_path, monkeypatch
):
    """And builds one network."""
    from stanhop_app.data import frame, panel, series
    from stanhop_app.data.scaler import Scaler
    from stanhop_app.forecasting import fit

    counts = dict.fromkeys(("taken", "transform", "fingerprint", "network"), 0)

    def counting(name, function, counted=lambda *given: True):
        def call(*given, **options):
            counts[name] += counted(*given)
            return function(*given, **options)

        return call

    taken = counting("taken", frame.taken)
    for module in (frame, series):
        monkeypatch.setattr(module, "taken", taken)
    whole = counting("transform", Scaler.transform, lambda scaler, values: len(values) == 900)
    monkeypatch.setattr(Scaler, "transform", whole)
    monkeypatch.setattr(panel, "fingerprint", counting("fingerprint", panel.fingerprint))
    monkeypatch.setattr(fit, "STanHopNet", counting("network", fit.STanHopNet))
    words = ["--horizon", "12", "--lookback", "48", "--patch-length", "12", "--max-steps", "2"]
    code, _, err = stanhop("train", csv, *words, "--novelty", "--output", tmp_path / "run")
    assert code == 0, err
    assert counts == dict.fromkeys(counts, 1)


def test_fits_in_threads_are_those_of_their_seeds(weather, small):
    """As a grid search over threads makes them: they drew from one random state in turn."""

    def fit(seed):
        return STanHopForecaster(**small, seed=seed).fit(weather.iloc[:400]).predict()

    seeds = [0, 1, 0, 2]
    alone = {seed: fit(seed) for seed in set(seeds)}
    with ThreadPoolExecutor(len(seeds)) as threads:
        together = list(threads.map(fit, seeds))
    for seed, forecast in zip(seeds, together, strict=True):
        pd.testing.assert_frame_equal(forecast, alone[seed], check_exact=True)
