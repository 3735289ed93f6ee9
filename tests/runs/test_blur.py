"""How many windows an external memory holds before its retrieval blurs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.runs.blur import blur

NETWORK = {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16}


@pytest.fixture(scope="module")
def forecaster(echoes):
    options = {"horizon": 6, "lookback": 24, "max_epochs": 1, "network": NETWORK}
    return STanHopForecaster(**options, memory="plug", progress=False).fit(echoes)


@pytest.fixture(scope="module")
def found(forecaster):
    return blur(forecaster.fitted_.memory)


def test_the_bound_of_the_theory_holds_for_softmax(found):
    assert (found.sizes["own weight"] >= found.sizes["bound"] - 1e-6).all()


def test_more_windows_blur(found, forecaster):
    sizes = found.sizes
    assert list(sizes.index) == [64, 256, 1024, len(forecaster.fitted_.memory.store)]
    assert sizes["own weight"].is_monotonic_decreasing
    assert sizes["read"].is_monotonic_increasing
    assert sizes["sharper"].is_monotonic_increasing
    assert (sizes["read"] >= 1).all()


def test_at_the_factor_that_is_told_a_window_has_half_of_its_weights(found, forecaster):
    memory = forecaster.fitted_.memory
    factor = found.sizes["sharper"].iloc[-1]
    rule = replace(memory.rule, sharpness=memory.rule.sharpness * factor)
    sharp = blur(replace(memory, rule=rule)).sizes.iloc[-1]
    assert sharp["own weight"] == pytest.approx(0.5, abs=1e-3)
    assert sharp["sharper"] == pytest.approx(1, abs=1e-3)


def test_newer_windows_have_more_energy(found):
    assert found.novelty["energy"].is_monotonic_increasing
    assert found.novelty["windows"].sum() == 1000 or found.novelty["windows"].sum() < 1000
    assert (found.novelty["missed"] > 0).all()


def test_a_seed_fixes_it(found, forecaster):
    again = blur(forecaster.fitted_.memory)
    np.testing.assert_array_equal(again.sizes, found.sizes)


def test_the_command(stanhop, forecaster, tmp_path):
    forecaster.save(tmp_path / "run")
    code, out, err = stanhop("theory", "memory", tmp_path / "run", "--report", tmp_path / "b.html")
    assert code == 0, err
    assert "own weight" in out
    assert "stored windows" in out.splitlines()[-1]
    assert "Errors by novelty" in (tmp_path / "b.html").read_text()
    code, out, _ = stanhop("theory", "memory", tmp_path / "run", "--json")
    assert json.loads(out)["sizes"]["64"]["recalled"] > 0.5
    (tmp_path / "none").mkdir()
    code, _, err = stanhop("theory", "memory", tmp_path / "none")
    assert code == 4


def test_a_memory_that_was_pruned_says_what_it_can(stanhop, forecaster, tmp_path):
    """Its newest windows may hold none of training, or all share rows."""
    for windows, wanted in ((300, 0), (3, 3)):
        run = tmp_path / f"of-{windows}"
        forecaster.save(run)
        assert stanhop("memory", "prune", run, "--windows", windows)[0] == 0
        code, out, err = stanhop("theory", "memory", run)
        assert (code, len(err.splitlines())) == (wanted, 1 if wanted else len(err.splitlines()))
        assert ("share rows" in err) if wanted else ("no training window is stored" in out)
        code, _, err = stanhop("forecast", run, "--explain")
        assert code == 0
        assert "nan" not in err
        assert ("cannot be told by stored windows that all share rows" in err) == (windows == 3)
        assert ("of the stored windows" in err) == (windows == 300)
