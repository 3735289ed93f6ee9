"""Windows as one row of numbers, and one window as people look at it."""

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.models.stanhop import DeepPart, STanHopConfig
from stanhop_app.runs.packed import Packed, packed, places
from stanhop_app.runs.run import Run
from stanhop_app.runs.shown import shown

SMALL = {
    "horizon": 6,
    "lookback": 24,
    "network": {"dim": 8, "num_heads": 2, "num_layers": 1, "hidden_dim": 8, "patch_length": 6},
    "training": {"max_steps": 2},
}


@pytest.mark.parametrize("kind", ["plain", "holes", "covariates", "both"])
def test_a_packed_window_is_forecast_as_the_window(kind, monkeypatch):
    torch.manual_seed(0)
    beside = {"future_features": 2, "past_features": 1, "static_features": 2}
    config = STanHopConfig(
        num_variates=2, horizon=6, lookback=24, holes=kind in ("holes", "both"), **SMALL["network"],
        **(beside if kind in ("covariates", "both") else {}),
    )  # fmt: skip
    deep = DeepPart(config).eval()
    for parameter in deep.parameters():  # what covariates and holes add begins at zero
        torch.nn.init.normal_(parameter, std=0.1)
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(80, 2)),
        columns=["a", "b"],
        index=pd.date_range("2024-01-01", periods=80, freq="h"),
    )
    windows = Panel.of(frame, "14/5/5").whole(24, 6)
    if config.holes:
        windows.values[3::7, 0] = torch.nan
    read = {"x": windows.gather(torch.arange(5))[0]}
    if config.reads_covariates:
        read |= {"covariates": torch.randn(5, 30, 3), "static": torch.randn(5, 2)}
    monkeypatch.setattr(Windows, "inputs", lambda self, batch: read)
    rows = packed(deep, windows, torch.arange(5))
    assert not rows.isnan().any()
    torch.testing.assert_close(Packed(deep)(rows), deep(**read))
    assert not Packed(deep).training


def test_windows_of_two_series_share_no_row():
    frame = pd.DataFrame({"y": np.arange(120.0)}, index=pd.date_range("2024-01-01", periods=120))
    panel = Panel.of(frame, "14/5/5", starts=(0, 60), ids=("a", "b"))
    panel = Panel(**{**panel.__dict__, "id_name": "id", "steps": "D"})
    windows = panel.whole(24, 6)
    at = places(windows, torch.arange(len(windows)), 30)
    near = (at[:, None] - at[None]).abs() < 30
    rows = [set(r.tolist()) for r in windows.rows(torch.arange(len(windows)))]
    shared = torch.tensor([[bool(a & b) for b in rows] for a in rows])
    assert not (shared & ~near).any()
    first = torch.tensor([min(r) < 60 for r in rows])
    assert not near[first][:, ~first].any()


def test_a_window_is_shown_in_the_units_and_at_the_time_of_its_series():
    days = pd.date_range("2024-01-01", periods=90)
    table = pd.concat(
        pd.DataFrame({"id": name, "day": days, "y": level + np.sin(np.arange(90.0))})
        for name, level in (("a", 100.0), ("b", 1000.0))
    )
    forecaster = STanHopForecaster(**SMALL, reading={"id_column": "id", "joint": False}).fit(table)
    run = Run(forecaster=forecaster).on_kept()
    windows = run.parts["test"]
    seen = {shown(run, windows, number).series for number in range(len(windows))}
    assert seen == {"a", "b"}
    last = shown(run, windows, len(windows) - 1)
    assert last.series == "b"
    assert last.actual.index[-1] == days[-1]
    assert (last.history["y"].between(998, 1002)).all()
    assert (last.forecast["y"].between(990, 1010)).all()
    pd.testing.assert_index_equal(last.forecast.index, last.actual.index)
