"""Paired tests over blocks: right as often as they say, and blind to what both have in common."""

import numpy as np
import pytest
from scipy import stats

from stanhop_app.errors import DataError
from stanhop_app.runs.significance import diebold_mariano, paired


def _losses(seed, count=400, overlap=7, better=0.0):
    """Losses of overlapping windows: moving means of what a step costs."""
    draws = np.random.default_rng(seed)
    common = draws.gamma(2.0, size=count + overlap)
    own = draws.gamma(2.0, size=(2, count + overlap))
    width = np.ones(overlap + 1) / (overlap + 1)
    a, b = (np.convolve(common + part, width, "valid") for part in own)
    return a * (1 - better), b


@pytest.mark.parametrize("better", [0.0, 0.1])
def test_the_interval_holds_the_true_gain_as_often_as_it_says(better):
    inside = []
    for seed in range(150):
        made = paired(*_losses(seed, better=better), overlap=7)
        inside.append(made.low <= better <= made.high)
    # 95 in 100 are asked; a bootstrap of 50 blocks or so falls a little short, as it must.
    assert 0.86 <= np.mean(inside) <= 0.99


def test_windows_that_overlap_are_not_so_many_witnesses():
    """Without the lag window equal models would be told apart far too often."""
    with_lags = [diebold_mariano(*_losses(seed), overlap=7) < 0.05 for seed in range(200)]
    without = [diebold_mariano(*_losses(seed), overlap=0) < 0.05 for seed in range(200)]
    assert np.mean(with_lags) < 0.12
    assert np.mean(without) > 0.25


def test_without_overlap_it_is_the_paired_t_test():
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    d, n = a - b, 60
    # The variance of the mean is over n, not n - 1, and Harvey's factor is (n - 1) / n: they meet.
    assert diebold_mariano(a, b, 0) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
    assert d.mean() != 0
    assert n == len(d)


def test_what_is_said():
    a, b = _losses(0, better=0.2)
    made = paired(a, b, overlap=7)
    assert str(made).startswith("better by ")
    assert made.p < 0.01
    other = paired(b, a, overlap=7)
    assert str(other).startswith("worse by ")
    same = paired(a, a, overlap=7)
    assert (same.gain, same.low, same.high, same.p) == (0, 0, 0, 1)
    again = paired(a, b, overlap=7)
    assert again == made
    holes = a.copy()
    holes[::50] = np.nan
    assert paired(holes, b, overlap=7).gain == pytest.approx(made.gain, abs=0.03)
    with pytest.raises(DataError, match="too few to tell luck from gain"):
        paired(a[:50], b[:50], overlap=7)
