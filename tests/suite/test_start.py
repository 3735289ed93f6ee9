"""Trainings that start from the weights of another run."""

import json
from dataclasses import replace

import pytest
import torch

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.layers.hopfield import Hopfield
from stanhop_app.layers.names import GATES
from stanhop_app.studies.suite import command_lines, compare_suite
from stanhop_app.suite.config import SuiteConfig
from stanhop_app.suite.run import load_data, train_run
from stanhop_app.suite.start import carry_over, continued

SIZE = {"dim": 16, "num_heads": 2, "num_layers": 1, "hidden_dim": 16, "association": "softmax"}
CONFIG = SuiteConfig(model="opt", data="backcopy", length=8, max_steps=2, network=SIZE)


@pytest.fixture(scope="module")
def corpus():
    return load_data(CONFIG)


@pytest.fixture(scope="module")
def vanilla(corpus):
    return train_run(CONFIG, corpus)


def outputs(network, corpus):
    with torch.no_grad():
        return network.eval()(torch.as_tensor(corpus.inputs["test"][:4])[:, :-1])


def started(vanilla, corpus, **told):
    """The network that a training from the run starts with."""
    network = continued(vanilla.config, told, "0" * 64).make_network(corpus)
    carry_over(vanilla.network.state_dict(), network)
    return network


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"learn_beta": True},
        {"association": "softmax1", "n": 0.0},
        *({"gate": gate, "gate_init": share} for gate in GATES for share in (0.5, 0.25)),
    ],
    ids=str,
)
def test_what_is_added_starts_as_what_was_there(vanilla, corpus, told):
    """A gate's first weights of deviation 0.01 move it a little, as the reference's do."""
    wanted = outputs(vanilla.network, corpus)
    got = outputs(started(vanilla, corpus, **told), corpus)
    close = 3e-2 if "gate" in told else 1e-5
    torch.testing.assert_close(got, wanted, rtol=close, atol=close * float(wanted.std()))


def test_a_gate_without_weights_starts_exactly_open(vanilla, corpus):
    network = started(vanilla, corpus, gate="linear", gate_init=0.25)
    for layer in network.modules():
        if isinstance(layer, Hopfield):
            torch.nn.init.zeros_(layer.gate.weight)
    torch.testing.assert_close(outputs(network, corpus), outputs(vanilla.network, corpus))


def test_another_association_retrieves_otherwise_from_the_same_weights(vanilla, corpus):
    network = started(vanilla, corpus, association="softmax1")
    assert not torch.allclose(outputs(network, corpus), outputs(vanilla.network, corpus))
    for name, value in vanilla.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_shapes_of_the_run_stand(vanilla, corpus):
    assert continued(vanilla.config, {"vocab_size": 2048}, "a").vocab_size == 2048
    with pytest.raises(OptionError, match="vocab_size is 2048 in the run .* got 512"):
        continued(vanilla.config, {"vocab_size": 512}, "a")
    assert continued(vanilla.config, {"dim": 16}, "a").network["dim"] == 16
    with pytest.raises(OptionError, match="dim is 16 in the run .* got 32"):
        continued(vanilla.config, {"dim": 32}, "a")
    with pytest.raises(OptionError, match="length is 8 in the run"):
        continued(vanilla.config, {"length": 16}, "a")
    with pytest.raises(OptionError, match="model is opt in the run"):
        continued(vanilla.config, {"model": "vit"}, "a")
    wider = replace(CONFIG, network={**SIZE, "hidden_dim": 32}).make_network(corpus)
    with pytest.raises(OptionError, match=r"is \(16, 16\) in the run .* and would be \(32, 16\)"):
        carry_over(vanilla.network.state_dict(), wider)
    deeper = replace(CONFIG, network={**SIZE, "num_layers": 2}).make_network(corpus)
    with pytest.raises(OptionError, match="has no .*; leave out the options that differ"):
        carry_over(vanilla.network.state_dict(), deeper)


def test_a_gate_is_not_taken_away_in_silence(corpus):
    gated = replace(CONFIG, network={**SIZE, "gate": "linear"}).make_network(corpus)
    with pytest.raises(
        OptionError, match="gate.* of the run .* has no place.*; say --gate, of the"
    ):
        carry_over(gated.state_dict(), CONFIG.make_network(corpus))


def test_no_op_classes_of_the_run_do_not_stay_where_none_can_be(corpus):
    """Fixed ones are no weights; learned ones are, and are not dropped in silence."""
    many = replace(CONFIG, network={**SIZE, "association": "softmax1", "n": 16.0})
    assert continued(many, {}, "a").network["n"] == 16
    network = continued(many, {"association": "softmax"}, "a").make_network(corpus)
    carry_over(many.make_network(corpus).state_dict(), network)
    learned = replace(many, network={**many.network, "learn_n": True}).make_network(corpus)
    with pytest.raises(OptionError, match="log_n of the run .* say --learn-n"):
        carry_over(learned.state_dict(), network)


@pytest.mark.slow
def test_variants_of_a_comparison_take_over_nothing_that_they_do_not_name(corpus, tmp_path):
    many = replace(CONFIG, network={**SIZE, "association": "softmax1", "n": 16.0})
    run = train_run(many, corpus)
    config = continued(many, {"max_steps": 1}, "a")
    given = {"seeds": [0], "results": tmp_path / "a.json", "start": run}
    content = compare_suite(config, variants=["softmax1", "softmax1+n16", "softmax"], **given)
    plain, classes, vanilla = (cell["no_op"] for cell in content["cells"].values())
    assert classes > plain > vanilla == pytest.approx(0, abs=1e-6)
    with pytest.raises(OptionError, match=r"variant 'softmax\+memory': .* has no place"):
        compare_suite(config, variants=["softmax+memory"], **given)
    other = continued(many, {"max_steps": 1}, "b")
    with pytest.raises(ArtefactError, match="its cells of opt were made with start=a, asked is b"):
        compare_suite(other, variants=["softmax1"], **given)
    assert command_lines(content, "a.json") == [
        "stanhop suite compare opt --from RUN --data backcopy --max-steps 1 --clip -0.0625 1.0 "
        "--variants softmax1,softmax1+n16,softmax --seeds 0 --output a.json"
    ]


def test_memory_projections_have_nothing_to_scale_behind_a_gate(corpus):
    network = {**SIZE, "projection": "memory"}
    plain = replace(CONFIG, network=network).make_network(corpus)
    gated = replace(CONFIG, network={**network, "gate": "linear"}).make_network(corpus)
    with pytest.raises(OptionError, match="a gate can be added to dense projections only"):
        carry_over(plain.state_dict(), gated)


@pytest.mark.slow
def test_the_command_goes_on_from_a_run(stanhop, tmp_path):
    size = ["--length", "8", "--dim", "16", "--num-heads", "2", "--num-layers", "1"]
    words = ["--data", "backcopy", *size, "--association", "softmax", "--max-steps", "2"]
    old, new = tmp_path / "old", tmp_path / "new"
    assert stanhop("suite", "train", "opt", *words, "--quiet", "-o", old)[0] == 0
    more = ["--from", old, "--association", "softmax1", "--max-steps", "3", "--quiet"]
    code, out, err = stanhop("suite", "train", "opt", *more, "-o", new, "--json")
    assert code == 0, err
    kept = json.loads((new / "config.json").read_text())["suite"]
    before = json.loads((old / "config.json").read_text())
    assert kept["start"] == before["weights_sha256"]
    assert kept["network"] == {**before["suite"]["network"], "association": "softmax1"}
    assert (kept["max_steps"], kept["length"], kept["data"]) == (3, 8, "backcopy")
    assert json.loads(out)["loss"] > 0
    # The run that it started from belongs to what a finished run is asked for again.
    assert stanhop("suite", "train", "opt", *more, "-o", new, "--resume")[0] == 0
    code, _, err = stanhop("suite", "train", "opt", *more[2:], "-o", new, "--resume")
    assert code == 2
    assert "it started from the weights" in err
    assert "and not from random weights: --from" in err
    code, _, err = stanhop("suite", "train", "vit", *more, "-o", tmp_path / "other")
    assert (code, "model is opt in the run" in err) == (2, True)
    assert not (tmp_path / "other").exists()
    code, _, err = stanhop("suite", "train", "opt", "--from", tmp_path, "-o", tmp_path / "other")
    assert (code, "not a run of the suite" in err) == (4, True)
