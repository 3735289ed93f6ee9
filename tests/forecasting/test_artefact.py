"""The artefact: complete, checked, without pickle."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.errors import ArtefactError
from stanhop_app.files import sha256
from stanhop_app.training.folder import write_config


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    return tmp_path / "run"


def test_a_loaded_forecaster_is_the_saved_one(fitted, folder, weather):
    loaded = STanHopForecaster.load(folder)
    for horizon in (3, 12, 40):
        pd.testing.assert_frame_equal(
            loaded.predict(horizon=horizon), fitted.predict(horizon=horizon), check_exact=True
        )
    assert loaded.score(weather) == fitted.score(weather)
    assert loaded.columns_ == fitted.columns_
    assert loaded.borders_ == fitted.borders_
    assert loaded.scaler_ == fitted.scaler_
    assert loaded.history_ == fitted.history_
    assert loaded.combination_.rules == fitted.combination_.rules
    assert {**loaded.get_params(), "progress": False} == fitted.get_params()


def test_a_forecaster_with_memory_layers_is_saved_whole(small, weather, tmp_path):
    network = {**small["network"], "feed_forward": "memory", "projection": "memory", "bits": 3}
    one = STanHopForecaster(**{**small, "network": network}).fit(weather)
    one.save(tmp_path / "run")
    loaded = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(loaded.predict(), one.predict(), check_exact=True)


def test_saving_what_was_loaded_gives_the_same_files(folder, tmp_path):
    STanHopForecaster.load(folder).save(tmp_path / "again")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == files


def test_the_folder_holds_two_files_and_says_everything(fitted, folder, stored):
    weights = stored(folder, "model.safetensors")
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", weights.name]
    assert sha256(weights).startswith(weights.stem.removeprefix("model-"))
    config = json.loads((folder / "config.json").read_text())
    for name in ("format_version", "package_version", "split", "seed", "columns", "frequency"):
        assert config[name] is not None, name
    assert config["network"]["association"] == "softmax1"
    assert config["scaler"]["mean"] == list(fitted.scaler_.mean)
    # Not a pickle: the first bytes are the length of a JSON header.
    head = weights.read_bytes()
    assert head[8:9] == b"{"


@pytest.mark.parametrize("options", [{"linear_skip": False}, {"clip": (-0.02, 1.0), "gate": "mlp"}])
def test_every_kind_of_network_comes_back(small, weather, tmp_path, options):
    one = STanHopForecaster(**{**small, **options, "training": {"max_steps": 2}}).fit(weather)
    one.save(tmp_path / "run")
    pd.testing.assert_frame_equal(STanHopForecaster.load(tmp_path / "run").predict(), one.predict())


def test_one_map_for_all_variates_comes_back(fitted, weather, small, tmp_path):
    single = STanHopForecaster(**small).fit(weather[["temperature_f"]])
    assert single.network_.linear.weight.shape[0] == 1
    single.save(tmp_path / "run")
    pd.testing.assert_frame_equal(
        STanHopForecaster.load(tmp_path / "run").predict(), single.predict()
    )


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_time_zone_and_unit_come_back(small, weather, tmp_path, unit):
    zoned = weather.tz_localize("UTC").tz_convert("Europe/Vienna").iloc[:500]
    zoned.index = zoned.index.as_unit(unit)
    one = STanHopForecaster(**small).fit(zoned)
    one.save(tmp_path / "run")
    prediction = STanHopForecaster.load(tmp_path / "run").predict()
    pd.testing.assert_frame_equal(prediction, one.predict())
    assert prediction.index[0] == zoned.index[-1] + pd.Timedelta(hours=1)
    assert str(prediction.index.tz) == "Europe/Vienna"


def test_a_fit_on_an_array_comes_back(small, weather, tmp_path):
    one = STanHopForecaster(**small).fit(weather.to_numpy())
    one.save(tmp_path / "run")
    np.testing.assert_array_equal(STanHopForecaster.load(tmp_path / "run").predict(), one.predict())


def test_an_artefact_is_overwritten_only_by_force(fitted, folder):
    with pytest.raises(ArtefactError, match="there is an artefact already"):
        fitted.save(folder)
    fitted.save(folder, force=True)
    assert STanHopForecaster.load(folder).predict().notna().all(axis=None)


def read(folder):
    return json.loads((folder / "config.json").read_text())


def edit(folder, **changes):
    write_config(folder, {**read(folder), **changes})


def weights_of(folder):
    (path,) = folder.glob("model-*.safetensors")
    return path


def flip_a_byte(folder):
    path = weights_of(folder)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


BROKEN = {
    "no folder": (shutil.rmtree, "not a run .no such folder"),
    "no config": (lambda f: (f / "config.json").unlink(), "not a run .holds no config.json"),
    "no weights": (lambda f: weights_of(f).unlink(), "artefact is not whole"),
    "half a config": (lambda f: (f / "config.json").write_text('{"format": '), "damaged"),
    "a list": (lambda f: (f / "config.json").write_text("[1]"), "holds no JSON object"),
    "foreign": (lambda f: edit(f, format="prophet"), "not an artefact of stanhop"),
    "older": (
        lambda f: edit(f, format_version=1),
        "format version 1, this package .* reads 2 and 3 and 4; train or export it again",
    ),
    "newer": (
        lambda f: edit(f, format_version=99),
        "format version 99, this package .* reads 2 and 3 and 4; update",
    ),
    "one byte": (flip_a_byte, "checksum does not match config.json; it is damaged"),
    "other network": (
        lambda f: edit(f, network={"num_variates": 3, "dim": 32, "clip": None}),
        "weights do not fit",
    ),
    "unknown field": (lambda f: edit(f, network={"size": 3}), "damaged"),
    "no scaler": (lambda f: edit(f, scaler=None), "damaged"),
    "a huge network": (
        lambda f: edit(f, network={"num_variates": 3, "dim": 2**20, "clip": None}),
        "weights do not fit",
    ),
    "a group of options in a list": (
        lambda f: edit(f, parameters={**read(f)["parameters"], "reading": [{}]}),
        "damaged .*reading is a dictionary of options, got",
    ),
    "no columns": (lambda f: edit(f, columns=None), "damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_damaged_or_foreign_is_named(folder, name):
    break_it, message = BROKEN[name]
    break_it(folder)
    with pytest.raises(ArtefactError, match=message) as caught:
        STanHopForecaster.load(folder)
    assert str(folder) in str(caught.value)


def test_nothing_in_an_artefact_is_executed(folder, forge, tmp_path):
    """A pickle in the place of the weights is refused by its checksum, then by its form."""
    torch.save({"x": torch.ones(1)}, tmp_path / "pickle")
    content = (tmp_path / "pickle").read_bytes()
    weights_of(folder).write_bytes(content)
    with pytest.raises(ArtefactError, match="checksum"):
        STanHopForecaster.load(folder)
    forge(folder, weights_sha256=forge.put(folder, "model.safetensors", content))
    with pytest.raises(ArtefactError, match="damaged"):
        STanHopForecaster.load(folder)
