"""What retrievals read, level by level."""

import json

import numpy as np
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.errors import DataError
from stanhop_app.figures.sparsity import sparsity_figure
from stanhop_app.runs.run import Run
from stanhop_app.runs.sparsity import FORECAST, _read, run_sparsity

NETWORK = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16, "num_layers": 2}


def fitted(weather, association, **more):
    options = {"horizon": 12, "lookback": 48, "max_epochs": 1, "progress": False, **more}
    training = {"max_steps": 5}
    forecaster = STanHopForecaster(
        **options, association=association, network=NETWORK, training=training
    )
    return forecaster.fit(weather)


@pytest.fixture(scope="module")
def entmax(weather):
    return fitted(weather, "entmax")


def test_effective_patterns_are_all_of_even_weights_and_one_of_a_sure_one():
    even = torch.full((2, 3, 4, 8), 1 / 8)
    one = torch.nn.functional.one_hot(torch.zeros(2, 3, 4, dtype=torch.long), 8)
    for weights, read, effective in ((even, 8, 8), (one.float(), 1, 1)):
        count, *sums = _read(weights).tolist()
        assert count == 24
        assert np.divide(sums, count) == pytest.approx([8, read, effective, 0], abs=1e-6)
    # What a no-op is left does not change what is read of the rest.
    count, *sums = _read(0.25 * even).tolist()
    assert np.divide(sums, count) == pytest.approx([8, 8, 8, 0.75], abs=1e-6)


def test_every_retrieval_has_a_row_with_its_resolution(entmax, weather):
    table = run_sparsity(Run(forecaster=entmax).on(weather), most=8).table
    assert list(table["part"]) == ["time", "pooling", "series"] * 2 + [FORECAST] * 3
    assert list(table["level"]) == [0, 0, 0, 1, 1, 1, 0, 0, 1]
    assert list(table["steps"]) == [12] * 3 + [24] * 3 + [12, 12, 24]
    assert list(table["patterns"][:3]) == [4, len(weather.columns), 4]
    assert bool((table["effective"] <= table["read"] + 1e-9).all())
    assert bool((table["read"] <= table["patterns"]).all())
    assert bool((table["no_op"] < 1e-6).all())


def test_learned_alphas_are_the_layers_own(entmax, weather):
    told = run_sparsity(Run(forecaster=entmax).on(weather), most=8)
    assert told.learned
    for name, layer in entmax.fitted_.network.deep.named_modules():
        if name in told.table.index:
            alphas = layer.alpha.detach().double().flatten()
            row = told.table.loc[name]
            assert row["alpha"] == pytest.approx(float(alphas.mean()))
            assert [row["alpha_least"], row["alpha_most"]] == [alphas.min(), alphas.max()]
    assert told.table["alpha_most"].max() > told.table["alpha_least"].min()
    assert told.verdict.startswith("Alpha by level: 1.")


def test_alphas_that_do_not_differ_read_as_the_association_that_has_them(weather):
    """Entmax at alpha near 1 reads as softmax does, near 2 as sparsemax does: all patterns, or few."""
    made = fitted(weather, "entmax")
    read = {}
    for logit in (-20.0, 0.0, 20.0):
        with torch.no_grad():
            for layer in made.fitted_.network.modules():
                if hasattr(layer, "alpha_logit"):
                    layer.alpha_logit.fill_(logit)
        table = run_sparsity(Run(forecaster=made).on(weather), most=8).table
        read[logit] = table["read"].mean()
    assert read[-20.0] > read[0.0] > read[20.0]


def test_a_run_that_learns_none_says_so(weather):
    told = run_sparsity(Run(forecaster=fitted(weather, "softmax1")).on(weather), most=8)
    assert not told.learned
    assert "Alpha is not learned" in told.verdict
    assert bool((told.table["alpha"] == 1).all())
    assert bool((told.table["no_op"] > 0).any())
    assert bool((told.table["read"] == told.table["patterns"]).all())


def test_covariates_are_read_beside(weather):
    made = fitted(weather, "entmax", past_covariates=list(weather.columns[1:2]))
    told = run_sparsity(Run(forecaster=made).on_kept(), most=8)
    assert len(told.table) == 9


def test_another_table_is_refused(entmax, weather):
    with pytest.raises(DataError, match="not the one that the run was trained on"):
        run_sparsity(Run(forecaster=entmax).on(weather * 2))


def test_it_is_drawn_and_told(entmax, weather, stanhop, tmp_path):
    told = run_sparsity(Run(forecaster=entmax).on(weather), most=8)
    figure = sparsity_figure(told.table, title="a run")
    assert [trace.name for trace in figure.data[::2]] == ["time", "pooling", "series", FORECAST]
    entmax.save(tmp_path / "run")
    weather.to_csv(tmp_path / "weather.csv")
    words = ["theory", "sparsity", tmp_path / "run", tmp_path / "weather.csv", "--most", "8"]
    code, out, err = stanhop(*words, "--json", "--report", tmp_path / "s.html")
    assert code == 0, err
    assert json.loads(out)["verdict"] == told.verdict
    assert list(json.loads(out)["layers"]) == list(told.table.index)
    code, out, _ = stanhop(*words)
    assert told.verdict in out
    code, _, err = stanhop(*words[:-1], "0")
    assert (code, "--most must be at least 1" in err) == (2, True)
