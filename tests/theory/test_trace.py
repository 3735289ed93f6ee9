"""Energies layer by layer."""

import math

import pytest
import torch
from torch import nn

from stanhop_app.theory.trace import CORRUPTED, SEEN, UNSEEN, energy_trace

LAYERS = ["0", "2", "4"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(60, 6, generator=generator), torch.randn(40, 6, generator=generator)


def test_the_global_energy_is_a_soft_minimum_over_layers(model, inputs):
    """Equation 8: min - log T <= global < min."""
    trace = energy_trace(model, *inputs, LAYERS)
    for group, found in trace.global_energies().items():
        least = trace.energies[group].amin(0)
        assert (found < least).all()
        assert (found >= least - math.log(len(LAYERS)) - 1e-5).all()
    assert trace.energies[UNSEEN].shape == (3, 40)
    assert trace.steps[SEEN].shape == (2, 60)
    table = trace.table()
    assert list(table.index) == [*LAYERS, "global"]
    assert list(table.columns) == [SEEN, UNSEEN, CORRUPTED]


def test_what_is_corrupted_more_is_further(model, inputs):
    little, much = (energy_trace(model, *inputs, ["0"], noise=n) for n in (0.1, 3.0))
    assert little.energies[CORRUPTED].median() < much.energies[CORRUPTED].median()
    torch.testing.assert_close(little.energies[SEEN], much.energies[SEEN])


def test_a_seen_sample_is_not_its_own_neighbour(model, inputs):
    trace = energy_trace(model, *inputs, ["0"], noise=0.0)
    torch.testing.assert_close(trace.energies[SEEN], trace.energies[CORRUPTED])
    same = energy_trace(model, inputs[0], inputs[0], ["0"])
    assert (same.energies[UNSEEN] < same.energies[SEEN]).all()
    zone = energy_trace(model, *inputs, ["0"], zone=20)
    assert zone.betas[0] < trace.betas[0]


def test_what_cannot_be_is_said(model, inputs):
    with pytest.raises(ValueError, match="two samples and one layer"):
        energy_trace(model, inputs[0][:1], inputs[1], ["0"])
    with pytest.raises(ValueError, match="two samples and one layer"):
        energy_trace(model, *inputs, [])
    with pytest.raises(ValueError, match="inputs must be floats"):
        energy_trace(model, torch.ones(3, 6, dtype=torch.long), inputs[1], ["0"])
    with pytest.raises(ValueError, match="zone of 100 leaves"):
        energy_trace(model, *inputs, ["0"], zone=100)
    with pytest.raises(ValueError, match="no module '9'"):
        energy_trace(model, *inputs, ["9"])
