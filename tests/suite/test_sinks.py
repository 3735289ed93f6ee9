"""What the first token is to a network, against weights and activations that are looked at by hand."""

import pytest
import torch

from stanhop_app.layers.observe import record_weights
from stanhop_app.models.config import BERTConfig, OPTConfig
from stanhop_app.suite.config import make_network
from stanhop_app.suite.sinks import measure_sinks

SIZES = {"vocab_size": 40, "max_length": 12, "dim": 16, "num_layers": 2, "hidden_dim": 32}
TOKENS = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("model", "config", "even"),
    [
        ("opt", OPTConfig(**SIZES, modern=True), sum(1 / seen for seen in range(2, 13)) / 11),
        ("bert", BERTConfig(**SIZES, association="sparsemax"), 1 / 12),
    ],
)
def test_means_are_those_of_what_flows(model, config, even):
    network = make_network(model, config).eval()
    told = measure_sinks(network, [TOKENS[:4], TOKENS[4:]])
    assert told["even"] == pytest.approx([even] * 2, abs=1e-5)
    with torch.no_grad(), record_weights(network) as weights:
        network(TOKENS)
    wanted = [weights[f"blocks.{n}.retrieve"][:, :, 1:, 0].mean().item() for n in (0, 1)]
    assert told["attention"] == pytest.approx(wanted, abs=1e-4)
    kept = []
    hook = network.blocks[1].register_forward_hook(lambda m, given, out: kept.append(out))
    network(TOKENS)
    hook.remove()
    norms = kept[0].norm(dim=-1)
    assert told["norm"][1] == pytest.approx(norms[:, 0].mean().item(), rel=1e-4)
    assert told["norm_rest"][1] == pytest.approx(norms[:, 1:].mean().item(), rel=1e-4)


def test_a_sink_is_seen():
    """Keys of the first token that every query likes, with values that are almost 0."""
    network = make_network("opt", OPTConfig(**SIZES, association="softmax")).eval()
    layer = network.blocks[1].retrieve
    first, before = torch.zeros(16), measure_sinks(network, [TOKENS])
    first[0] = 1.0
    network.blocks[0].register_forward_hook(
        lambda m, given, out: torch.cat([out[:, :1] + 100 * first, out[:, 1:]], 1)
    )
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.query.bias.fill_(3.0)
        layer.key.weight.zero_()
        layer.key.weight[:, 0] = 3.0
        layer.value.weight[:, 0] = 0.0
        layer.value.bias.zero_()
    told = measure_sinks(network, [TOKENS])
    assert told["attention"][1] > 0.9 > 3 * before["attention"][1]
    assert told["norm"][0] > 50 > told["norm_rest"][0]
    assert told["value"][1] < 0.7 * told["value_rest"][1]
