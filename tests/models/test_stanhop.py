"""Laws of STanHop-Net."""

import subprocess
import sys

import pytest
import torch

from stanhop_app.layers import ASSOCIATIONS, MemoryLayer
from stanhop_app.layers.hopfield import Gate
from stanhop_app.models.stanhop import CoarseGrain, DeepPart, STanHopConfig, STanHopNet


def config(**options):
    small = {
        "num_variates": 3,
        "horizon": 10,
        "lookback": 26,
        "patch_length": 6,
        "dim": 8,
        "num_heads": 2,
        "hidden_dim": 8,
        "num_prototypes": 2,
    }
    return STanHopConfig(**{**small, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coarse_graining": 1, "num_layers": 3},
        {"horizon": 1, "num_layers": 1},
        {"lookback": 6, "num_layers": 3},
        {"num_variates": 1, "instance_norm": False},
        {"clip": (-0.03, 1.0), "gate": "linear"},
        {"linear_skip": False},
        {"feed_forward": "memory", "projection": "memory", "bits": 3},
    ],
)
def test_windows_become_forecasts_of_the_horizon(options):
    c = config(**options)
    net = STanHopNet(c)
    assert net(torch.randn(4, c.lookback, c.num_variates)).shape == (4, c.horizon, c.num_variates)


@pytest.mark.parametrize("association", ASSOCIATIONS)
@pytest.mark.parametrize("gate", [None, "linear", "mlp", "all_heads"])
def test_every_parameter_of_the_deep_part_gets_a_gradient(association, gate):
    net = DeepPart(config(association=association, gate=gate, dropout=0.0))
    x = torch.randn(16, 26, 3)
    (net(x) * torch.randn(16, 10, 3)).sum().backward()
    without = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


@pytest.mark.parametrize(
    "options",
    [{"feed_forward": "memory"}, {"projection": "memory"}, {"feed_forward": "memory", "bits": 1}],
)
def test_every_parameter_of_memory_layers_in_the_network_gets_a_gradient(options):
    net = DeepPart(config(dropout=0.0, **options))
    layers = [module for module in net.modules() if isinstance(module, MemoryLayer)]
    assert len(layers) == (2 * (2 * 2 + 3) if "feed_forward" in options else 3 * (2 * 3 + 3))
    (net(torch.randn(64, 26, 3)) * torch.randn(64, 10, 3)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_an_unknown_feed_forward_is_named_with_the_list():
    with pytest.raises(ValueError, match="feed_forward must be one of dense, memory, got 'fast'"):
        DeepPart(config(feed_forward="fast"))


@pytest.mark.parametrize("kind", ["linear", "mlp", "all_heads"])
def test_gates_in_the_network_start_open_by_gate_init(kind):
    net = DeepPart(config(gate=kind, gate_init=0.25))
    gates = [module for module in net.modules() if isinstance(module, Gate)]
    assert len(gates) == 2 * 3 + 3
    for gate in gates:
        torch.testing.assert_close(gate(torch.zeros(1, 2, 8)), torch.full((1, 2, 2, 1), 0.25))


def test_the_forecast_follows_level_and_scale_of_the_window():
    """Reversible instance normalisation: f(a x + b) = a f(x) + b for a > 0."""
    net = DeepPart(config()).eval().double()
    x = torch.randn(2, 26, 3, dtype=torch.float64)
    shift = torch.tensor([5.0, -40.0, 0.1], dtype=torch.float64)
    torch.testing.assert_close(net(30 * x + shift), 30 * net(x) + shift, rtol=1e-4, atol=1e-3)


def test_a_constant_window_gives_a_finite_forecast_near_its_level():
    net = DeepPart(config()).eval()
    out = net(torch.full((1, 26, 3), 7.0))
    torch.testing.assert_close(out, torch.full_like(out, 7.0), rtol=0, atol=0.1)


def test_samples_of_a_batch_do_not_see_each_other():
    net = STanHopNet(config()).eval()
    x = torch.randn(5, 26, 3)
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("deep_lookback", [26, 17, 99])
def test_the_deep_part_reads_its_lookback_to_the_first_step_and_no_further(deep_lookback):
    net = DeepPart(config(deep_lookback=deep_lookback)).eval()
    x = torch.randn(1, 26, 3, requires_grad=True)
    net(x).sum().backward()
    read = (x.grad.abs().sum(-1) > 0)[0]
    assert read.tolist() == [step >= 26 - deep_lookback for step in range(26)]


def test_the_whole_is_the_convex_combination_of_its_parts():
    net = STanHopNet(config()).eval()
    net.linear.weight = torch.randn(3, 26, 10)
    net.mixture = torch.rand(10, 3)
    x = torch.randn(4, 26, 3)
    deep, linear, w = net.deep(x), net.linear(x), net.mixture
    torch.testing.assert_close(net(x), w * deep + (1 - w) * linear)
    net.mixture = torch.ones(10, 3)
    torch.testing.assert_close(net(x), deep)


def test_the_linear_part_maps_changes_from_the_last_value():
    net = STanHopNet(config()).eval()
    net.linear.weight = torch.randn(3, 26, 10)
    x = torch.randn(4, 26, 3)
    last = x[:, -1:]
    differences = torch.einsum("btc,ctl->blc", (x - last)[:, :-1], net.linear.weight[:, :-1])
    wanted = last + differences + torch.einsum("bc,cl->blc", x[:, -1], net.linear.weight[:, -1])
    torch.testing.assert_close(net.linear(x), wanted, rtol=1e-4, atol=1e-4)
    net.linear.weight[:, -1] = 0
    moved = net.linear(x + 3)
    torch.testing.assert_close(moved, net.linear(x) + 3, rtol=1e-4, atol=1e-4)


def test_every_level_is_read():
    """The forecast is the sum over the embedding and all encoder levels."""
    net = DeepPart(config(num_layers=3)).eval()
    assert len(net.readers) == len(net.heads) == 4
    x = torch.randn(1, 26, 3)
    before = net(x)
    for head in net.heads:
        kept = head[1].weight.detach().clone()
        with torch.no_grad():
            head[1].weight.zero_()
        assert not torch.allclose(net(x), before)
        with torch.no_grad():
            head[1].weight.copy_(kept)


def test_coarse_graining_keeps_the_last_patch_last():
    coarse = CoarseGrain(4, 2)
    x = torch.randn(1, 2, 5, 4)
    padded = torch.cat([x[:, :, :1], x], dim=2)
    torch.testing.assert_close(coarse(x), coarse(padded))
    changed = x.clone()
    changed[:, :, 3:] += torch.randn(1, 2, 2, 4)
    torch.testing.assert_close(coarse(x)[:, :, :2], coarse(changed)[:, :, :2])
    assert not torch.allclose(coarse(x)[:, :, 2], coarse(changed)[:, :, 2])


def test_a_seed_fixes_weights_to_the_bit():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(STanHopNet(config()).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert all(tensor.isfinite().all() for tensor in states[0].values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "memory"])
def test_the_network_can_be_exported(kind):
    net = STanHopNet(config(feed_forward=kind, projection=kind)).eval()
    x = torch.randn(2, 26, 3)
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x), net(x))


def test_the_papers_size_is_reachable():
    """OutEffHop's STanHop: width 256, feed-forward 512, 11 layers, segments of 6 from 168 to 24.

    Theirs has 35 million parameters: its decoder repeats the encoder's block in every layer.
    """
    paper = STanHopConfig(
        num_variates=7, lookback=168, patch_length=6, dim=256, hidden_dim=512, num_layers=11
    )
    with torch.device("meta"):
        net = DeepPart(paper)
    assert sum(p.numel() for p in net.parameters()) > 20e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon must be in 1..100000, got 0"),
        ({"bits": 0}, "bits must be in 1..16"),
        ({"bits": 14, "expand_bits": 3}, "got bits=14, expand_bits=3"),
        ({"projection": "hash"}, "projection must be one of dense, memory, got 'hash'"),
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"lookback": 5}, "lookback must hold at least one patch, got lookback=5, deep"),
    ],
)
def test_bad_configurations_say_what_was_required(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


WITHOUT_WEIGHTS = """
import sys, torch
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.suite.config import MODELS, make_network
from stanhop_app.training.checkpoint import without_weights
size = {"num_variates": 3}
more = ({}, {"association": "entmax", "learn_beta": True}, {"clip": (-0.1, 1.0), "learn_n": True},
        {"gate": "linear"}, {"gate": "mlp"}, {"gate": "all_heads"},
        {"feed_forward": "memory", "projection": "memory"})
with without_weights():
    made = [STanHopNet(STanHopConfig(**size, **options)) for options in more]
    made += [make_network(name, config()) for name, config in MODELS.items()]
assert all(p.is_meta for network in made for p in network.parameters())
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def test_networks_without_weights_are_made_without_torchs_compiler():
    """They are what opening a run makes, in every command; its imports took half a second and more."""
    words = [sys.executable, "-c", WITHOUT_WEIGHTS]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
