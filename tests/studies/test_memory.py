"""The comparison of dense and memory layers: cells, resuming, tables, figures."""

import copy
import json

import pytest
import torch
from stanhop_app.cli.group import run
from torch import nn

from stanhop_app.errors import ArtefactError, DataError, TrainingError
from stanhop_app.layers.memory_cost import feed_forward_cost, memory_block_cost
from stanhop_app.models.stanhop import DeepPart, STanHopConfig
from stanhop_app.studies import memory as memory_comparison
from stanhop_app.studies.cells import read_results
from stanhop_app.studies.memory import ABLATIONS, KINDS, MEMORY, compare_memory, remove_norms
from stanhop_app.studies.memory_report import ablation_table, comparison_table, memory_figures

pytestmark = pytest.mark.slow

OPTIONS = {
    "horizons": [12],
    "seeds": [0],
    "split": "14/5/5",
    "lookback": 48,
    "max_epochs": 1,
    "learning_rate": 3e-3,
    "ablations": True,
}


@pytest.fixture(scope="module")
def compared(weather, tmp_path_factory):
    """A comparison that was interrupted after two cells and run again; two kinds, two ablations."""
    path = tmp_path_factory.mktemp("comparison") / "memory.json"
    patch = pytest.MonkeyPatch()
    kinds = {name: KINDS[name] for name in ("dense", MEMORY)}
    patch.setattr(memory_comparison, "KINDS", kinds)
    few = {"bits": {"2": ABLATIONS["bits"]["2"]}}
    few["norm before the hash"] = ABLATIONS["norm before the hash"]
    patch.setattr(memory_comparison, "ABLATIONS", few)
    said = []

    def stop(text):
        said.append(text)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_memory(weather, **OPTIONS, results=path, say=stop)
    content = compare_memory(weather, **OPTIONS, results=path, say=said.append)
    yield path, content, said, weather
    patch.undo()


def test_an_interrupted_comparison_goes_on_where_it_was(compared):
    path, content, said, weather = compared
    keys = ["speed", *content["cells"]]
    assert said == [*keys[:3], *keys[2:]]
    assert read_results(path) == content
    with pytest.raises(ArtefactError, match="results of other options or data"):
        compare_memory(weather, **{**OPTIONS, "lookback": 60}, results=path)


def test_costs_in_the_table_are_those_of_the_formulas(compared):
    table = comparison_table(compared[1])
    dim, hidden = STanHopConfig.dim, STanHopConfig.hidden_dim
    for name, cost in (
        ("dense", feed_forward_cost(dim, hidden)),
        (MEMORY, memory_block_cost(dim, bits=4)),
        ("bits: 2", memory_block_cost(dim, bits=2)),
    ):
        row = table.loc[(12, name)]
        assert row["feed_forward_multiply_adds"] == cost.multiply_adds
        assert 0 < row["deep_test_mse"] < 10
    memory, dense = (table.loc[(12, name)] for name in (MEMORY, "dense"))
    assert 3 * memory["feed_forward_multiply_adds"] < dense["feed_forward_multiply_adds"]
    assert memory["megabytes"] > dense["megabytes"]


def test_ablations_stand_beside_the_default(compared):
    table = ablation_table(compared[1])
    assert list(table.index) == [
        ("bits", "2"),
        ("bits", "4"),
        ("norm before the hash", "no"),
        ("norm before the hash", "yes"),
    ]
    same = table.loc[("bits", "4")]
    assert same.equals(table.loc[("norm before the hash", "yes")])
    assert table["entropy"].between(0, 1).all()


def test_ablations_are_compared_with_their_own_horizon_and_learning_rate(compared, monkeypatch):
    content = json.loads(json.dumps(compared[1]))
    cells = content["cells"]
    first, other = (f"{MEMORY}, horizon {h}, seed 0" for h in (12, 6))
    content["cells"] = {other: {**cells[first], "horizon": 6, "bytes": 1}, **cells}
    assert ablation_table(content).equals(ablation_table(compared[1]))
    content["options"]["learning_rate"] = 5e-4
    faster = {**cells[first], "variant": "learning rate: 0.001"}
    content["cells"]["learning rate: 0.001, horizon 12, seed 0"] = faster
    monkeypatch.setattr(memory_comparison, "ABLATIONS", ABLATIONS)
    table = ablation_table(content)
    assert list(table.loc["learning rate"].index) == ["0.0005", "0.001"]
    only_main = {k: c for k, c in cells.items() if c["variant"] in KINDS}
    assert ablation_table({**content, "cells": only_main}).empty


def test_a_cell_that_diverges_does_not_stop_the_others(weather, tmp_path, monkeypatch):
    def fit(study, variant, horizon, training, folder):
        raise TrainingError("the training loss is not finite")

    monkeypatch.setattr(memory_comparison._Study, "fit", fit)
    monkeypatch.setattr(memory_comparison, "speed", lambda networks: {})
    path = tmp_path / "m.json"
    with pytest.raises(TrainingError, match="no cell could be trained"):
        compare_memory(weather, **OPTIONS, results=path)
    content = json.loads(path.read_text())
    assert len(content["cells"]) >= 4
    assert all("not finite" in cell["failed"] for cell in content["cells"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizons": [12, 0]}, "horizon"),
        ({"horizons": [12, 5000]}, "too few rows"),
        ({"seeds": []}, "at least one number"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(weather, tmp_path, options, message):
    with pytest.raises((ValueError, DataError), match=message):
        compare_memory(weather, **{**OPTIONS, **options}, results=tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []


def test_norms_before_hashes_and_no_others_can_be_taken_away():
    network = DeepPart(STanHopConfig(num_variates=2, feed_forward="memory"))
    before = sum(isinstance(m, nn.LayerNorm) for m in network.modules())
    remove_norms(network)
    after = sum(isinstance(m, nn.LayerNorm) for m in network.modules())
    assert before - after == 2 * (2 * 2 + 3)
    assert network(torch.randn(1, 512, 2)).isfinite().all()


def test_figures_show_every_cell(compared):
    figures = memory_figures(compared[1])
    assert len(figures) == 4
    drawn = [text for trace in figures[0].data for text in trace.text]
    table = comparison_table(compared[1])
    assert drawn == [f"{table.loc[(12, name)]['deep_test_mse']:.4f}" for name in ("dense", MEMORY)]
    hits = figures[2].data[0].y
    assert sum(hits) > 0
    assert len(hits) == 2**4


def test_a_file_without_the_hits_of_some_cells_is_still_drawn(compared):
    """The published file keeps those of one cell, for its size."""
    content = copy.deepcopy(compared[1])
    cells = [cell for cell in content["cells"].values() if cell["variant"] == "memory feed-forward"]
    for table in cells[0]["occupancy"]:
        table["hits"] = None
    assert len(memory_figures(content)) == (4 if len(cells) > 1 else 3)
    assert len(memory_figures(compared[1])) == 4


def test_the_command_prints_tables_and_draws(compared, capsys, tmp_path, weather):
    path, page = compared[0], tmp_path / "memory.html"
    table = tmp_path / "weather.csv"
    weather.to_csv(table)
    arguments = [
        "compare-memory",
        str(table),
        "--horizons",
        "12",
        "--seeds",
        "0",
        "--lookback",
        "48",
    ]
    arguments += ["--max-epochs", "1", "--output", str(path), "--plot", str(page)]
    assert run(arguments) == 0
    out = capsys.readouterr()
    assert "memory feed-forward" in out.out
    assert "norm before the hash" in out.out
    assert "<script" in page.read_text(encoding="utf-8")
    assert run(arguments) == 2
    assert "exists; choose another name, or --force" in capsys.readouterr().err
