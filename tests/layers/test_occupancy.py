"""Counts of buckets against codes counted by hand."""

import pytest
import torch

from stanhop_app.layers import Hopfield, MemoryBlock, MemoryLayer
from stanhop_app.layers.occupancy import Occupancy, occupancies, record_buckets


def test_every_look_up_is_counted_in_its_bucket():
    layer = MemoryLayer(5, 3, bits=3)
    x = torch.tensor([[1.0, 1, 1, -1, -1], [1, -1, -1, 1, -1], [1, -1, -1, 0, 0]])
    with record_buckets(layer) as counts:
        layer(x)
        layer(x[:1])
    layer(x)
    first, second = occupancies(layer, counts)
    assert (first.table, first.hits) == (0, (0, 2, 0, 0, 0, 0, 0, 2))
    assert (second.table, second.hits) == (1, (2, 1, 0, 1))


@pytest.mark.parametrize("training", [True, False])
def test_layers_inside_a_network_are_counted_on_every_route(training):
    block = MemoryBlock(12, bits=4).train(training)
    with record_buckets(block) as counts, torch.set_grad_enabled(training):
        block(torch.randn(7, 5, 12))
    found = occupancies(block, counts)
    assert {o.layer for o in found} == {"first", "second"}
    assert all(sum(o.hits) == 35 for o in found)
    shared = Hopfield(8, 2, projection="memory")
    with record_buckets(shared) as counts:
        shared(torch.randn(2, 3, 8))
    for name, hits in counts.items():
        assert hits.sum() == 2 * 3 * len(shared.get_submodule(name).widths), name


def test_equal_use_has_entropy_one_and_a_single_bucket_none():
    equal = Occupancy(layer="", table=0, hits=(5,) * 8)
    single = Occupancy(layer="", table=0, hits=(0, 9, 0, 0))
    half = Occupancy(layer="", table=0, hits=(3, 3, 0, 0))
    assert (equal.dead, equal.entropy, equal.peak) == (0, 1, 1)
    assert (single.dead, single.entropy, single.peak) == (0.75, 0, 4)
    assert (half.dead, half.entropy, half.peak) == (0.5, 0.5, 2)


def test_normal_inputs_reach_all_buckets_equally_and_shifted_ones_do_not():
    layer = MemoryLayer(16, 2, bits=4)
    x = torch.randn(20_000, 16)
    for shift, even in ((0.0, True), (1.0, False)):
        with record_buckets(layer) as counts:
            layer(x + shift)
        entropy = min(o.entropy for o in occupancies(layer, counts))
        assert (entropy > 0.999) is even
