"""Costs against the figures that the paper prints, and against the modules themselves."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stanhop_app.layers import Hopfield, MemoryBlock, MemoryLayer
from stanhop_app.layers.feedforward import FeedForward
from stanhop_app.layers.memory_cost import (
    Cost,
    count_cost,
    feed_forward_cost,
    memory_block_cost,
    memory_cost,
    memory_layer_cost,
)

LENGTH = 2048


@pytest.mark.parametrize(
    ("dim", "dense", "memory"), [(512, 10.7, 4.7), (768, 20.9, 7.4), (1024, 34.4, 10.2)]
)
def test_table_1_total_multiply_adds_of_a_block(dim, dense, memory):
    """At width 768 the paper's formula gives 7.35: it adds to 6.44 the 1.0 that it prints for 0.906."""
    cost = memory_cost(dim, tokens=LENGTH, bits=8, exact=False)
    attention = cost.attention.multiply_adds
    assert round((attention + cost.dense.multiply_adds) / 1e9, 1) == dense
    assert (attention + cost.memory.multiply_adds) / 1e9 == pytest.approx(memory, abs=0.052)


@pytest.mark.parametrize(
    ("in_features", "bits", "billions", "megabytes"),
    [(512, 4, 0.14, 2.1), (512, 8, 0.07, 16.8), (510, 10, 0.06, 53.5)],
)
def test_table_3_one_layer(in_features, bits, billions, megabytes):
    """The last row cuts 510 coordinates and still gives 512: only so are there 53.5 MB."""
    cost = memory_layer_cost(in_features, 512, bits=bits, tokens=LENGTH, bytes_per_number=2)
    assert round(cost.multiply_adds / 1e9, 2) == billions
    assert round(cost.bytes / 1e6, 1) == megabytes


@pytest.mark.parametrize(
    ("expand_bits", "megabytes"), [(0, 33.6), (1, 52.4), (2, 88.1), (3, 157.3)]
)
def test_table_5_bytes_of_a_memory_block(expand_bits, megabytes):
    cost = memory_block_cost(512, bits=8, expand_bits=expand_bits, bytes_per_number=2)
    assert round(cost.bytes / 1e6, 1) == megabytes


@pytest.mark.parametrize(
    ("dim", "layers", "dense", "memory"),
    [(512, 6, 18.9e6, 415e6), (768, 12, 84.9e6, 1.87e9), (1024, 24, 302e6, 6.64e9)],
)
def test_parameters_that_the_paper_does_not_print(dim, layers, dense, memory):
    """The same multiply-adds that fall to a third come with 22 times the parameters."""
    cost = memory_cost(dim, bits=8)
    assert layers * cost.dense.parameters == pytest.approx(dense, rel=2e-3)
    assert layers * cost.memory.parameters == pytest.approx(memory, rel=2e-3)


def test_the_exact_count_is_that_of_the_formula_without_the_hashes():
    dim, bits, tables = 512, 8, 64
    exact = memory_cost(dim, bits=bits).memory.multiply_adds
    hashes = 2 * (dim + dim + tables * 10)
    assert exact - hashes == (5 + 2 / bits) * tables * dim
    assert memory_cost(dim).dense == memory_cost(dim, exact=False).dense


@pytest.mark.parametrize(("width", "bits"), [(64, 4), (12, 5)])
def test_a_layer_costs_what_its_module_holds(width, bits):
    layer = MemoryLayer(width, 7, bits=bits, bias=True)
    counted = count_cost(layer, torch.randn(3, 2, width))
    assert counted == memory_layer_cost(width, 7, bits=bits, bias=True, tokens=6)
    block = MemoryBlock(width, bits=bits, expand_bits=1)
    assert count_cost(block, torch.randn(5, width)) == memory_block_cost(
        width, bits=bits, expand_bits=1, tokens=5
    )


def test_dense_multiply_adds_are_half_of_the_floating_point_operations():
    network = FeedForward(16, 24)
    x = torch.randn(9, 16)
    with FlopCounterMode(display=False) as counter:
        network(x)
    counted = count_cost(network, x)
    assert 2 * counted.multiply_adds == counter.get_total_flops()
    assert counted == feed_forward_cost(16, 24, tokens=9)


def test_a_layer_that_is_called_twice_is_stored_once():
    linear = nn.Linear(4, 4, bias=False)
    twice = count_cost(nn.Sequential(linear, linear), torch.randn(1, 4))
    assert twice == Cost(parameters=16, bytes=64, multiply_adds=32)


def test_projections_of_one_input_pay_for_one_hash():
    layer = Hopfield(16, 2, projection="memory", value_from_key=False)
    own = count_cost(layer, torch.randn(1, 3, 16)).multiply_adds
    cross = count_cost(layer, torch.randn(1, 3, 16), torch.randn(1, 3, 16)).multiply_adds
    assert own == 3 * (3 * 4 * 16 + 2 * 16)
    assert cross == own + 3 * 2 * 16
    assert count_cost(layer.eval(), torch.randn(1, 3, 16)).multiply_adds == own
