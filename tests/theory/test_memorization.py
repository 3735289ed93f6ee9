"""The memorisation report: networks that know their samples by heart or not at all, and a duplicate."""

import copy

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from stanhop_app.theory.activations import activations
from stanhop_app.theory.bootstrap import auc
from stanhop_app.theory.memorization import (
    GAUSSIAN,
    INPUT,
    TRAINED,
    UNTRAINED,
    Group,
    memorization_report,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 256), nn.ReLU(), nn.Linear(256, 4))


def group(model, x, y, first=0):
    with torch.no_grad():
        losses = (model(x) - y).square().mean(1)
    naive = y.square().mean(1)
    positions = torch.arange(len(x)) + first
    return Group(inputs=x, losses=losses, naive_losses=naive, positions=positions)


@pytest.fixture(scope="module")
def samples():
    """Random inputs and random targets: nothing but heart can tell them."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(264, 12, generator=generator)
    y = torch.randn(264, 4, generator=generator)
    return (x[:64], y[:64]), (x[64:], y[64:])


@pytest.fixture(scope="module")
def overfitted(samples):
    (x, y), _ = samples
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(400):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def report_of(model, samples, **options):
    members, others = (group(model, *pair, first=1000 * i) for i, pair in enumerate(samples))
    return memorization_report(model, network(), members, others, layer="1", **options)


def test_what_was_learned_by_heart_is_told(overfitted, samples):
    report = report_of(overfitted, samples)
    assert report.loss_auc.value > 0.9
    assert "evidence of memorisation; train for fewer steps" in report.verdict
    assert [space.space for space in report.spaces] == [TRAINED, UNTRAINED, INPUT, GAUSSIAN]
    control = report.spaces[2]
    assert 0.3 < control.energy_auc.value < 0.7
    assert report.loss_auc.low <= report.loss_auc.value <= report.loss_auc.high
    table = report.table()
    assert list(table.index) == [TRAINED, UNTRAINED, INPUT, GAUSSIAN]
    assert table.loc[TRAINED, "width"] == 256


def test_an_untrained_network_remembers_nothing(samples):
    report = report_of(network(), samples)
    assert 0.4 < report.loss_auc.value < 0.6
    assert report.verdict.endswith("no evidence of memorisation.")
    for space in report.spaces:
        assert 0.35 < space.energy_auc.value < 0.65
        assert space.by_store[0] >= space.by_store[-1]
        assert space.by_store[-1] == pytest.approx(space.other_distance)


def test_groups_that_differ_by_their_inputs_prove_nothing(overfitted, samples):
    (x, y), (other_x, other_y) = samples
    shifted = ((x, y), (other_x + 5.0, other_y))
    assert "their inputs tell as much" in report_of(overfitted, shifted).verdict
    harder = ((x, y), (other_x, 5 * other_y))
    report = report_of(overfitted, harder)
    assert report.naive_auc.value > 0.9
    assert "how hard they are tells as much" in report.verdict


def test_a_planted_duplicate_is_found_first(overfitted, samples):
    (x, y), (other_x, other_y) = samples
    other_x = other_x.clone()
    other_x[17] = x[5]
    report = report_of(overfitted, ((x, y), (other_x, other_y)))
    assert report.pairs[0][:2] == (17, 5)
    assert report.pairs[0][2] == pytest.approx(0, abs=1e-6)


def test_neighbours_within_the_zone_do_not_count():
    """A slow curve: a window's nearest window is the one beside it."""
    t = torch.arange(300) / 40
    windows = torch.sin(t).unfold(0, 12, 1)
    model = network()
    members = group(model, windows[:200], torch.zeros(200, 4))
    others = group(model, windows[200:], torch.zeros(len(windows) - 200, 4), first=200)
    near = memorization_report(model, network(), members, others, layer="1")
    far = memorization_report(model, network(), members, others, layer="1", zone=30)
    assert far.spaces[2].member_distance > near.spaces[2].member_distance
    with pytest.raises(ValueError, match="zone of 1000 leaves a sample without neighbours"):
        memorization_report(model, network(), members, others, layer="1", zone=1000)


def test_auc_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    one = torch.randint(0, 6, (40,), generator=generator).float()
    two = torch.randint(0, 5, (30,), generator=generator).float()
    labels = [1] * 40 + [0] * 30
    assert auc(one, two) == pytest.approx(roc_auc_score(labels, torch.cat([one, two])))
    assert auc(torch.tensor([2.0]), torch.tensor([1.0])) == 1.0


def test_activations_are_pooled_by_sample():
    model = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5))
    model.train()
    x = torch.randn(7, 4, 3)
    found = activations(model, x, "1", batch_size=3)
    torch.testing.assert_close(found, model[0](x).mean(1))
    assert model.training
    with pytest.raises(ValueError, match="no module 'other'"):
        activations(model, x, "other")
    spare = copy.deepcopy(model)
    spare.extra = nn.Linear(2, 2)
    spare.forward = lambda given: spare[0](given)
    with pytest.raises(ValueError, match="'extra' is not called"):
        activations(spare, x, "extra")


def test_what_cannot_be_is_said(overfitted, samples):
    (x, y), other = samples
    with pytest.raises(ValueError, match="members must be at least two"):
        report_of(overfitted, ((x[:1], y[:1]), other))
    with pytest.raises(ValueError, match="losses of members hold values"):
        report_of(overfitted, ((x, y * float("nan")), other))
