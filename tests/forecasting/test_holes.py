"""Holes enter no statistic, no loss, no linear part and no score."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app import STanHopForecaster
from stanhop_app.data.frame import to_frame
from stanhop_app.data.panel import Panel
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.baselines import last_value
from stanhop_app.forecasting.evaluation import score
from stanhop_app.forecasting.linear.fit import fit_linear
from stanhop_app.forecasting.linear.moments import moments
from stanhop_app.forecasting.metrics import absolute
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.runs.residuals import residuals
from stanhop_app.runs.run import Run

NAN = float("nan")


def holed(frame, share=0.2, seed=0):
    return frame.mask(np.random.default_rng(seed).random(frame.shape) < share)


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        ([1.0, NAN, 3.0, NAN, NAN, 9.0], [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]),
        ([NAN, NAN, 4.0, 6.0], [4.0, 4.0, 4.0, 6.0]),
        ([4.0, 6.0, NAN, NAN], [4.0, 6.0, 6.0, 6.0]),
        ([NAN, NAN], [0.0, 0.0]),
    ],
)
def test_a_hole_lies_on_the_line_between_its_neighbours(window, wanted):
    x = torch.tensor(window)[None, :, None]
    assert between(x)[0, :, 0].tolist() == wanted


@given(st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=40))
def test_it_is_pandas_interpolation_within_the_window(window):
    x = torch.tensor(window, dtype=torch.float32)[None, :, None]
    filled = between(x)[0, :, 0]
    known = ~x[0, :, 0].isnan()
    assert torch.equal(filled[known], x[0, :, 0][known])
    wanted = pd.Series(window, dtype=np.float64).interpolate(limit_direction="both").fillna(0.0)
    np.testing.assert_allclose(filled.numpy(), wanted, rtol=1e-5, atol=1.0 if known.any() else 0)


def test_the_scale_is_that_of_the_known_values():
    rows = np.array([[1.0, NAN], [NAN, NAN], [3.0, NAN]])
    assert Scaler.fit(rows) == Scaler(mean=(2.0, 0.0), scale=(1.0, 1.0))


def network(**options):
    torch.manual_seed(0)
    config = {"horizon": 6, "lookback": 24, "patch_length": 6, "dim": 16, "num_heads": 2}
    return STanHopNet(STanHopConfig(num_variates=2, **{**config, **options})).eval()


@torch.no_grad()
def test_a_network_with_holes_sees_where_they_are_and_takes_any():
    net, x = network(holes=True), torch.randn(3, 24, 2, generator=torch.Generator().manual_seed(0))
    on_the_line = x.clone()
    on_the_line[:, 5] = (x[:, 4] + x[:, 6]) / 2
    hole = on_the_line.clone()
    hole[:, 5] = NAN
    assert not torch.allclose(net(hole), net(on_the_line), atol=1e-6)
    assert torch.isfinite(net(torch.full_like(x, NAN))).all()
    shifted = net.deep(hole + 7.0)
    torch.testing.assert_close(shifted, net.deep(hole) + 7.0, rtol=1e-4, atol=1e-4)


def test_the_loss_and_its_gradient_see_known_targets_only():
    values = torch.randn(60, 2, generator=torch.Generator().manual_seed(1))
    values[30:34, 0] = NAN
    windows = Windows(values=values, first=0, last=60, lookback=24, horizon=6)
    net, task = network(holes=True, linear_skip=False), ForecastTask(windows, windows)
    some = torch.arange(8)
    x, y = windows.gather(some)
    loss = task.loss(net, some, validation=False)
    known = ~y.isnan()
    assert loss.item() == pytest.approx((net(x) - y)[known].square().mean().item(), rel=1e-6)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    nothing = Windows(values=torch.full((60, 2), NAN), first=0, last=60, lookback=24, horizon=6)
    task = ForecastTask(nothing, nothing)
    assert task.loss(net, some, validation=False).item() == 0.0


def test_moments_without_holes_are_the_same_to_the_bit(weather):
    windows = Panel.of(weather).windows(48, 12)["train"]
    plain = moments(windows)
    told = Windows(**{name: getattr(windows, name) for name in ("first", "last", "lookback", "horizon")},
                   values=torch.cat([windows.values, torch.full((1, 3), NAN)]))  # fmt: skip
    assert told.holes
    again = moments(told)
    assert torch.equal(plain.gram, again.gram)
    torch.testing.assert_close(plain.cross, again.cross)
    torch.testing.assert_close(plain.energy, again.energy)


def test_a_linear_map_is_found_through_holes(weather):
    """A fifth of all values gone, the error on true values is close to that of the whole table."""
    whole = Panel.of(weather).windows(48, 12)
    some = Panel.of(holed(weather)).windows(48, 12)
    x, y = whole["test"].gather(torch.arange(len(whole["test"])))
    errors = [
        (fit_linear(w["train"], w["validation"])[0].module()(x) - y).square().mean().item()
        for w in (whole, some)
    ]
    assert errors[1] < 1.1 * errors[0]


def test_scores_never_count_what_nobody_knows():
    values = torch.arange(40.0)[:, None]
    values[30:33] = NAN
    windows = Windows(values=values, first=20, last=40, lookback=10, horizon=4)
    made = score(last_value(4), windows, Scaler(mean=(0.0,), scale=(1.0,)))
    x, y = windows.gather(torch.arange(len(windows)))
    error = (between(x)[:, -1:] - y).abs()
    wanted = torch.stack([step[~step.isnan()].mean() for step in error[..., 0].T])
    np.testing.assert_allclose(made.errors[absolute][:, 0], wanted)


@pytest.fixture(scope="module")
def masked(weather, small):
    with pytest.warns(UserWarning, match=r"values \(\d+\.\d%\) are missing, and were left out"):
        return STanHopForecaster(**{**small, "final": "all"}, missing="mask").fit(holed(weather))


def test_a_table_with_holes_is_forecast_without_any(masked, weather, tmp_path):
    forecast = masked.predict()
    assert forecast.notna().all(axis=None)
    masked.save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(again.predict(), forecast, check_freq=False)
    ending = holed(weather)
    ending.iloc[-5:, 0] = NAN
    with pytest.warns(UserWarning, match="left out"):
        assert masked.predict(ending).notna().all(axis=None)


def test_a_model_without_holes_refuses_them(fitted, weather):
    from stanhop_app.forecasting.outlook.rolling import forecast_after

    rows = holed(weather)
    with pytest.raises(DataError, match="the model was trained without holes"):
        forecast_after(rows, lambda x: x[:, -12:], fitted.scaler_, lookback=48, horizon=12)


def test_columns_may_be_masked_one_by_one(weather):
    rows = holed(weather)
    names = list(rows.columns)
    rows.iloc[[0, -1]] = weather.iloc[[0, -1]]
    frame = to_frame(rows, missing=f"interpolate,{names[0]}=mask")
    assert frame[names[0]].isna().sum() == rows[names[0]].isna().sum()
    assert frame[names[1]].notna().all()
    empty = rows.assign(**{names[0]: NAN})
    with pytest.raises(DataError, match="is empty"):
        to_frame(empty, missing="mask")


def test_residuals_are_those_of_the_known_targets(masked, weather):
    run = Run(forecaster=masked).on(to_frame(holed(weather), missing="mask"))
    made = residuals(run)
    assert made.by_step.notna().all(axis=None)
    assert (made.by_step > 0).all(axis=None)
