"""Intervals, quantiles and sample paths: laws of the pool, its choice, and the forecaster with them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app import STanHopForecaster
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.external.store import held
from stanhop_app.forecasting.intervals import choice
from stanhop_app.forecasting.intervals.aggregate import summed, with_ends
from stanhop_app.forecasting.intervals.choice import _alike, _each, _folds, _place, pinball
from stanhop_app.forecasting.intervals.levels import end_name, levels_of, with_bands
from stanhop_app.forecasting.intervals.pool import Pool, Way, quantiles, spread_of
from stanhop_app.runs.forecast_rows import BOUND

LEVELS = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]


@pytest.fixture(scope="module")
def fitted(weather):
    options = {"horizon": 12, "lookback": 48, "max_epochs": 1, "progress": False}
    network = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    return STanHopForecaster(**options, network=network).fit(weather)


@pytest.fixture(scope="module")
def known(fitted):
    return fitted.intervals()


@given(st.integers(1, 40), st.integers(0, 10**6), st.booleans())
def test_quantiles_of_even_weights_are_those_of_numpy(count, seed, twice):
    draws = np.random.default_rng(seed)
    values = torch.from_numpy(draws.normal(size=(count, 2, 3)))
    if twice:
        values[count // 2] = values[0]
    share = torch.full((count,), 1 / count)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    wanted = np.quantile(values.numpy(), LEVELS, axis=0, method="hazen")
    np.testing.assert_allclose(quantiles(values, share, levels), wanted, atol=1e-6)


@given(st.integers(2, 30), st.integers(0, 10**6))
def test_quantiles_rise_and_what_has_no_weight_is_not_read(count, seed):
    draws = np.random.default_rng(seed)
    values = torch.from_numpy(draws.normal(size=(count, 4)))
    share = torch.from_numpy(draws.random(count)) * torch.from_numpy(draws.random(count) < 0.7)
    share[0] = 0.5
    share = share / share.sum()
    made = quantiles(values, share, torch.tensor(LEVELS))
    assert (made.diff(dim=0) >= 0).all()
    other = torch.where(share[:, None] > 0, values, 1e9)
    assert quantiles(other, share, torch.tensor(LEVELS)).equal(made)


def test_a_weight_of_two_is_two_of_the_same():
    values = torch.tensor([[1.0], [2.0], [5.0]])
    levels = torch.tensor([0.1, 0.5, 0.9])
    heavy = quantiles(values, torch.tensor([0.2, 0.6, 0.2]), levels)
    assert heavy[1] == 2
    assert heavy[0] < 2 < heavy[2]


def test_pinball_is_least_at_the_quantile():
    came = torch.from_numpy(np.random.default_rng(0).normal(size=5001))
    levels = torch.tensor([0.1, 0.9], dtype=torch.float64)
    right = torch.quantile(came, levels)
    at = pinball(came, right[:, None].expand(-1, 5001), levels).mean(1)
    for shift in (-0.2, 0.2):
        off = pinball(came, right[:, None].expand(-1, 5001) + shift, levels).mean(1)
        assert (off > at).all()


def test_levels_are_the_ends_of_central_intervals():
    assert levels_of([80, 95]) == [0.025, 0.1, 0.9, 0.975]
    assert levels_of([50]) == [0.25, 0.75]


def test_higher_levels_hold_lower_ones_and_ends_do_not_cross(fitted, weather):
    made = fitted.predict_interval(levels=(50, 80, 99))
    point = fitted.predict()
    pd.testing.assert_frame_equal(made[point.columns], point)
    for name in weather.columns:
        ends = [f"{name}-lo-99", f"{name}-lo-80", f"{name}-lo-50"]
        ends += [f"{name}-hi-50", f"{name}-hi-80", f"{name}-hi-99"]
        assert (made[ends].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (made[ends[-1]] > made[ends[0]]).all()


def test_quantiles_are_the_ends_of_intervals(fitted):
    interval = fitted.predict_interval(levels=(80,))
    made = fitted.predict_quantiles(quantiles=(0.9, 0.1))
    assert list(made.columns.levels[1]) == [0.1, 0.9]
    name = made.columns[0][0]
    np.testing.assert_array_equal(made[name][0.1], interval[f"{name}-lo-80"])
    np.testing.assert_array_equal(made[name][0.9], interval[f"{name}-hi-80"])


def test_bounds_hold(fitted):
    point = fitted.predict()
    bounds = {"lower": float(point.iloc[:, 0].min()), "upper": float(point.max().max())}
    for made in (
        fitted.predict_interval(**bounds),
        fitted.predict_quantiles(**bounds),
        fitted.sample(count=20, **bounds),
    ):
        assert made.min(axis=None) >= bounds["lower"]
        assert made.max(axis=None) <= bounds["upper"]
    with pytest.raises(OptionError, match="lower is 2, above upper, 1"):
        fitted.sample(lower=2, upper=1)


def test_paths_are_whole_trajectories_that_were_missed(fitted, known):
    paths = fitted.sample(count=30, seed=1)
    assert paths.index.names[0] == "path"
    pd.testing.assert_frame_equal(paths, fitted.sample(count=30, seed=1))
    assert not paths.equals(fitted.sample(count=30, seed=2))
    point, pool = fitted.predict(), known.best.pool
    scaled = (paths.loc[7] - point).to_numpy() / np.array(fitted.fitted_.scaler.scale)
    shapes = pool.residuals().double().numpy()
    ratio = scaled / np.abs(scaled).max(0)
    every = shapes / np.abs(shapes).max(1, keepdims=True)
    assert np.abs(every - ratio).max((1, 2)).min() < 1e-5


def test_the_future_of_a_forecast_is_not_read(fitted, known, weather):
    """Of rows that end earlier, what was missed later than that has no weight."""
    cut = weather.iloc[:700]
    before = fitted.predict_quantiles(cut)
    index, store = weather.index[700], known.best.pool.store
    window = torch.from_numpy(fitted.fitted_.scaler.transform(cut.to_numpy()[-48:]))[None]
    when = store.when.new_tensor([[index.timestamp(), index.hour / 24]])
    shares = known.best.pool.weights(window, when)
    assert (shares[0, store.ends >= when[0, 0]] == 0).all()
    assert shares.sum() == pytest.approx(1)
    late = store.ends >= when[0, 0]
    assert late.any()
    other = replace(store, missed=torch.where(late[:, None, None], 1e6, store.missed))
    pool = known.best.pool
    judged = replace(known.best, pool=replace(pool, memory=replace(pool.memory, store=other)))
    again = replace(known, judged=(judged,)).quantiles(window, when, [0.1, 0.5, 0.9])
    wanted = known.quantiles(window, when, [0.1, 0.5, 0.9])
    assert again.equal(wanted)
    assert before.notna().all(axis=None)


@pytest.mark.parametrize("nearest", [False, True])
def test_a_window_of_twice_the_spread_has_twice_the_width(known, nearest):
    pool = Pool.of(known.best.pool.memory, Way(steps=24, nearest=nearest))
    windows = pool.store.windows(48, torch.tensor([5]))
    one, two = pool.scale(windows / 4), pool.scale(windows / 2)
    torch.testing.assert_close(two, 2 * one)
    flat = windows[:, :1].expand(-1, 48, -1)
    assert (pool.scale(flat) > 0).all()


def test_what_every_season_brings_is_no_spread(known):
    """Of a window that repeats itself nothing but the noise is left, whatever its season's height."""
    pool = Pool.of(known.best.pool.memory, Way(steps=48, lag=24, nearest=False))
    hours = torch.arange(48.0)[:, None]
    noise = 0.01 * torch.randn(48, 3, generator=torch.Generator().manual_seed(0))
    for height in (1.0, 100.0):
        season = height * torch.sin(2 * torch.pi * hours / 24) + noise
        wanted = (noise[24:] - noise[:24]).square().mean(0).sqrt()
        found = spread_of(season[None], pool.way)[0]
        torch.testing.assert_close(found, wanted, rtol=0.01, atol=1e-4)


def test_the_order_of_rows_tells_nothing_of_equal_residuals():
    """Of an intermittent series most are alike; the heavier ones must not be told by where they stand."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(400, 1, 1, generator=generator).clamp_min(0).round(decimals=1)
    shares = torch.rand(400, generator=generator) ** 8
    levels = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    turned = torch.randperm(400, generator=generator)
    made = quantiles(values, shares, levels)
    assert torch.equal(made, quantiles(values[turned], shares[turned], levels))
    assert bool((made.diff(dim=0) >= 0).all())


def test_windows_that_are_read_alike_are_read_as_each_alone():
    """The faster way says the same, with residuals that are equal to each other and to what came."""
    generator = torch.Generator().manual_seed(0)
    residuals = torch.randn(60, 3, 2, generator=generator).round(decimals=1)
    truths = torch.cat([residuals[:4], torch.randn(4, 3, 2, generator=generator)])
    shares = (torch.arange(60) % 4 > 0).float()[None].expand(8, -1) / 45
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    given = (residuals, shares, truths, levels)
    for (made, below), (one, of_one) in zip(_alike(*given), _each(*given), strict=True):
        assert torch.equal(made, one)
        torch.testing.assert_close(below, of_one)


def test_a_window_that_moves_more_than_any_that_was_judged_is_no_wider_than_those(known):
    """A currency that was pegged in all that judged: how far off it is later is not a hundred times more."""
    pool = Pool.of(known.best.pool.memory, Way(steps=24, nearest=False))
    windows = pool.store.windows(48, torch.tensor([5]))
    judged = pool.spread[pool.store.part == 0]
    assert pool.scale(1e6 * windows).equal(judged.amax(0)[None])
    assert (pool.scale(windows) <= judged.amax(0)).all()
    assert pool.residuals().isfinite().all()


def test_levels_are_corrected_to_what_validation_covered(known):
    """Out of fold, as many of what came lay below each corrected level as it says."""
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    for judged in known.judged:
        at = judged.corrected(levels)
        assert (at.diff() > 0).all()
        assert judged.corrected(torch.tensor([0.0, 1.0])).tolist() == [0, 1]
        below, beside = (  # what came below all that is stored lay at 0
            torch.searchsorted(judged.places, at, right=right).double() / len(judged.places)
            for right in (False, True)
        )
        assert (below - 0.01 <= levels).all()
        assert (levels <= beside + 0.01).all()


def test_of_more_variates_than_can_be_compared_a_few_judge(known, monkeypatch):
    """What was missed of the others changes nothing; where all can, it does."""
    memory = known.best.pool.memory
    missed = memory.store.missed.clone()
    missed[..., 1:] = missed[..., 1:].flip(0) * 9
    altered = replace(memory, store=replace(memory.store, missed=missed))

    def losses(memory):
        return {judged.pool.way: judged.loss for judged in choice.choose(memory, 24, 48)}

    assert losses(altered) != losses(memory)
    monkeypatch.setattr(choice, "VARIATES", 1)  # the first
    monkeypatch.setattr(choice, "WORK", 1)
    assert losses(altered) == losses(memory)


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_few_residuals_do_not_widen_levels(count):
    """What came is one among n like it: its place is even in [0, 1] for any n, even for one."""
    rng = torch.Generator().manual_seed(count)
    share = torch.full((count,), 1 / count)
    places = []
    for number in range(2000):
        values = torch.randn(count + 1, 3, 2, generator=rng)
        below = (values[1:] <= values[0]).float().mean(0)
        places.append(_place(below, share, number))
    every = torch.stack(places).flatten().quantile(torch.linspace(0.05, 0.95, 19).double())
    torch.testing.assert_close(every, torch.linspace(0.05, 0.95, 19).double(), atol=0.02, rtol=0)


def test_a_piece_of_time_that_few_windows_can_read_does_not_judge():
    """Of many series over the same years, the middle ones could be read by one that lies elsewhere alone."""
    begins = torch.arange(5).repeat(40)
    when = torch.stack([begins, begins], 1).double()
    store = SimpleNamespace(when=when, ends=begins + 3.0, part=torch.zeros(200, dtype=torch.long))
    store.when[0], store.ends[0] = -50, -47
    order = store.when[:, 0].argsort(stable=True)
    for fold, off in _folds(store, order):
        assert (~off).sum() >= 39
        times = {float(store.when[order[number], 0]) for number in fold}
        assert times <= {-50.0, 0.0, 4.0}


def test_coverage_on_exchangeable_days_is_nominal():
    """Days whose errors have nothing to do with each other: as many as the level says lie within."""
    draws = np.random.default_rng(0)
    rows = 24 * 150
    day = 3 * np.sin(np.arange(rows) * 2 * np.pi / 24)
    values = np.stack([day + draws.normal(size=rows), draws.normal(size=rows)], 1)
    index = pd.date_range("2024-01-01", periods=rows, freq="h")
    frame = pd.DataFrame(values, columns=["a", "b"], index=index)
    network = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    options = {"horizon": 6, "lookback": 48, "training": {"max_steps": 3}, "progress": False}
    forecaster = STanHopForecaster(**options, network=network).fit(frame)
    windows = forecaster.fitted_.panel(frame).windows(48, 6)["test"]
    numbers = torch.arange(0, len(windows), 3)
    whole = forecaster.predictors()["STanHop-Net"]
    came, made = whole.pairs(windows, numbers)
    ends = forecaster.intervals().quantiles(
        windows.gather(numbers)[0], windows.when(numbers), levels_of([80, 95]), frozen=True
    )
    left = (came - made)[:, None]
    below = (left > ends).double().mean((0, 2, 3))  # (Q,) above each end
    assert float(below[1] - below[2]) == pytest.approx(0.8, abs=0.03)
    assert float(below[0] - below[3]) == pytest.approx(0.95, abs=0.02)


def test_a_loaded_run_tells_the_same_and_an_update_adds_to_what_is_known(fitted, weather, tmp_path):
    fitted.save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(again.predict_interval(), fitted.predict_interval())
    more = weather.set_axis(weather.index + pd.Timedelta(hours=len(weather)))
    stored = len(again.intervals().best.pool.store)
    again.update(more.iloc[:24])
    assert len(again.intervals().best.pool.store) == stored + 24
    assert again.predict_interval().index[0] == more.index[24]


def test_what_cannot_be_is_one_line(fitted, weather):
    for levels in ((), (0,), (100,), (-5,)):
        with pytest.raises(OptionError, match="levels"):
            fitted.predict_interval(levels=levels)
    for chosen in ((), (0.0,), (1.0,)):
        with pytest.raises(OptionError, match="quantiles"):
            fitted.predict_quantiles(quantiles=chosen)
    with pytest.raises(OptionError, match="samples must be at least 1"):
        fitted.sample(count=0)
    with pytest.raises(DataError, match="had ended before this one"):
        fitted.predict_interval(weather.iloc[:60])
    array = STanHopForecaster(
        horizon=12,
        lookback=48,
        training={"max_steps": 2},
        network={"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16},
        progress=False,
    ).fit(weather.to_numpy())
    with pytest.raises(OptionError, match="time stamps"):
        array.predict_interval()


@pytest.mark.filterwarnings("ignore:18 values .* are missing")
@pytest.mark.parametrize("missing", ["error", "mask"])
def test_columns_that_stand_still_and_holes_have_finite_ends(weather, missing):
    frame = weather.iloc[:, :2].copy()
    frame["still"] = 4.0
    if missing == "mask":
        frame.iloc[::50, 0] = np.nan
    options = {"horizon": 6, "lookback": 24, "training": {"max_steps": 2}, "missing": missing}
    network = {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    forecaster = STanHopForecaster(**options, network=network, progress=False).fit(frame)
    for judged in forecaster.intervals().judged:
        assert np.isfinite(judged.loss)
        residuals = judged.pool.residuals()
        assert not residuals.isinf().any()
        assert residuals.isnan().any() == (missing == "mask")
    made = forecaster.predict_interval()
    assert np.isfinite(made.to_numpy()).all()
    assert (made["still-hi-95"] - made["still-lo-95"]).max() < 1


@pytest.mark.filterwarnings("ignore:.* are missing")
def test_a_table_without_one_whole_window_has_intervals(weather):
    """What nobody knows is not read; the others say about what those of a table without holes do."""
    rows = weather.iloc[:, :2]
    holed = rows.mask(np.random.default_rng(0).random(rows.shape) < 0.1)
    options = {"horizon": 6, "lookback": 48, "training": {"max_steps": 2}, "progress": False}
    network = {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    whole = STanHopForecaster(**options, network=network).fit(rows)
    forecaster = STanHopForecaster(**options, network=network, missing="mask").fit(holed)
    store = forecaster.intervals().best.pool.store
    assert store.missed.isnan().flatten(1).any(1).float().mean() > 0.5
    assert not store.rows.isnan().any()
    wide, narrow = (
        (made[f"{name}-hi-80"] - made[f"{name}-lo-80"]).mean()
        for made in (forecaster.predict_interval(), whole.predict_interval())
        for name in [rows.columns[0]]
    )
    assert wide == pytest.approx(narrow, rel=0.25)
    assert np.isfinite(forecaster.sample(count=20).to_numpy()).all()


@pytest.mark.parametrize("even", [True, False])
def test_values_that_nobody_knows_are_not_read(even):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(60, 3, 2, generator=generator)
    values[torch.rand(values.shape, generator=generator) < 0.4] = torch.nan
    shares = torch.ones(60) if even else torch.rand(60, generator=generator)
    levels = torch.tensor([0.0, 0.1, 0.5, 0.93, 1.0], dtype=torch.float64)
    made = quantiles(values, shares / shares.sum(), levels)
    for step, column in np.ndindex(3, 2):
        known = ~values[:, step, column].isnan()
        w = shares[known] / shares[known].sum()
        alone = quantiles(values[known, step, column][:, None], w, levels)[:, 0]
        torch.testing.assert_close(made[:, step, column], alone)


def test_a_hole_in_the_rows_holds_what_was_known_before_it_of_its_series():
    nan = float("nan")
    rows = torch.tensor([[nan, 1.0], [2.0, nan], [nan, nan], [nan, 5.0], [7.0, nan]])
    filled = held(rows, torch.tensor([0, 3]))
    wanted = torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, 1.0], [0.0, 5.0], [7.0, 5.0]])
    torch.testing.assert_close(filled, wanted)
    changed = held(torch.cat([rows[:4], torch.tensor([[9.0, 9.0]])]), torch.tensor([0, 3]))
    torch.testing.assert_close(changed[:4], filled[:4])  # nothing that came later is read


@pytest.mark.parametrize(("horizon", "lookback"), [(1, 2), (1, 24), (3, 6)])
def test_short_windows_have_intervals(weather, horizon, lookback):
    network = {"patch_length": 2, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    options = {"horizon": horizon, "lookback": lookback, "training": {"max_steps": 2}}
    forecaster = STanHopForecaster(**options, network=network, progress=False).fit(weather)
    assert np.isfinite(forecaster.predict_interval().to_numpy()).all()
    assert len(forecaster.sample(count=4)) == 4 * horizon


def test_a_column_that_is_named_as_an_end_is_said(weather):
    frame = weather.iloc[:400, :2].set_axis(["a", "a-lo-80"], axis=1)
    options = {"horizon": 6, "lookback": 24, "training": {"max_steps": 2}, "progress": False}
    network = {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16}
    forecaster = STanHopForecaster(**options, network=network).fit(frame)
    with pytest.raises(OptionError, match="is named as the end of an interval"):
        forecaster.predict_interval(levels=(80,))
    assert forecaster.predict_interval(levels=(90,)).shape == (6, 6)


@pytest.fixture(scope="module")
def shops(weather, small):
    """Three series of one column, of other lengths, with a covariate that is known ahead."""
    rows = weather.rename_axis("time").reset_index().melt("time", var_name="id", value_name="y")
    rows["promo"] = (rows["time"].dt.hour == 9).astype(float)
    rows.loc[rows["promo"] > 0, "y"] += 20
    last = rows["time"].max()
    rows.loc[rows["time"] > last - pd.Timedelta(hours=12), "y"] = np.nan
    rows = rows[
        (rows["id"] != "humidity_pct")
        | (rows["time"] > rows["time"].min() + pd.Timedelta(hours=300))
    ]
    forecaster = STanHopForecaster(
        **small, future_covariates=["promo"], reading={"id_column": "id"}
    )
    return forecaster.fit(rows)


def test_many_series_with_covariates_have_intervals(shops):
    """Each in its own units, around what `predict` says, whichever are asked for."""
    point, made = shops.predict(), shops.predict_interval(levels=(80, 95))
    assert list(made) == ["id", "time", "y", "y-lo-95", "y-lo-80", "y-hi-80", "y-hi-95"]
    pd.testing.assert_frame_equal(made[["id", "time", "y"]], point)
    ends = made[["y-lo-95", "y-lo-80", "y-hi-80", "y-hi-95"]].to_numpy()
    assert (np.diff(ends, axis=1) > 0).all()
    widths = (made["y-hi-80"] - made["y-lo-80"]).groupby(made["id"]).mean()
    outlook = shops.outlook_
    scales = dict(zip(outlook.series.ids, outlook.scalers(outlook.kept()), strict=True))
    relative = {name: width / scales[name].scale[0] for name, width in widths.items()}
    assert max(relative.values()) < 6 * min(relative.values())
    one = shops.predict_interval(levels=(80, 95), ids=["dew_point_f"])
    wanted = made[made["id"] == "dew_point_f"].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, wanted, rtol=1e-5)
    quantiles = shops.predict_quantiles(quantiles=(0.1, 0.9))
    assert quantiles.index.names == ["id", "time"]
    assert np.allclose(quantiles[("y", 0.1)], made["y-lo-80"])


def test_paths_of_many_series(shops):
    paths = shops.sample(count=5, seed=1)
    assert paths.index.names == ["path", "id", "time"]
    assert len(paths) == 5 * len(shops.predict())
    pd.testing.assert_frame_equal(paths, shops.sample(count=5, seed=1))
    first = paths.loc[0].index.to_frame(index=False)
    pd.testing.assert_frame_equal(first, shops.predict()[["id", "time"]])
    low = shops.predict_quantiles(quantiles=(0.025, 0.975))
    many = shops.sample(count=400, seed=0)["y"].groupby(["id", "time"], sort=False).mean()
    inside = (many > low[("y", 0.025)]) & (many < low[("y", 0.975)])
    assert inside.all()


def test_sums_are_those_of_paths(fitted):
    """Over all steps, by days, over variates: what is summed of each path, and its quantiles."""
    point, paths = fitted.predict(), fitted.sample(count=1000, seed=0)
    made = fitted.predict_total(over=["steps"], levels=(80,))
    name = point.columns[0]
    assert made["steps"].tolist() == [12]
    assert made[name].iloc[0] == pytest.approx(point[name].sum())
    whole = paths[name].groupby("path").sum()
    assert made[f"{name}-lo-80"].iloc[0] == pytest.approx(np.quantile(whole, 0.1))
    days = fitted.predict_total(over=["D", "variates"], levels=(80, 95))
    assert days["steps"].sum() == 12
    assert list(days) == [
        "time",
        "steps",
        "total",
        "total-lo-95",
        "total-lo-80",
        "total-hi-80",
        "total-hi-95",
    ]
    assert days["total"].sum() == pytest.approx(point.to_numpy().sum())
    by_step = fitted.predict_total(over=["variates"], levels=(80,))
    assert len(by_step) == 12
    bounds = fitted.predict_total(over=["steps"], lower=40.0)
    assert (bounds.filter(like="-lo-95").to_numpy() >= 12 * 40).all()


def test_predict_takes_levels(fitted, shops):
    wanted = fitted.predict_interval(levels=(80, 95))
    pd.testing.assert_frame_equal(fitted.predict(levels=(80, 95)), wanted)
    one = shops.predict(ids=["dew_point_f"], levels=(80,))
    assert list(one) == ["id", "time", "y", "y-lo-80", "y-hi-80"]
    with pytest.raises(OptionError, match="levels are of the trained horizon, 12 steps"):
        fitted.predict(horizon=24, levels=(80,))


def test_a_column_that_is_named_as_the_count_is_refused(weather, small):
    named = weather[["temperature_f"]].set_axis(["steps"], axis=1)
    forecaster = STanHopForecaster(**small).fit(named)
    with pytest.raises(OptionError, match="a column is named 'steps'"):
        forecaster.predict_total()
    assert len(forecaster.predict_total(over=["variates"])) == 12


def test_sums_of_many_series(shops):
    point = shops.predict()
    made = shops.predict_total(over=["steps"])
    assert made["id"].tolist() == list(shops.fitted_.series.ids)
    assert np.allclose(made["y"], point.groupby("id", sort=False)["y"].sum())
    whole = shops.predict_total(over=["steps", "series"])
    assert whole["y"].iloc[0] == pytest.approx(point["y"].sum())
    by_time = shops.predict_total(over=["series"])
    assert len(by_time) == point["time"].nunique()
    for over in ([], ["steps", "D"], ["colour"]):
        with pytest.raises(OptionError, match=r"sums are taken over|no span of time"):
            shops.predict_total(over=over)


def test_a_sum_over_series_is_of_many_only(fitted):
    with pytest.raises(
        OptionError, match="sums are taken over steps, variates, or steps of a span"
    ):
        fitted.predict_total(over=["series"])


@pytest.mark.slow
def test_what_was_missed_elsewhere_at_the_same_time_is_not_known(weather, small):
    """Series that move together would tell each other's errors, out of fold and never again."""
    one = weather[["temperature_f"]].rename_axis("time").reset_index()
    noise = np.random.default_rng(0).normal(size=(4, len(one))) * 0.01
    parts = [one.assign(id=str(n), y=one["temperature_f"] + noise[n]) for n in range(4)]
    rows = pd.concat(parts)[["id", "time", "y"]]
    each = {"id_column": "id", "joint": False}
    together = STanHopForecaster(**small, reading=each).fit(rows)
    alone = STanHopForecaster(**small).fit(weather[["temperature_f"]])
    least = min(judged.loss for judged in together.intervals().judged)
    assert least > 0.7 * min(judged.loss for judged in alone.intervals().judged)


def test_sums_go_by_their_labels_where_series_end_elsewhere():
    """Points and paths come in another order: each sum has its own interval."""
    days = pd.to_datetime(["2024-01-04", "2024-01-05", "2024-01-01", "2024-01-02"])
    index = pd.MultiIndex.from_arrays([["b", "b", "a", "a"], days], names=["id", "time"])
    point = pd.DataFrame({"y": [40.0, 50.0, 10.0, 20.0]}, index=index)
    paths = pd.concat({0: point, 1: point}, names=["path"])
    for over in (["series", "D"], ["steps"], ["series"], ["D"]):
        (sums, counts), (drawn, _) = (summed(each, over, "time") for each in (point, paths))
        made = with_ends(sums, counts, drawn, [0.1, 0.9])
        assert (counts["steps"] >= 1).all()
        assert ("series" in counts) == ("series" in over)
        if over == ["series"]:  # of days that one series has alone
            assert counts["series"].eq(1).all()
        assert (made["y"] == made["y-lo-80"]).all()
        assert made["y"].sum() == 120


@pytest.mark.parametrize("coverage", [1e-5, 0.1, 80.0, 99.999])
def test_names_of_ends_are_digits(coverage):
    """1e-05 is not what a column of bounds is known by in a database."""
    low, high = (end_name("y", level) for level in levels_of([coverage]))
    assert BOUND.fullmatch(low.removeprefix("y"))
    assert float(high.removeprefix("y-hi-")) == pytest.approx(coverage, rel=1e-4)


def test_ids_named_as_paths_are_refused(weather, small):
    rows = (
        weather.iloc[:, :2]
        .rename_axis("time")
        .reset_index()
        .melt("time", var_name="path", value_name="y")
    )
    reading = {"id_column": "path", "joint": False}
    forecaster = STanHopForecaster(**small, reading=reading).fit(rows)
    with pytest.raises(OptionError, match="is named 'path'"):
        forecaster.predict_total()


def test_points_and_bands_together_are_what_predict_interval_says(fitted):
    levels = (80, 95)
    made = with_bands(fitted.predict(), fitted.bands(levels=levels))
    pd.testing.assert_frame_equal(made, fitted.predict_interval(levels=levels), check_freq=False)
