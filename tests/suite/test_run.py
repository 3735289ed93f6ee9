"""Runs of the suite and their comparison: folders, kills, tables, figures, commands."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from stanhop_app.cli.group import run

from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.layers.names import MODULE_SETS
from stanhop_app.models.variants import PAIRS, parse_variant
from stanhop_app.quantization import quantize
from stanhop_app.studies import suite as comparison
from stanhop_app.studies.cells import keep
from stanhop_app.studies.report import failed_table
from stanhop_app.studies.suite import BITS, compare_suite, describe
from stanhop_app.studies.suite_report import (
    HEADLINE,
    PAPER,
    module_norms,
    pair_table,
    readable_suite_table,
    suite_figures,
    suite_frame,
    suite_table,
    suite_tables,
)
from stanhop_app.suite.config import SuiteConfig
from stanhop_app.suite.context import context_scores
from stanhop_app.suite.run import load_data, load_run, run_corpus, run_task, save_run, train_run
from stanhop_app.suite.scores import measure, score_bits, score_model
from stanhop_app.suite.tasks import make_task
from stanhop_app.training.checkpoint import load_tensors

pytestmark = pytest.mark.slow

SIZE = {"dim": 16, "num_heads": 2, "num_layers": 2, "hidden_dim": 16}
CONFIGS = {
    "bert": SuiteConfig(model="bert", length=16, vocab_size=280, max_steps=4, network=SIZE),
    "opt": SuiteConfig(model="opt", data="backcopy", length=8, max_steps=4, network=SIZE),
    "vit": SuiteConfig(model="vit", max_steps=4, network=SIZE),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run of every model."""
    root = tmp_path_factory.mktemp("suite")
    for name, config in CONFIGS.items():
        save_run(train_run(config, load_data(config)), root / name)
    return root


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Results of two models."""
    path = tmp_path_factory.mktemp("compared") / "suite.json"
    more = ["softmax+gate", "softmax1+gate+memory"]
    for name, variants in (
        ("opt", ["softmax", "softmax1"]),
        ("vit", ["softmax", "softmax1", *more]),
    ):
        content = compare_suite(CONFIGS[name], variants=variants, seeds=[0, 1], results=path)
    return path, content


@pytest.fixture(params=CONFIGS)
def model(request):
    return request.param


def test_a_run_is_read_as_it_was_written_and_says_what_it_scored(runs, model):
    run = load_run(runs / model)
    assert run.config == CONFIGS[model]
    assert (run.tokenizer is None) == (model != "bert")
    task = run_task(run)
    told = {**score_model(run.network, task), **context_scores(run_corpus(run), task)}
    assert told == pytest.approx(run.metrics)
    if model != "vit":
        assert run.metrics["perplexity"] == pytest.approx(np.exp(run.metrics["loss"]))
    names = {p.name.split("-")[0] + p.suffix for p in (runs / model).iterdir()}
    assert names <= {"config.json.json", "model.safetensors", "tokenizer.json"}
    found = measure(run.network, task)
    assert set(found["outliers"]) == set(MODULE_SETS)
    assert 0 <= found["no_op"] < 1
    assert score_bits(run.network, task, "W16A16")["loss"] == pytest.approx(
        run.metrics["loss"], rel=1e-3
    )
    assert list(run.steps["step"]) == [0, 1, 2, 3, 4]


def test_a_seed_fixes_a_run_to_the_bit(model):
    corpus = load_data(CONFIGS[model])
    one, two = (train_run(CONFIGS[model], corpus).network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_heads_stay_in_float_where_their_weights_are_the_embedding_s(runs):
    run = load_run(runs / "bert")
    task = run_task(run)
    low = quantize(run.network, task.batches("train", 8))
    assert torch.equal(low.tokens.weight, run.network.tokens.weight)
    assert torch.equal(low.head.transform.weight, run.network.head.transform.weight)
    assert not torch.equal(low.blocks[0].feed.up.weight, run.network.blocks[0].feed.up.weight)
    rows = low.tokens(torch.arange(50))
    assert not torch.equal(rows, run.network.tokens(torch.arange(50)))


def test_a_damaged_run_is_one_line(runs, tmp_path, forge):
    import shutil

    with pytest.raises(ArtefactError, match="not a run of the suite"):
        load_run(tmp_path)
    folder = tmp_path / "run"
    shutil.copytree(runs / "vit", folder)
    content = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"format": "other"}, "not of a run of the suite"),
        ({"format_version": 99}, "format version 99"),
        ({"weights_sha256": 64 * "0"}, "model-0{12}.safetensors: cannot be read .No such file"),
        ({"weights_sha256": "0"}, "damaged .weights_sha256: String should match"),
        ({"suite": {"model": "vit", "network": {"width": 3}}}, "damaged"),
        ({"suite": {}}, "damaged"),
        ({"tokenizer_sha256": 64 * "0"}, "tokenizer-0{12}.json: cannot be read .No such file"),
    ):
        forge(folder, **{**content, **change})
        with pytest.raises(ArtefactError, match=message):
            load_run(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ArtefactError, match="damaged"):
        load_run(folder)


def test_other_data_have_no_known_test_part(runs, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("other words than those of the training " * 300)
    with pytest.raises(DataError, match="not what the run was trained on"):
        run_task(load_run(runs / "bert"), str(path))


def test_options_that_cannot_be_are_said():
    with pytest.raises(ValueError, match="model must be one of bert, opt, vit"):
        SuiteConfig(model="gpt")
    with pytest.raises(ValueError, match="unknown option 'patch_size' in network"):
        SuiteConfig(model="opt", network={"patch_size": 2})
    with pytest.raises(ValueError, match="max_steps must be"):
        SuiteConfig(model="opt", max_steps=0)
    with pytest.raises(ValueError, match="length must be at least 4"):
        SuiteConfig(model="opt", length=3)
    with pytest.raises(ValueError, match="vocab_size must be at least 261"):
        SuiteConfig(model="opt", vocab_size=100)
    assert SuiteConfig(model="vit").data == "digits"
    assert SuiteConfig(model="opt").data == "python-docs"


WORDS = [w for name, v in SIZE.items() for w in (f"--{name.replace('_', '-')}", str(v))]


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path, stored):
    """Kill -9 after the first checkpoint."""
    command = [sys.executable, "-m", "stanhop_app.cli", "suite", "train", "vit", *WORDS]
    command += ["--max-steps", "150", "--batch-size", "64", "--quiet"]
    killed = subprocess.Popen(
        [*command, "-o", str(tmp_path / "a")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    for _ in range(1200):
        if (tmp_path / "a" / "checkpoint.safetensors").exists():
            break
        assert killed.poll() is None
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "a" / "config.json").exists()
    for name, more in (("a", ["--resume"]), ("b", [])):
        assert run([*command[3:], "-o", str(tmp_path / name), *more]) == 0
    one, two = (load_tensors(stored(tmp_path / n, "model.safetensors"))[0] for n in ("a", "b"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_every_cell_says_all(compared):
    content = compared[1]
    assert len(content["cells"]) == 12
    for cell in content["cells"].values():
        assert set(cell["bits"]) == set(BITS)
        assert set(cell["outliers"]) == set(MODULE_SETS)
        assert cell["multiply_adds"] > 0
        assert cell["steps"]["step"][-1] == 4
    assert not compared[0].with_name("suite.json.cells").exists()
    assert "opt on backcopy: dim 16" in describe(content, "opt")


def test_a_file_from_before_an_option_takes_its_default(compared, tmp_path):
    _, content = compared
    models = {
        name: {k: v for k, v in common.items() if k not in ("schedule", "beta2")}
        for name, common in content["models"].items()
    }
    older = {**content, "models": models}
    kept = tmp_path / "older.json"
    keep(older, kept)
    config = CONFIGS["opt"]
    again = compare_suite(config, variants=["softmax"], seeds=[0], results=kept)
    assert again["cells"] == content["cells"]
    other = replace(config, schedule="constant")
    with pytest.raises(ArtefactError, match="made with schedule=one-cycle, asked is constant"):
        compare_suite(other, variants=["softmax"], seeds=[0], results=kept)


def test_cells_that_are_there_are_not_trained_again(compared, monkeypatch):
    path, content = compared
    before = path.read_bytes()

    def never(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(comparison, "train_run", never)
    again = compare_suite(
        CONFIGS["opt"], variants=["softmax", "softmax1"], seeds=[0, 1], results=path
    )
    assert again == content
    assert path.read_bytes() == before
    other = SuiteConfig(model="opt", data="backcopy", length=8, max_steps=5, network=SIZE)
    with pytest.raises(ArtefactError, match="max_steps=4, asked is 5"):
        compare_suite(other, variants=["softmax"], seeds=[0], results=path)
    # What an option was that there was not yet is its default.
    said = replace(CONFIGS["opt"], network={**CONFIGS["opt"].network, "modern": False, "n": 1.0})
    grid = {"variants": ["softmax", "softmax1"], "seeds": [0, 1], "results": path}
    assert compare_suite(said, **grid) == content
    said = replace(said, network={**said.network, "modern": True})
    with pytest.raises(ArtefactError, match="modern=None, asked is True"):
        compare_suite(said, **grid)
    with pytest.raises(ValueError, match="unknown word 'clipped'"):
        compare_suite(CONFIGS["opt"], variants=["softmax+clipped"], seeds=[0], results=path)


def test_a_file_of_forecasters_is_not_filled(tmp_path):
    path = tmp_path / "variants.json"
    path.write_text(json.dumps({"format": 1, "cells": {"a": {"variant": "softmax"}}}))
    with pytest.raises(ArtefactError, match="holds results of other options"):
        compare_suite(CONFIGS["vit"], variants=["softmax"], seeds=[0], results=path)


def test_two_comparisons_fill_one_file(tmp_path, monkeypatch):
    """What another process writes in the meantime is kept."""
    path, fit = tmp_path / "suite.json", comparison.train_run

    def meanwhile(config, *args, **options):
        monkeypatch.setattr(comparison, "train_run", fit)
        compare_suite(CONFIGS["opt"], variants=["softmax"], seeds=[0], results=path)
        return fit(config, *args, **options)

    monkeypatch.setattr(comparison, "train_run", meanwhile)
    compare_suite(CONFIGS["vit"], variants=["softmax"], seeds=[0], results=path)
    content = json.loads(path.read_text())
    assert set(content["cells"]) == {"opt, softmax, seed 0", "vit, softmax, seed 0"}
    assert set(content["models"]) == {"opt", "vit"}


def test_variants_do_not_take_over_what_the_base_has():
    base = SuiteConfig(model="vit", network={**SIZE, "gate": "linear", "clip": (-0.1, 1.0)})
    options = parse_variant("softmax", clip=(-0.03, 1.0), gate="mlp")
    network = comparison._with(base, options, 1).network
    assert (network["gate"], network["clip"], network["association"]) == (None, None, "softmax")


def test_multiply_adds_count_heads_and_patches():
    for name, wanted in (
        ("opt", 8 * (2 * (4 * 16 * 16 + 2 * 16 * 16) + 16 * 69)),
        ("vit", 17 * 2 * (4 * 16 * 16 + 2 * 16 * 16) + 16 * 4 * 16 + 16 * 10),
    ):
        corpus = load_data(CONFIGS[name])
        network = CONFIGS[name].make_network(corpus)
        assert comparison.multiply_adds(network, corpus.inputs["test"][:1]) == wanted


def test_the_weights_compared_are_those_of_the_last_step(runs):
    """Outliers grow with training: weights that were best on validation would be of different steps."""
    assert CONFIGS["opt"].make_training(100).keep == "last"


def test_a_comparison_that_was_killed_trains_nothing_twice(tmp_path, compared, monkeypatch):
    path, seen = tmp_path / "suite.json", []
    fit = comparison.train_run

    def once(config, *args, **options):
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(config.network["association"])
        return fit(config, *args, **options)

    options = {"variants": ["softmax", "softmax1"], "seeds": [0], "results": path}
    monkeypatch.setattr(comparison, "train_run", once)
    with pytest.raises(KeyboardInterrupt):
        compare_suite(CONFIGS["vit"], **options)
    monkeypatch.setattr(comparison, "train_run", fit)
    said = []
    content = compare_suite(CONFIGS["vit"], **options, say=said.append)
    assert said == ["vit, softmax1, seed 0"]
    for name in ("softmax", "softmax1"):
        mine, other = (
            {k: v for k, v in c["cells"][f"vit, {name}, seed 0"].items() if "second" not in k}
            for c in (content, compared[1])
        )
        assert mine == other


def test_tables_are_means_over_seeds_and_modules(compared):
    content = compared[1]
    table = suite_table(content)
    assert list(table.index[:2]) == [("opt", "softmax"), ("opt", "softmax1")]
    cells = [content["cells"][f"opt, softmax, seed {seed}"] for seed in (0, 1)]
    wanted = np.mean([cell["metrics"]["perplexity"] for cell in cells])
    assert table.loc[("opt", "softmax"), "score"] == pytest.approx(wanted)
    cell = content["cells"]["vit, softmax, seed 0"]
    row = suite_frame(content).set_index(["model", "variant", "seed"]).loc[("vit", "softmax", 0)]
    assert row["score"] == pytest.approx(100 * cell["metrics"]["accuracy"])
    shared = set.intersection(
        *(set(c["modules"]) for c in content["cells"].values() if c["model"] == "vit")
    )
    assert not any("gate" in name for name in shared)
    kurtosis = np.mean([cell["modules"][name][0] for name in shared])
    assert row["kurtosis"] == pytest.approx(kurtosis)
    text = readable_suite_table(content)
    assert "±" in text["kurtosis"].iloc[0]
    assert text["the paper"].iloc[0].startswith("23,341.51 / 92.79")
    layers = suite_table(content, "layer-outputs")
    assert not np.allclose(layers["kurtosis"], table["kurtosis"])
    assert failed_table(content).empty


def test_pairs_are_compared_as_the_paper_s_headline_is(compared):
    pairs = pair_table(compared[1])
    assert list(pairs.index) == [("opt", "softmax"), ("vit", "softmax"), ("mean", "")]
    table = suite_table(compared[1])
    wanted = (
        table.loc[("vit", "softmax1"), "kurtosis"] / table.loc[("vit", "softmax"), "kurtosis"] - 1
    )
    assert pairs.loc[("vit", "softmax"), "kurtosis"] == pytest.approx(wanted)
    assert pairs.loc[("mean", ""), "kurtosis"] == pytest.approx(pairs["kurtosis"][:2].mean())
    assert np.isnan(pairs.loc[("mean", ""), "score"])
    assert pairs.loc[("vit", "softmax"), "the paper's kurtosis"] == pytest.approx(
        31.601 / 37.104 - 1
    )
    heading, *_ = suite_tables(compared[1])
    shared = set.intersection(
        *(set(c["modules"]) for c in compared[1]["cells"].values() if c["model"] == "vit")
    )
    assert f"{len(shared)} of vit" in heading
    assert "clip (-0.0625, 1), gate linear" in heading  # of the 8 tokens of opt
    assert "clip (-0.0294118, 1), gate linear" in heading  # of the 17 of vit


def test_the_headline_is_the_mean_of_the_paper_s_table():
    """Twelve reductions: four models, three pairs; STanHop's rows besides the suite's."""
    table = {
        **{key: row[:2] for key, row in PAPER.items()},
        ("stanhop", "softmax"): (2.954, 5.048),
        ("stanhop", "softmax1"): (2.897, 4.565),
        ("stanhop", "softmax+clip"): (2.995, 4.890),
        ("stanhop", "softmax1+clip"): (2.864, 4.145),
        ("stanhop", "softmax+gate"): (2.487, 4.277),
        ("stanhop", "softmax1+gate"): (2.459, 4.240),
    }
    less = [
        1 - np.array(table[model, after]) / np.array(table[model, before])
        for model in ("bert", "opt", "vit", "stanhop")
        for before, after in PAIRS
    ]
    np.testing.assert_allclose(np.mean(less, axis=0), list(HEADLINE.values()), atol=1e-4)


def test_figures_show_every_variant(compared):
    figures = suite_figures(compared[1])
    assert len(figures) == 4 + 2 * 3
    assert {trace.name for trace in figures[4].data} == {"softmax", "softmax1"}
    assert "opt on backcopy" in figures[4].layout.title.text
    norms = module_norms(compared[1], "vit", "layer")
    assert list(norms.index) == ["blocks.0", "blocks.1"]
    parts = module_norms(compared[1], "vit", "component")
    assert "blocks.1.retrieve" in parts.index
    assert np.isnan(parts.loc["blocks.1.feed.up", "softmax1+gate+memory"])


def test_commands_train_evaluate_and_compare(stanhop, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("the quick brown fox jumps over the lazy dog and runs\n" * 400)
    small = [*WORDS, "--length", "16", "--vocab-size", "270", "--max-steps", "3", "--quiet"]
    run = tmp_path / "run"
    code, out, err = stanhop("suite", "train", "bert", "--data", text, *small, "-o", run)
    assert code == 0, err
    assert "perplexity" in out
    assert f"Next: stanhop suite evaluate {run}" in err
    code, out, err = stanhop("suite", "train", "bert", "--data", text, *small, "-o", run)
    assert (code, out) == (2, "")
    assert "holds a finished run" in err
    again = ["suite", "train", "bert", "--data", text, *small, "-o", run, "--resume"]
    code, out, err = stanhop(*again)
    assert (code, out) == (0, "")
    assert "is finished already" in err
    code, _, err = stanhop(*again, "--seed", 1)
    assert code == 2
    assert "of other options (seed was 0, is 1)" in err
    code, out, err = stanhop("suite", "evaluate", run, "--bits", "W8A8")
    assert code == 2
    assert "say where the data of the run lie" in err
    code, out, err = stanhop("suite", "evaluate", run, "--bits", "W8A8", "--data", text)
    assert code == 0, err
    assert out.startswith("float   loss")
    assert "over the modules ffn+norm" in out
    code, out, err = stanhop("suite", "evaluate", run, "--bits", "W8A8", "--data", text, "--json")
    assert json.loads(out)["scores"]["W8A8"]["loss"] > 0
    results, page = tmp_path / "suite.json", tmp_path / "suite.html"
    words = ["suite", "compare", "vit", *WORDS, "--max-steps", "2", "--seeds", "0", "-o", results]
    words += ["--variants", "softmax,softmax1", "--report", page, "--quiet"]
    code, out, err = stanhop(*words)
    assert code == 0, err
    assert "37.10 / 272.20" in out
    assert "What softmax1 changes" in out
    assert "<h1>The suite</h1>" in page.read_text()
    assert stanhop(*words)[0] == 2  # the page is not overwritten
    assert json.loads(stanhop(*words, "--force", "--json")[1])["cells"].keys()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "opt", "--data", "none.txt"], 3, "no such text file"),
        (["train", "opt", "--length", "100000"], 3, "choose a smaller --length"),
        (["train", "vit", "--patch-size", "3"], 2, "patch_size must divide"),
        (["train", "opt", "--patch-size", "3"], 2, "unknown option 'patch_size' in network"),
        (["train", "opt", "--num-heads", "5"], 2, "num_heads must divide dim"),
        (["train", "opt", "--association", "soft"], 2, "'soft' is not one of"),
        (["train", "gpt"], 2, "'gpt' is not one of"),
        (["evaluate", "nowhere"], 4, "not a run of the suite"),
        (["compare", "opt", "-o", "no/such/folder.json"], 2, "does not exist"),
    ],
)
def test_what_cannot_be_is_one_line(stanhop, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = stanhop("suite", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert not [p for p in tmp_path.iterdir() if p.name != "runs"]


def test_defaults_of_the_flags_are_those_of_the_configuration():
    from stanhop_app.cli.suite import NETWORK, train

    flags = {option.name: option.default for option in train.params}
    config = SuiteConfig(model="opt")
    for name in ("length", "vocab_size", "max_steps", "batch_size", "learning_rate"):
        assert flags[name] == getattr(config, name), name
    assert (flags["weight_decay"], flags["decay_gains"]) == (0.1, True)
    network = CONFIGS["opt"].make_network(load_data(CONFIGS["opt"])).config
    fresh = type(network)()
    for name in (*NETWORK, "association", "gate_init", "feed_forward", "projection", "bits"):
        assert flags[name] == getattr(fresh, name), name


def test_memorisation_of_a_run_is_reported(runs, model, stanhop, tmp_path):
    page = tmp_path / "page.html"
    words = ["theory", "memorization", runs / model, "--most", "40", "--report", page]
    code, out, err = stanhop(*words)
    assert code == 0, err
    assert "AUC of losses" in out
    assert "Distances to the nearest training sample" in page.read_text()
    run = load_run(runs / model)
    task = run_task(run)
    x, losses, numbers = task.samples(run.network, "test", 10)
    assert len(x) == len(losses) == len(numbers) == 10
    if model == "vit":
        wanted = torch.nn.functional.cross_entropy(run.network(x), task.labels["test"][numbers])
        torch.testing.assert_close(losses.mean(), wanted)


def test_a_task_is_scored_in_batches_as_at_once(runs):
    run = load_run(runs / "vit")
    task = make_task("vit", load_data(run.config))
    logits = run.network(task.inputs["test"])
    right = (logits.argmax(-1) == task.labels["test"]).float().mean().item()
    assert run.metrics["accuracy"] == pytest.approx(right)
