"""The deep part's anchor: where a series is expected to be, from its last steps."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.data.panel import Panel
from stanhop_app.forecasting.linear.anchor import fit_anchor, solved
from stanhop_app.models.anchor import spans
from stanhop_app.models.config import STanHopConfig
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import DeepPart, STanHopNet
from stanhop_app.training.folder import read_config, write_config

ROWS, LOOKBACK, HORIZON = 3000, 96, 13
OPTIONS = {
    "anchor": "fitted",
    "horizon": HORIZON,
    "lookback": LOOKBACK,
    "patch_length": 6,
    "dim": 8,
    "num_heads": 2,
}


def fitted(values, **options):
    """The weights of a network's anchor on a table of these columns."""
    frame = pd.DataFrame(values, index=pd.date_range("2024-01-01", periods=len(values), freq="h"))
    windows = Panel.of(frame.rename(columns=str), "4/1/1").windows(LOOKBACK, HORIZON)["train"]
    network = STanHopNet(STanHopConfig(num_variates=values.shape[1], **{**OPTIONS, **options}))
    fit_anchor(network, windows)
    return network.deep.anchor.weight


def test_a_walk_is_anchored_at_its_last_value_and_noise_at_its_mean():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(ROWS, 1))
    weight = fitted(np.concatenate([noise.cumsum(0), noise], axis=1))
    assert weight[0, 0] > 0.8
    assert weight[0].sum() == pytest.approx(1.0, abs=0.05)
    assert weight[1].sum() < 0.2


def test_weights_are_bounded_least_squares_drawn_to_the_latest_level():
    rng = np.random.default_rng(1)
    for trial in range(20):
        levels = rng.normal(size=(500, 3)) + rng.normal(size=3)
        target = levels @ rng.normal(size=3) * (0.2 + 0.2 * trial) + rng.normal(size=500)
        gram, moment = torch.tensor(levels.T @ levels), torch.tensor(levels.T @ target)
        size = 1e-3 * np.trace(levels.T @ levels) / 3
        stacked = np.concatenate([levels, np.sqrt(size) * np.eye(3)])
        aimed = np.r_[target, np.sqrt(size), 0, 0]
        wanted = minimize(
            lambda w: np.square(stacked @ w - aimed).sum(),  # noqa: B023
            np.full(3, 0.2),
            bounds=[(0, None)] * 3,
            constraints={"type": "ineq", "fun": lambda w: 1 - w.sum()},
            method="SLSQP",
            options={"ftol": 1e-12},
        ).x
        made = solved(gram[None], moment[None])[0]
        np.testing.assert_allclose(made, wanted, atol=1e-4)
    nothing = torch.zeros(1, 3, 3, dtype=torch.float64)
    np.testing.assert_allclose(solved(nothing, nothing[0, :1])[0], [1.0, 0.0, 0.0])


def test_a_level_that_tells_nothing_is_never_answered_in_the_wrong_direction():
    hours = np.arange(ROWS)
    rng = np.random.default_rng(3)
    for patch in (6, 12):  # far and near
        daily = np.sin(2 * np.pi * hours / 24) + 0.3 * rng.normal(size=ROWS)
        weight = fitted(daily[:, None], patch_length=patch)
        assert (weight >= 0).all()
        assert weight.sum() <= 1 + 1e-6


def test_inputs_stay_bounded_where_windows_are_flat():
    config = STanHopConfig(num_variates=1, **OPTIONS)
    part = DeepPart(config).eval()
    part.anchor.weight.zero_()
    seen = []
    part.embedding.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    part(torch.full((1, LOOKBACK, 1), 5.0))
    assert seen[0].square().mean() <= 1.0


def test_before_it_is_fitted_the_level_is_the_mean():
    config = STanHopConfig(num_variates=2, **OPTIONS)
    parts = []
    for anchor in ("fitted", "mean"):
        torch.manual_seed(0)
        parts.append(DeepPart(replace(config, anchor=anchor)).eval())
    x = torch.randn(3, LOOKBACK, 2)
    torch.testing.assert_close(parts[0](x), parts[1](x), rtol=1e-5, atol=1e-6)
    assert DeepPart(replace(config, instance_norm=False)).anchor is None


def test_steps_that_are_not_known_enter_no_level():
    part = DeepPart(STanHopConfig(num_variates=1, holes=True, **OPTIONS)).eval()
    x = torch.full((1, LOOKBACK, 1), torch.nan)
    x[0, -20:] = 0.0
    x[0, -20] = 10.0
    known, filled = ~x.isnan().transpose(1, 2), between(x).transpose(1, 2)
    torch.testing.assert_close(
        part.anchor.levels(filled, known), torch.tensor([[[0.0, 0.0, 0.5, 0.5]]])
    )
    x[0, -1] = torch.nan  # the last value is not known: the last patch tells
    known = ~x.isnan().transpose(1, 2)
    assert part.anchor.levels(between(x).transpose(1, 2), known)[0, 0, 0] == 0.0
    whole = torch.ones_like(known)
    torch.testing.assert_close(
        part.anchor.levels(filled, whole), part.anchor.levels(filled), rtol=1e-6, atol=1e-6
    )
    part.anchor.weight.copy_(torch.tensor([[0.7, 0.1, 0.1, 0.1]]))
    assert part(x).isfinite().all()
    assert part(torch.full_like(x, torch.nan)).isfinite().all()


def test_far_horizons_have_several_levels_and_near_ones_a_share_of_the_mean():
    def levels(horizon, **options):
        return spans(STanHopConfig(num_variates=1, horizon=horizon, **options))

    assert levels(48) == (336,)
    assert levels(49) == levels(96) == (1, 24, 168, 336)
    assert levels(96, lookback=24) == (1, 24)
    assert levels(96, lookback=100) == (1, 24, 100)


def test_a_level_that_returns_is_kept_in_part_at_near_horizons():
    rng = np.random.default_rng(2)
    slow = np.zeros((ROWS, 2))
    for row in range(1, ROWS):  # the mean of a window foretells one of the two in part
        slow[row] = np.array([0.9, 1.0]) * slow[row - 1] + rng.normal(size=2)
    weight = fitted(slow, patch_length=12)
    assert weight.shape == (2, 1)
    assert 0.0 < weight[0, 0] < 0.6
    assert weight[1, 0] == pytest.approx(1.0, abs=0.1)


def test_a_run_of_a_version_without_anchors_is_read_as_it_was(tmp_path):
    frame = datasets.load("sample")
    network = {"anchor": "mean", **{k: OPTIONS[k] for k in ("patch_length", "dim", "num_heads")}}
    forecaster = STanHopForecaster(
        HORIZON, LOOKBACK, network=network, training={"max_steps": 1}, progress=False
    ).fit(frame)
    forecaster.save(tmp_path / "run")
    config = read_config(tmp_path / "run")
    assert config["network"].pop("anchor") == "mean"
    write_config(tmp_path / "run", config)
    again = STanHopForecaster.load(tmp_path / "run")
    assert again.network_.deep.anchor is None
    pd.testing.assert_frame_equal(again.predict(), forecaster.predict())


def test_the_final_model_has_an_anchor_of_all_rows():
    frame = datasets.load("sample")
    network = {k: OPTIONS[k] for k in ("anchor", "patch_length", "dim", "num_heads")}
    forecaster = STanHopForecaster(
        HORIZON, LOOKBACK, network=network, training={"max_steps": 1}, final="all", progress=False
    ).fit(frame)
    scored, final = forecaster.network_, forecaster.fitted_.final.network
    assert not torch.equal(scored.deep.anchor.weight, final.deep.anchor.weight)
    torch.testing.assert_close(
        scored.deep.anchor.weight, final.deep.anchor.weight, rtol=0.0, atol=0.5
    )
