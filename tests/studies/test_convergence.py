"""Training of a small ViT under several associations."""

import json

import pytest
import torch

from stanhop_app.errors import DataError
from stanhop_app.studies import convergence
from stanhop_app.studies.convergence import (
    ConvergenceExperiment,
    compare_convergence,
    convergence_claim,
    convergence_table,
    curve_table,
    learning_curve,
    make_network,
)
from stanhop_app.studies.present import present

SHORT = ConvergenceExperiment(dim=16, hidden_dim=32, num_layers=1, dropout=0.0, max_steps=20)
FAST = ConvergenceExperiment(dim=32, hidden_dim=64, learning_rate=3e-3, held_out=100, max_steps=60)


def content(losses, errors=(0.5, 0.5, 0.5)):
    """Results with curves that never change, a number an association and seed."""
    cells = {}
    for association, of_seeds in losses.items():
        for seed, loss in enumerate(of_seeds):
            curve = {"step": [0, 5], "train_loss": [loss, loss], "test_error": [0.9, errors[seed]]}
            cell = {"association": association, "samples": 100, "seed": seed, "curve": curve}
            cells[f"{association} {seed}"] = cell
    return {"cells": cells}


@pytest.mark.slow
def test_a_network_learns_and_one_seed_is_one_curve():
    curve = learning_curve("softmax1", 100, 0, FAST)
    assert curve["step"][0] == 0
    assert curve["step"][-1] == 60
    assert curve["train_loss"][0] == pytest.approx(torch.tensor(10.0).log().item(), abs=0.3)
    assert curve["train_loss"][-1] < 0.5 * curve["train_loss"][0]
    assert curve["test_error"][-1] < 0.5 < curve["test_error"][0]
    assert curve == learning_curve("softmax1", 100, 0, FAST)
    assert curve != learning_curve("softmax1", 100, 1, FAST)
    assert curve != learning_curve("softmax", 100, 0, FAST)  # the released code ignores it


def test_associations_start_from_the_same_weights_and_images():
    """Else a difference would be one of luck."""
    (one, _), (held, _) = convergence._images(50, 3, SHORT)
    networks = []
    for association in ("softmax", "sparsemax"):
        torch.manual_seed(3)
        networks.append(make_network(association, one, SHORT))
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(a, b)
    assert networks[0].config.patch_size == 4
    assert networks[0].positions.shape[1] == 5  # four patches and the class token
    raw = [x[:, 0] for x in (one, held)]
    assert not (raw[0][:, None] == raw[1][None]).flatten(2).all(-1).any()  # none is learned from
    more, _ = convergence._images(100, 3, SHORT)
    assert torch.equal(convergence._images(50, 3, SHORT)[0][1], more[1][:50])


def test_results_go_on_where_they_were(tmp_path, monkeypatch):
    path = tmp_path / "convergence.json"
    found = compare_convergence(["softmax", "softmax1"], [20, 40], [0], SHORT, results=path)
    assert len(found["cells"]) == 4
    monkeypatch.setattr(convergence, "learning_curve", None)
    again = compare_convergence(["softmax", "softmax1"], [20, 40], [0], SHORT, results=path)
    assert again["cells"] == found["cells"]
    table = convergence_table(again)
    assert list(table.index) == [(n, a) for n in (20, 40) for a in ("softmax", "softmax1")]
    assert (table["seeds"] == 1).all()
    assert curve_table(again, 40).loc["softmax", "loss"].iloc[0] > 0


def test_the_claim_is_one_of_paired_differences():
    better = convergence_claim(content({"softmax": [1.0, 2.0, 3.0], "softmax1": [0.9, 1.89, 2.91]}))
    assert "mean training loss lower (1.9000, softmax 2.0000, difference -0.1000" in better
    assert "error on held-out images no different" in better
    alike = convergence_claim(content({"softmax": [1.0, 2.0, 3.0], "softmax1": [2.0, 1.0, 3.0]}))
    assert "mean training loss no different" in alike
    few = convergence_claim(content({"softmax": [1.0, 2.0], "softmax1": [0.5, 1.5]}))
    assert "no different" in few  # two seeds show nothing
    with pytest.raises(ValueError, match="the results lack one"):
        convergence_claim(content({"softmax": [1.0]}))


def test_a_loss_that_never_halves_has_no_step():
    table = convergence_table(content({"softmax": [1.0, 2.0]}))
    assert table["half_step"].isna().all()
    assert table["mean_loss_sd"].iloc[0] == pytest.approx(0.5**0.5)


def test_what_cannot_be_is_said(tmp_path):
    with pytest.raises(ValueError, match="learn from 1 to that many, got 5000"):
        compare_convergence(["softmax"], [5000], [0], SHORT)
    with pytest.raises(ValueError, match="unknown association"):
        compare_convergence(["heat"], [10], [0], SHORT)
    with pytest.raises(DataError, match="no such folder"):
        compare_convergence(["softmax"], [10], [0], ConvergenceExperiment(data="nowhere"))


def test_the_command(stanhop, tmp_path):
    page, results = tmp_path / "page.html", tmp_path / "results.json"
    words = ["--sizes", "20,40", "--seeds", "0", "--dim", "16", "--max-steps", "10"]
    code, out, err = stanhop("theory", "convergence", *words, "--output", results, "--report", page)
    assert code == 0, err
    assert "softmax1 over 40 images, 1 seed: mean training loss" in out
    assert "sparsemax, 40 images, seed 0" in err
    assert "Training loss on 40 images" in page.read_text()
    assert json.loads(results.read_text())["options"]["hidden_dim"] == 32
    code, _, err = stanhop("theory", "convergence", "--sizes", "a")
    assert code == 2
    assert "list of numbers" in err


def test_the_command_that_is_told_is_the_one(stanhop, tmp_path):
    results = tmp_path / "results.json"
    words = [
        "theory",
        "convergence",
        "--dim",
        "8",
        "--max-steps",
        "3",
        "--sizes",
        "20,30",
        "--seeds",
        "1",
        "--associations",
    ]
    assert stanhop(*words, "softmax1,softmax", "--output", results)[0] == 0
    told = present(json.loads(results.read_text())).command.split()[1:]
    assert sorted(told) == sorted([*words, "softmax1,softmax", "--data", "digits"])


def test_a_width_that_cannot_be_is_no_default(stanhop):
    code, out, err = stanhop("theory", "convergence", "--dim", "0", "--max-steps", "1")
    assert (code, out) == (2, "")
    assert "dim must be at least 1, got 0" in err
