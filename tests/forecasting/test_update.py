"""Rows that came since a fit: `update` against a fit of the final model on all rows."""

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.linear.fit import LinearFit, refit_linear
from stanhop_app.forecasting.linear.moments import moments

DAY = 24


@pytest.fixture
def fitted(small, weather):
    return STanHopForecaster(**{**small, "final": "linear"}).fit(weather[:-DAY])


def test_it_equals_a_refit_of_the_linear_part_on_all_rows(fitted, weather, monkeypatch):
    """By the sums over every window, which the update does not make."""
    scored = {k: v.clone() for k, v in fitted.network_.state_dict().items()}
    fitted.update(weather[-DAY:])
    from stanhop_app.forecasting.linear import fit

    monkeypatch.setattr(fit, "whole_moments", moments)
    windows = fitted.fitted_.panel(weather).whole(fitted.lookback, fitted.horizon)
    again = refit_linear(LinearFit.of_summary(fitted.linear_), windows).module()
    updated = fitted.fitted_.forecasting
    torch.testing.assert_close(updated.linear.weight, again.weight, rtol=1e-4, atol=1e-5)
    for name, value in fitted.network_.state_dict().items():
        torch.testing.assert_close(value, scored[name], rtol=0, atol=0)


def test_it_forecasts_from_the_new_rows_on(fitted, weather, tmp_path):
    before = fitted.predict()
    fitted.update(weather[-DAY:])
    after = fitted.predict()
    assert after.index[0] == weather.index[-1] + weather.index.freq
    assert before.index[0] == weather.index[-DAY]
    assert f"fitted on all {len(weather):,} rows, until {weather.index[-1]}" in fitted.seen_
    fitted.save(tmp_path / "run")
    read = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(read.predict(), after)
    with pytest.raises(DataError, match="there are no new rows"):
        read.update(weather[-DAY:])


def test_one_row_at_a_time_comes_to_the_same(small, weather, tmp_path):
    made = []
    for parts in (
        [slice(-3, None)],
        [slice(-3, -2), slice(-2, -1), slice(-1, None)],
        [slice(0, None)],
    ):
        forecaster = STanHopForecaster(**{**small, "final": "linear"}).fit(weather[:-3])
        for part in parts:
            forecaster.update(weather[part])
        made.append(forecaster.predict())
    pd.testing.assert_frame_equal(made[0], made[1])
    pd.testing.assert_frame_equal(made[0], made[2])


def test_the_deep_part_goes_on_for_the_steps_that_are_asked_for(fitted, weather):
    deep = fitted.fitted_.forecasting.deep.state_dict()
    before = {name: value.clone() for name, value in deep.items()}
    fitted.update(weather[-DAY:], steps=2)
    after = fitted.fitted_.forecasting.deep.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)
    assert fitted.fitted_.final.steps == 2


def test_a_forecaster_without_a_linear_part_takes_the_rows(small, weather):
    alone = STanHopForecaster(**small, linear_skip=False).fit(weather[:-DAY])
    alone.update(weather[-DAY:])
    assert alone.predict().index[0] == weather.index[-1] + weather.index.freq


def test_rows_that_leave_a_gap_are_refused_and_change_nothing(fitted, weather):
    before = fitted.predict()
    with pytest.raises(DataError, match="rows between them are missing"):
        fitted.update(weather[-DAY + 1 :])
    with pytest.raises(DataError, match="the columns differ from the trained ones"):
        fitted.update(weather[-DAY:].iloc[:, :2])
    pd.testing.assert_frame_equal(fitted.predict(), before)


def test_an_array_cannot_be_updated(small):
    rows = np.random.default_rng(0).normal(size=(400, 2))
    forecaster = STanHopForecaster(**small).fit(rows)
    with pytest.raises((DataError, OptionError)):
        forecaster.update(rows)


def test_of_very_many_rows_only_the_last_are_kept(small, weather, monkeypatch):
    from stanhop_app.forecasting import fit

    monkeypatch.setattr(fit, "KEPT", 100)
    forecaster = STanHopForecaster(**small).fit(weather[:-DAY])
    assert len(forecaster.fitted_.rows) == forecaster.lookback
    with pytest.raises(
        DataError, match=r"only the last .* rows are kept; update with the whole table"
    ):
        forecaster.update(weather[-DAY:])
    forecaster.update(weather)
    assert f"all {len(weather):,} rows" in forecaster.seen_


def panel(count, rows, first=0):
    parts = []
    for number in range(count):
        draws = np.random.default_rng(number)
        promo = (draws.random(200) < 0.2).astype(float)
        y = 10 + 3 * promo + np.sin(np.arange(200) * 2 * np.pi / 7) + 0.2 * draws.normal(size=200)
        days = pd.date_range("2024-01-01", periods=200, freq="D")
        known = np.where(np.arange(200) < rows, y, np.nan)
        part = pd.DataFrame({"id": f"S{number}", "day": days, "y": known, "promo": promo})
        parts.append(part[first : rows + 7])
    return pd.concat(parts)


def test_many_series_with_covariates_and_new_ones_among_them(small, tmp_path):
    told = {"future_covariates": ["promo"], "reading": {"id_column": "id"}}
    options = {**small, "final": "linear", "horizon": 7, "split": "*/14/7", "lookback": 28}
    options["network"] = {**small["network"], "patch_length": 7}
    forecaster = STanHopForecaster(**options, **told).fit(panel(4, 150))
    assert forecaster.fitted_.known.effects is not None
    forecaster.update(panel(5, 160, first=148))
    made = forecaster.predict()
    assert made["id"].unique().tolist() == ["S0", "S1", "S2", "S3", "S4"]
    assert (
        str(made["day"].iloc[0].date())
        == str(pd.Timestamp("2024-01-01") + pd.Timedelta(160, "D"))[:10]
    )
    forecaster.save(tmp_path / "run")
    read = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(read.predict(), made)
    read.update(panel(5, 170))
    assert read.predict()["y"].notna().all()


def daily(rows, ahead=14, words=None, seed=0):
    """A daily table whose values follow a word: big adds 5, mid 2, calm nothing."""
    draws = np.random.default_rng(seed)
    count = rows + ahead
    promo = (
        draws.choice(["big", "calm", "mid"], count)
        if words is None
        else np.array(words * count)[:count]
    )
    added = pd.Series(promo).map({"big": 5.0, "mid": 2.0, "calm": 0.0}).to_numpy()
    y = np.sin(np.arange(count) * 2 * np.pi / 7) + added + 0.1 * draws.normal(size=count)
    days = pd.date_range("2023-01-01", periods=count, freq="D")
    known = np.where(np.arange(count) < rows, y, np.nan)
    return pd.DataFrame({"day": days, "y": known, "promo": promo})


@pytest.fixture
def daily_options(small):
    network = {**small["network"], "patch_length": 7}
    return {**small, "final": "linear", "horizon": 7, "lookback": 28, "network": network}


def test_words_of_the_new_rows_have_the_codes_of_the_training(daily_options):
    """New rows that hold one of three words: its code alone would be 0, that of another."""
    forecaster = STanHopForecaster(**daily_options, future_covariates=["promo"]).fit(daily(500))
    new = daily(550, words=["calm"])[500:]
    forecaster.update(new)
    days = pd.date_range(new["day"].iloc[-15], periods=8, freq="D")[1:]
    made = {
        word: forecaster.predict(future=pd.DataFrame({"day": days, "promo": word}))["y"].mean()
        for word in ("big", "calm", "mid")
    }
    assert made["big"] - made["calm"] == pytest.approx(5, abs=0.6)
    assert made["mid"] - made["calm"] == pytest.approx(2, abs=0.6)
    with pytest.raises(
        DataError, match="'promo' holds 'huge', which the training's table does not"
    ):
        forecaster.update(daily(560)[540:].assign(promo="huge"))
    with pytest.raises(DataError, match="unknown covariate 'promo'"):
        forecaster.update(daily(560)[["day", "y"]][540:560])


def test_the_future_that_is_known_is_kept(daily_options):
    table = daily(500)
    forecaster = STanHopForecaster(**daily_options, future_covariates=["promo"]).fit(table)
    forecaster.update(table[500:501].assign(y=1.0))
    assert len(forecaster.predict(horizon=13)) == 13
    with pytest.raises(DataError, match="known for 13 of 14 steps"):
        forecaster.predict(horizon=14)


def test_cycles_of_the_calendar_go_on(daily_options):
    """Stamps of the rows that are kept are theirs, not counted from 1970."""
    days = pd.date_range("2020-01-01", periods=1200, freq="D")
    strength = np.random.default_rng(0).normal(size=1200).cumsum() / 20
    y = np.sin(4 * np.pi * days.day_of_year / 365.25) + strength
    table = pd.DataFrame({"day": days, "y": y})
    options = {**daily_options, "calendar_features": True}
    forecaster = STanHopForecaster(**options).fit(table[:1190])
    before = forecaster.fitted_.final.effects
    forecaster.update(table[1190:])
    after = forecaster.fitted_.final.effects
    assert before is not None
    torch.testing.assert_close(after.weights, before.weights, rtol=0.05, atol=0.02)


def test_steps_of_an_update_validate_on_few_windows(fitted, weather, monkeypatch):
    from stanhop_app.forecasting import update

    sizes = []
    task = update.ForecastTask
    monkeypatch.setattr(
        update, "ForecastTask", lambda a, b, loss: sizes.append(len(b)) or task(a, b, loss)
    )
    fitted.update(weather[-DAY:], steps=1)
    assert sizes == [fitted.batch_size]
