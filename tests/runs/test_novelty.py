"""How new a window is, and what it is like."""

import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.runs.novelty import explain, load_store, remember
from stanhop_app.runs.run import Run
from stanhop_app.theory.activations import activations


@pytest.fixture(scope="module")
def store(fitted, weather):
    return remember(Run(forecaster=fitted).on(weather), most=200)


def test_training_windows_are_as_new_as_each_other(store):
    """The percentile of a training window's own energy is its rank."""
    assert len(store.patterns) == len(store.energies) == 200
    assert (store.energies.diff() >= 0).all()
    torch.testing.assert_close(store.patterns.mean(0), torch.zeros(16), atol=1e-4, rtol=0)
    far = store.mean + 1000 * store.deviation
    assert store.novelty(far[None]).item() == 100
    inside = store.patterns * store.deviation + store.mean
    assert store.novelty(inside).median() < 60  # each is in the store itself


def test_windows_that_share_rows_do_not_count(fitted, weather, store):
    """A nearest neighbour within the zone would make every training window old."""
    zone = fitted.lookback + fitted.horizon
    distances = torch.cdist(store.patterns, store.patterns)
    near = (store.origins[:, None] - store.origins[None]).abs() < zone
    energies = distances.masked_fill(near, float("inf"))
    wanted = -torch.logsumexp(-store.beta * energies.square(), 1) / store.beta
    torch.testing.assert_close(store.energies, wanted.sort().values, rtol=1e-4, atol=1e-4)


def test_a_shifted_window_is_newer(fitted, weather, store):
    """A level shift in the last steps, as after a fault of a sensor."""
    deep = fitted.network_.deep
    windows = Run(forecaster=fitted).on(weather).parts["test"].gather(torch.arange(0, 100, 5))[0]
    shifted = windows.clone()
    shifted[:, -12:] += 8
    layer = f"blocks.{len(deep.blocks) - 1}"
    before, after = (store.energy(activations(deep, x, layer)) for x in (windows, shifted))
    assert (after > before).float().mean() > 0.8


def test_an_explanation_names_dates_of_the_training_part(fitted, weather, store):
    found = explain(Run(forecaster=fitted), store)
    assert 0 <= found.novelty <= 100
    assert len(found.nearest) == 3
    assert found.nearest["distance"].is_monotonic_increasing
    train_end = weather.index[fitted.borders_.train - 1]
    assert (found.nearest["end"] <= train_end).all()
    spans = (found.nearest["end"] - found.nearest["start"]).unique()
    assert list(spans) == [(fitted.lookback - 1) * (weather.index[1] - weather.index[0])]
    ends = found.nearest["end"].sort_values()
    assert (ends.diff().dropna() >= spans[0]).all()  # no two share rows
    origin = int(store.origins[50])
    same = explain(Run(forecaster=fitted), store, weather.iloc[:origin])
    assert same.nearest["end"].iloc[0] == weather.index[origin - 1]
    assert same.nearest["distance"].iloc[0] == pytest.approx(0, abs=1e-3)
    assert "the window is newer than" in str(found)


def test_too_few_windows_are_said(weather, small):
    short = weather.iloc[:150]
    fitted = STanHopForecaster(**small).fit(short)
    with pytest.raises(DataError, match="overlap too much"):
        remember(Run(forecaster=fitted).on(short))


@pytest.mark.slow
def test_forecasts_are_explained_by_the_command(stanhop, csv, trained, tmp_path, stored):
    run = tmp_path / "run"
    words = ["--horizon", "12", "--lookback", "48", "--patch-length", "12", "--dim", "16"]
    words += ["--num-heads", "2", "--max-steps", "2", "--novelty", "--quiet"]
    assert stanhop("train", csv, *words, "--output", run)[0] == 0
    code, out, err = stanhop("forecast", run, "--explain")
    assert code == 0, err
    assert "the window is newer than" in err
    assert "nearest" not in out
    plain = stanhop("forecast", run)[1]
    assert plain == out
    code, out, err = stanhop("forecast", trained, "--explain")
    assert (code, out) == (4, "")
    assert "train it with --novelty" in err
    stored(run, "novelty.safetensors").write_bytes(b"junk")
    assert "checksum does not match" in stanhop("forecast", run, "--explain")[2]
    with pytest.raises(ArtefactError, match="does not match"):
        load_store(Run.open(run))
