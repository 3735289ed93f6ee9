"""Laws of the residual blocks."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stanhop_app.layers.block import CrossBlock, FeatureDropout, STanHopBlock


def test_feature_dropout_drops_whole_features_of_a_sample_and_keeps_the_mean():
    dropout = FeatureDropout(0.25)
    x = torch.ones(2000, 3, 4, 8)
    out = dropout(x)
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(dropout.eval()(x), x)


def test_feature_dropout_refuses_a_probability_of_one():
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1"):
        FeatureDropout(1.0)


def test_variates_meet_only_in_the_series_stage():
    block = STanHopBlock(8, 2, 16, 2).eval()
    x = torch.randn(2, 3, 5, 8)
    changed = x.clone()
    changed[:, 0] = torch.randn(2, 5, 8)
    assert not torch.allclose(block(x)[:, 1], block(changed)[:, 1])
    with torch.no_grad():
        block.series.out.weight.zero_()
        block.series.out.bias.zero_()
    torch.testing.assert_close(block(x)[:, 1], block(changed)[:, 1])


def test_variates_in_another_order_give_the_same_in_that_order():
    block = STanHopBlock(8, 2, 16, 2).eval()
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(block(x.flip(1)), block(x).flip(1))


def test_cost_grows_linearly_in_the_number_of_variates():
    block = STanHopBlock(8, 2, 16, 2).eval()
    counts = []
    for variates in (16, 32, 64):
        with FlopCounterMode(display=False) as counter:
            block(torch.randn(1, variates, 4, 8))
        counts.append(counter.get_total_flops())
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


def test_a_cross_block_reads_its_memory():
    block = CrossBlock(8, 2, 16).eval()
    x, stored = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    assert block(x, stored).shape == x.shape
    assert not torch.allclose(block(x, stored), block(x, 2 * stored.roll(1, -1)))
