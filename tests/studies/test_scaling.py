"""Random labels learned by heart: the search, the exponent, and that a sweep goes on."""

import json

import numpy as np
import pytest
import torch

from stanhop_app.errors import ArtefactError
from stanhop_app.studies import scaling
from stanhop_app.studies.scaling import (
    CLASSES,
    Learner,
    ScalingExperiment,
    fit_exponent,
    largest_learned,
    learn,
    random_windows,
    scaling_table,
    sweep,
)

SHORT = ScalingExperiment(max_steps=100, largest=64, error=0.1)


def cells(exponent, noise=0.0, seeds=3):
    """Results of an exact or noisy power law."""
    generator = np.random.Generator(np.random.PCG64(0))
    found = {}
    for seed in range(seeds):
        for dim in (4, 8, 16, 32):
            parameters = 50 * dim**2
            learned = (parameters / 3) ** (1 / exponent) * np.exp(noise * generator.normal())
            cell = {"dim": dim, "seed": seed, "parameters": parameters, "learned": learned}
            found[f"width {dim}, seed {seed}"] = {**cell, "at_limit": False, "errors": {}}
    return {"cells": found}


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_a_power_law_is_found_again(exponent):
    fit = fit_exponent(cells(exponent))
    assert fit.exponent == pytest.approx(exponent)
    assert fit.factor == pytest.approx(3)
    assert (
        fit.low < exponent < fit.high
    )  # sizes between two that were tried could be learned as well
    noisy = fit_exponent(cells(exponent, noise=0.2))
    assert noisy.low < noisy.exponent < noisy.high
    assert noisy.exponent == pytest.approx(exponent, rel=0.15)
    assert "the paper's 2" in fit_exponent(cells(2.0, 0.05, seeds=8)).verdict
    assert "linear capacity's 1" not in fit_exponent(cells(2.0, 0.05)).verdict.split(";")[1]


def test_searches_that_the_limit_stopped_do_not_count():
    content = cells(1.0)
    for key in list(content["cells"])[1:]:
        content["cells"][key]["at_limit"] = True
    with pytest.raises(ValueError, match="fewer than two widths learned"):
        fit_exponent(content)


def test_a_width_that_the_limit_stopped_once_is_left_out():
    """Else its other seeds, all smaller than the limit, would bend the slope."""
    content = cells(2.0)
    content["cells"]["width 32, seed 0"] |= {"at_limit": True}
    content["cells"]["width 32, seed 1"] |= {"learned": 1.0}
    assert fit_exponent(content).exponent == pytest.approx(2.0)


def test_labels_have_nothing_to_do_with_windows():
    x, y = random_windows(4000, 3)
    assert torch.equal(x, random_windows(4000, 3)[0])
    counts = y.bincount(minlength=CLASSES) / len(y)
    assert (counts - 1 / CLASSES).abs().max() < 0.02
    correlation = torch.corrcoef(torch.cat([x.flatten(1).T, y[None].float()]))[-1, :-1]
    assert correlation.abs().max() < 0.08


def test_parameters_are_counted_without_the_embedding():
    network = Learner(8)
    rest = sum(p.numel() for p in network.embedding.parameters()) + network.position.numel()
    assert network.size == sum(p.numel() for p in network.parameters()) - rest
    network(torch.randn(3, 8, 4)).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.slow
def test_few_labels_are_learned_and_many_are_not():
    assert learn(16, 32, 0, ScalingExperiment(max_steps=300)) == 0
    assert learn(4, 1024, 0, SHORT) > 0.5
    found = largest_learned(12, 0, SHORT)
    assert found["learned"] >= 32
    assert found == largest_learned(12, 0, SHORT)


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was(tmp_path, monkeypatch):
    path = tmp_path / "scaling.json"
    sweep([4, 8], [0], SHORT, results=path)

    def never(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(scaling, "largest_learned", never)
    content = sweep([4, 8], [0], SHORT, results=path)
    assert list(scaling_table(content)["dim"]) == [4, 8]
    with pytest.raises(ArtefactError, match="holds results of other options"):
        sweep([4, 8], [0], ScalingExperiment(), results=path)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="at least two widths"):
        sweep([4], [0], SHORT)
    with pytest.raises(ValueError, match="num_heads must divide dim"):
        sweep([4, 5], [0], SHORT)


def test_the_command(stanhop, tmp_path, monkeypatch):
    monkeypatch.setattr(
        scaling,
        "largest_learned",
        lambda dim, seed, experiment: {
            "parameters": dim**2,
            "learned": 10 * dim,
            "at_limit": False,
            "errors": {},
        },
    )
    page = tmp_path / "page.html"
    code, out, err = stanhop("theory", "scaling", "--report", page)
    assert code == 0, err
    assert "N ~ D^2.00" in out
    assert "fit, slope 2.00" in page.read_text()
    assert json.loads(stanhop("theory", "scaling", "--json")[1])["verdict"].startswith("N ~ D^2.00")
