"""The claim that a cross-entropy is at least 1, measured."""

import json
import math

import pytest
import torch

from stanhop_app.studies.bound import conditional_entropy, entropy, overfit, partition_curve


def test_entropies_of_known_texts():
    assert entropy(torch.tensor([0, 1, 0, 1])) == pytest.approx(math.log(2))
    assert conditional_entropy(torch.arange(100) % 2) == pytest.approx(0, abs=1e-6)
    coins = torch.randint(0, 2, (20_000,), generator=torch.Generator().manual_seed(0))
    assert conditional_entropy(coins) == pytest.approx(math.log(2), abs=1e-3)


def test_the_paper_s_bound_is_least_at_1():
    """Golden numbers of log Z + 1/Z at .25, .5, 1, 2, 4, 10."""
    found = partition_curve([0.25, 0.5, 1, 2, 4, 10])
    assert found == pytest.approx([2.61, 1.31, 1, 1.19, 1.64, 2.40], abs=6e-3)


@pytest.mark.slow
def test_an_overfitted_model_goes_below_1():
    found = overfit(characters=1500, max_steps=150)
    assert found.final < 1 < found.validation[-1]
    assert "does not hold" in found.verdict
    assert found.train[0] > found.train[-1]
    assert found.bigram < found.unigram
    assert "holds for" in overfit(characters=1500, max_steps=2).verdict


def test_the_command(stanhop, tmp_path, monkeypatch):
    short = overfit(characters=1500, max_steps=4)
    monkeypatch.setattr("stanhop_app.studies.bound.overfit", lambda *a, **o: short)
    page = tmp_path / "bound.html"
    code, out, _ = stanhop("theory", "bound", "--report", page)
    assert code == 0
    assert out.strip().endswith(short.verdict)
    assert "claim: at least 1" in page.read_text()
    assert json.loads(stanhop("theory", "bound", "--json")[1])["verdict"] == short.verdict
    kept = tmp_path / "bound.json"
    assert stanhop("theory", "bound", "-o", kept)[0] == 0
    monkeypatch.setattr("stanhop_app.studies.bound.overfit", None)  # what is kept is not made again
    assert stanhop("theory", "bound", "-o", kept)[0] == 0
    assert json.loads(kept.read_text())["cells"]["python-docs"]["tokens"] == short.tokens
    monkeypatch.undo()
    code, _, err = stanhop("theory", "bound", "--data", "nowhere.txt")
    assert code == 3
    assert "no such text file" in err
