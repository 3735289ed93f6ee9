"""Memories, their capacity and noise, and landscapes of energies."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stanhop_app.datasets.patterns import load_patterns

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.studies.capacity import MemoryExperiment, claim, memory_table, run_experiment
from stanhop_app.studies.present import present
from stanhop_app.theory.landscape import find_basins, find_minima, landscape
from stanhop_app.theory.memories import MEMORIES, complete, polynomial, retrieval_bound

PAPER = torch.tensor([[-2, -0.5], [0.2, -0.3], [1.5, 1.5]], dtype=torch.float64)
EASY = MemoryExperiment(data="digits", repeats=3)


def test_minima_of_the_paper_s_patterns():
    """The distance energy has three, the MCHN energy two: the shortest pattern is none of its own."""
    for beta in (1.0, 2.0):
        assert len(find_minima(PAPER, "mchn", beta=beta)) == 2
        assert len(find_minima(PAPER, "distance", beta=beta)) == 3
    minima = find_minima(PAPER, "distance")
    for pattern in PAPER:
        assert (minima - pattern).norm(dim=1).min() < 0.1


def test_in_one_dimension_the_minima_are_the_known_ones():
    """P = {-2, 0, 1} on a line; the second coordinate is 0 everywhere."""
    line = torch.tensor([[-2.0, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    found = find_minima(line, "distance")[:, 0].sort().values
    torch.testing.assert_close(found, torch.tensor([-1.9569, 0.4936]).double(), atol=1e-3, rtol=0)
    found = find_minima(line, "mchn", beta=2.0)[:, 0].sort().values
    torch.testing.assert_close(found, torch.tensor([-1.9993, 0.8205]).double(), atol=1e-3, rtol=0)
    assert len(find_minima(line, "mchn", beta=1.0)) == 1


def test_basins_are_those_of_retrieval():
    """Two alike patterns part the plane in the middle; each minimum lies in its own basin."""
    pair = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    one = landscape(pair, "distance", size=20)
    assert one.shares == pytest.approx((0.5, 0.5))
    left = one.basins[:, one.xs < 0]
    assert (left == left[0, 0]).all()
    assert (one.basins[:, one.xs > 0] != left[0, 0]).all()
    own = find_basins(one.minima, one.minima, pair, "distance")
    assert own.tolist() == [0, 1]
    assert (find_basins(pair, pair[:0], pair, "distance") == -1).all()
    for energy in ("distance", "mchn", "outeff"):
        found = landscape(PAPER, energy, size=21)
        assert 0.95 < sum(found.shares) <= 1


def test_a_landscape_says_what_it_draws():
    one = landscape(PAPER, "distance", size=11)
    assert one.values.shape == (11, 11)
    assert one.title == "distance energy, beta 1, plane: 3 minima for 3 patterns"
    wide = landscape(torch.randn(5, 8, dtype=torch.float64), "outeff", size=5)
    assert "first two principal components" in wide.title
    for patterns in (PAPER[:1], PAPER[:, :1], torch.zeros(3)):
        with pytest.raises(ValueError, match="at least two of width 2"):
            landscape(patterns, "distance")
    with pytest.raises(ValueError, match="unknown energy"):
        landscape(PAPER, "heat")


@given(seed=st.integers(0, 2**16), stored=st.integers(2, 20), beta=st.floats(0.1, 50))
def test_no_error_exceeds_its_bound(seed, stored, beta):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(stored, 6, generator=generator, dtype=torch.float64)
    wanted = torch.arange(stored)
    queries = patterns + 0.3 * torch.randn(stored, 6, generator=generator, dtype=torch.float64)
    for name, no_op in (("dense", False), ("OutEffHop", True)):
        error = (complete(queries, patterns, name, beta=beta) - patterns).norm(dim=1)
        bound = retrieval_bound(queries, patterns, wanted, beta=beta, no_op=no_op)
        assert (error <= bound * (1 + 1e-9) + 1e-12).all()


def test_the_polynomial_memory_is_that_of_order_10():
    scores = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]], dtype=torch.float64)
    wanted = scores[0] ** 10 / (scores[0] ** 10).sum()
    torch.testing.assert_close(polynomial(scores)[0], wanted)
    assert (polynomial(scores)[1] == 0).all()
    huge = polynomial(1e30 * scores.float())
    torch.testing.assert_close(huge[0], wanted.float())


@pytest.mark.parametrize("name", ["digits", "photo-patches"])
def test_patterns_are_different_and_standardised(name):
    patterns = load_patterns(name)
    assert len(patterns) > 1500
    torch.testing.assert_close(patterns.mean(1), torch.zeros(len(patterns)), atol=1e-6, rtol=0)
    torch.testing.assert_close(patterns.norm(dim=1), torch.ones(len(patterns)))
    assert len(patterns.unique(dim=0)) == len(patterns)
    assert torch.equal(load_patterns(name), patterns)


def test_capacity_falls_with_what_is_stored_and_goes_on_after_a_stop(tmp_path):
    path = tmp_path / "capacity.json"
    run_experiment("capacity", EASY, [10], results=path)
    said = []
    content = run_experiment("capacity", EASY, [10, 1000], results=path, say=said.append)
    assert said == ["capacity 1000"]
    whole = run_experiment("capacity", EASY, [10, 1000])
    assert whole["cells"] == content["cells"]
    table = memory_table(content)
    for memory in MEMORIES:
        assert table.loc[(10, memory), "retrieved"] >= table.loc[(1000, memory), "retrieved"]
    assert table.loc[(10, "dense"), "retrieved"] > 0.9
    assert table.loc[(10, "dense"), "median_distance"] <= table.loc[(10, "dense"), "median_bound"]
    assert "sparse" in table.index.get_level_values("memory")
    assert "at 1000 stored patterns" in claim(content)
    with pytest.raises(ArtefactError, match="holds results of other options"):
        run_experiment("noise", EASY, [0.0], results=path)


def test_noise_does_harm():
    content = run_experiment("noise", EASY, [0.0, 8.0], stored=50)
    table = memory_table(content)
    for memory in MEMORIES:
        assert table.loc[(0.0, memory), "error"] < table.loc[(8.0, memory), "error"]
    assert "times the norm as noise" in claim(content)


def test_a_cold_memory_retrieves_and_a_warm_one_means():
    content = run_experiment("temperature", EASY, [1.0, 500.0], stored=100)
    table = memory_table(content)
    for memory in ("dense", "OutEffHop"):
        assert table.loc[(1.0, memory), "retrieved"] < 0.1
        assert table.loc[(500.0, memory), "retrieved"] > 0.5
    same = run_experiment("capacity", replace(EASY, beta=500.0), [100])
    kept = memory_table(same).loc[100]
    pd.testing.assert_frame_equal(kept, table.loc[500.0])
    shown = present(content)
    assert "beta" not in shown.title
    assert shown.command == "stanhop theory temperature --data digits --steps 1 --stored 100"
    assert "at beta 500" in shown.verdict


def test_to_convergence_is_not_one_step():
    one = run_experiment("capacity", EASY, [300])
    many = run_experiment("capacity", MemoryExperiment(data="digits", repeats=3, steps=30), [300])
    before, after = (memory_table(c).loc[(300, "dense"), "error"] for c in (one, many))
    assert before != pytest.approx(after, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "experiment", "values", "stored", "message"),
    [
        ("capacity", EASY, [1], 100, "store between 2 and"),
        ("capacity", EASY, [5000], 100, "digits has 1,7.. different patterns"),
        ("noise", EASY, [-1.0], 100, "at least 0"),
        ("noise", EASY, [1.0], 1, "store between 2"),
        ("other", EASY, [1.0], 100, "kind must be"),
        ("temperature", EASY, [0.0], 100, "beta must be above 0"),
    ],
)
def test_experiments_that_cannot_be_are_said(kind, experiment, values, stored, message):
    with pytest.raises(ValueError, match=message):
        run_experiment(kind, experiment, values, stored=stored)


@pytest.mark.parametrize("options", [{"beta": 0}, {"steps": 0}, {"repeats": 0}])
def test_options_of_experiments_are_checked_when_they_are_made(options):
    (name,) = options
    with pytest.raises(OptionError, match=f"{name} must be"):
        MemoryExperiment(data="digits", **options)


def test_an_unknown_memory_is_said():
    with pytest.raises(ValueError, match="dense, sparse, entmax, polynomial, OutEffHop"):
        complete(PAPER, PAPER, "other", beta=1.0)


def test_commands(stanhop, tmp_path):
    page = tmp_path / "energy.html"
    code, out, _ = stanhop("theory", "energy", "--report", page)
    assert code == 0
    assert "distance energy, beta 1, plane: 3 minima for 3 patterns" in out
    assert "mchn energy, beta 1, plane: 2 minima" in out
    assert "Energies of 3 patterns" in page.read_text()
    assert stanhop("theory", "energy", "--report", page)[0] == 2
    minima = json.loads(stanhop("theory", "energy", "--json")[1])["minima"]
    assert [len(found) for found in minima.values()] == [3, 2, 2]
    results, page = tmp_path / "noise.json", tmp_path / "noise.html"
    code, out, _ = stanhop("theory", "noise", "--stored", 20, "-o", results, "--report", page)
    assert code == 0
    assert '"OutEffHop beats its baselines"' in out
    assert "share retrieved" in page.read_text()
    assert len(json.loads(results.read_text())["cells"]) == 4
    code, out, _ = stanhop("theory", "capacity", "--json")
    assert code == 0
    assert set(json.loads(out)["cells"]) == {"10", "30", "100", "300"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["energy", "--patterns", "a,b"], 2, "no list of patterns"),
        (["energy", "--patterns", "1,2 3"], 2, "different widths"),
        (["energy", "--patterns", "1,2"], 2, "at least two of width 2"),
        (["energy", "--patterns", "1,nan 2,3"], 2, "not finite"),
        (["capacity", "--data", "nowhere"], 3, "no such folder"),
        (["noise", "--stored", "100000"], 2, "different patterns"),
    ],
)
def test_what_cannot_be_is_one_line(stanhop, words, code, message):
    found, out, err = stanhop("theory", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
