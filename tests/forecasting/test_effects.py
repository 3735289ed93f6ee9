"""Covariates in the forecaster: the regression in closed form, the tokens, and what is kept of them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster, forecast
from stanhop_app.data.holidays import holiday_flags
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import take_any
from stanhop_app.errors import (
    ArtefactError,
    CheckpointError,
    DataError,
    OptionError,
    TableWarning,
)
from stanhop_app.forecasting.effects.known import encoder_of
from stanhop_app.forecasting.effects.regression import fit_effects, solve, sums
from stanhop_app.forecasting.fitted import LINEAR, WHOLE
from stanhop_app.models.beside import Beside
from stanhop_app.models.config import STanHopConfig
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.runs.residuals import residuals
from stanhop_app.runs.run import Run

ROWS, AHEAD, NOISE = 700, 14, 0.3
TOLD = {"future_covariates": ["price", "promo"]}
SMALL = {
    "horizon": 7,
    "lookback": 28,
    "network": {"dim": 8, "num_heads": 2, "num_layers": 1, "hidden_dim": 16, "patch_length": 7},
    "training": {"max_steps": 20},
    "progress": False,
}


def sales(seed=0, rows=ROWS, id=None):
    """Daily sales of a weekly shape that a price lowers by 0.8 and a promotion raises by 2.5."""
    draws = np.random.default_rng(seed)
    count = rows + AHEAD
    price = 10 + 3 * np.sin(0.1 * draws.normal(size=count).cumsum())
    promo = (draws.random(count) < 0.1).astype(float)
    clean = 5 + 2 * np.sin(2 * np.pi * np.arange(count) / 7) - 0.8 * price + 2.5 * promo
    known = np.where(np.arange(count) < rows, clean + NOISE * draws.normal(size=count), np.nan)
    table = pd.DataFrame(
        {
            "time": pd.date_range("2022-01-01", periods=count, freq="D"),
            "y": known,
            "price": price,
            "promo": promo,
            "noise": draws.normal(size=count),
        }
    )
    return table if id is None else table.assign(id=id)


def shops(count=6):
    return pd.concat([sales(i, ROWS - 80 * i, f"S{i}") for i in range(count)], ignore_index=True)


@pytest.fixture(scope="module")
def fitted():
    return STanHopForecaster(**SMALL, **TOLD).fit(sales().drop(columns="noise"))


@pytest.fixture(scope="module")
def many():
    table = shops().drop(columns="noise").assign(kind=lambda f: f["id"].isin(["S0", "S3"]))
    told = {**TOLD, "static_covariates": ["kind"], "reading": {"id_column": "id"}}
    return STanHopForecaster(**SMALL, **told, split="*/28/14").fit(table), table


def panel_of(table, calendar=False, **told):
    panel = Panel.of_any(take_any(table, **told), "14/5/5")
    encoder = encoder_of(panel, calendar=calendar)
    return panel.beside(encoder), encoder


def test_what_is_left_is_what_a_forecaster_of_the_rest_errs():
    """The quadratic form of the moments against the errors themselves, of adjusted values."""
    panel, _ = panel_of(sales().drop(columns="noise"), **TOLD)
    windows = panel.windows(28, 7)["train"]
    features = panel.along.covariates
    draws = torch.Generator().manual_seed(0)
    forecaster = 0.1 * torch.randn(28, 7, generator=draws)
    weights = torch.randn(1, features.shape[1], 1, generator=draws, dtype=torch.float64)
    batches = torch.arange(len(windows)).split(50)
    moments = sums(windows, features, forecaster, batches, False)
    adjusted = windows.values - (features.double() @ weights[0]).float()
    rows = windows.rows(torch.arange(len(windows)))
    x, y = adjusted[rows][:, :28, 0], adjusted[rows][:, 28:, 0]
    last = x[:, -1:]
    change = torch.cat([x[:, :-1] - last, last], 1) @ forecaster
    direct = (y - last - change).square().sum()
    assert float(moments.left(weights)) == pytest.approx(float(direct), rel=1e-4)


def test_moments_of_series_sum_to_those_of_all():
    table = shops().drop(columns="noise")
    panel = Panel.of_any(take_any(table, id_column="id", **TOLD), "*/28/14")
    panel = panel.beside(encoder_of(panel, calendar=False))
    windows = panel.windows(28, 7)["train"]
    forecaster = torch.zeros(28, 7)
    batches = torch.arange(len(windows)).split(200)
    each = sums(windows, panel.along.covariates, forecaster, batches, True)
    whole = sums(windows, panel.along.covariates, forecaster, batches, False)
    torch.testing.assert_close(each.gram.sum(0), whole.gram[0], rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(each.cross.sum(0), whole.cross[0], rtol=1e-5, atol=1e-3)
    together, own = solve(each, 1e-3, 1e9)  # drawn to the mean without end
    torch.testing.assert_close(own, together.expand_as(own), rtol=1e-4, atol=1e-6)
    _, alone = solve(each, 0.0, 1e-12)
    one = torch.linalg.solve(each.gram[0, 0], each.cross[0])
    torch.testing.assert_close(alone[0], one, rtol=1e-5, atol=1e-8)


def test_the_effects_are_those_that_the_table_was_made_with(fitted):
    """In units of the table: those of price and promotion, through any slow drift of the price."""
    effects, encoder = fitted.fitted_.known.effects, fitted.fitted_.known.encoder
    unit = fitted.scaler_.scale[0] / np.array(encoder.scaler.scale)
    index = pd.DatetimeIndex(["2022-01-01"] * 3)
    rows = np.zeros((3, 2), dtype=np.float32)
    rows[1, 0] = rows[2, 1] = 1.0
    at = effects.at(encoder, rows, index, np.zeros(3, dtype=int)).numpy()[:, 0]
    assert (at[1] - at[0]) * unit[0] == pytest.approx(-0.8, abs=0.1)
    assert (at[2] - at[0]) * unit[1] == pytest.approx(2.5, abs=0.1)
    assert effects.gains[0] > 0.8


def test_noise_has_seldom_an_effect_and_never_a_large_one():
    """By two standard errors over four folds one noise in a dozen passes, on a short validation part."""
    gains = []
    for seed in range(6):
        draws = np.random.default_rng(seed)
        table = sales()[["time", "y", "noise"]].assign(y=draws.normal(size=ROWS + AHEAD))
        panel, encoder = panel_of(table, future_covariates=["noise"])
        windows = panel.windows(28, 7)
        chosen = fit_effects(panel, encoder, windows["train"], windows["validation"])
        gains.append(0.0 if chosen is None else chosen.gains[0])
    assert sum(gain > 0 for gain in gains) <= 1
    assert max(gains) < 0.03


def test_covariates_without_an_effect_are_left_out_to_the_bit(tmp_path):
    """Forecasts are those of the table without them, and ask for no rows of the future."""
    table = sales()[["time", "y", "noise"]]
    told = STanHopForecaster(**SMALL, future_covariates=["noise"]).fit(table)
    assert told.fitted_.known.effects is None
    plain = STanHopForecaster(**SMALL).fit(table[["time", "y"]].dropna())
    pd.testing.assert_frame_equal(told.predict(), plain.predict(), check_exact=True)
    told.save(tmp_path / "run")
    read = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(read.predict(table[:ROWS]), plain.predict(), rtol=1e-5)


def test_forecasts_follow_what_is_known_ahead(fitted):
    table = sales().drop(columns="noise")
    plain = STanHopForecaster(**SMALL).fit(table[["time", "y"]].dropna())
    ahead = table[ROWS:][["time", "price", "promo"]]
    truth = 5 + 2 * np.sin(2 * np.pi * np.arange(ROWS, ROWS + AHEAD) / 7)
    truth = truth - 0.8 * ahead["price"] + 2.5 * ahead["promo"]
    with_them, without = (
        float(((f.predict(horizon=AHEAD)["y"].to_numpy() - truth) ** 2).mean())
        for f in (fitted, plain)
    )
    assert with_them < 0.3 * without


def test_what_if(fitted):
    """Two futures, two forecasts: they differ by the effect of what differs."""
    ahead = sales()[ROWS:][["time", "price", "promo"]]
    base = fitted.predict(future=ahead)
    pd.testing.assert_frame_equal(base, fitted.predict())
    promoted = fitted.predict(future=ahead.assign(promo=1.0))
    difference = (promoted - base)["y"].to_numpy()
    assert difference[ahead["promo"][:7] == 0] == pytest.approx(2.5, abs=0.3)
    assert difference[ahead["promo"][:7] == 1] == pytest.approx(0.0, abs=0.3)


def test_it_is_saved_and_read(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    read = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(read.predict(), fitted.predict())
    table = sales().drop(columns="noise")
    pd.testing.assert_frame_equal(read.predict(table), fitted.predict(table))
    assert read.future_covariates == TOLD["future_covariates"]


def test_a_table_of_its_own_forecasts_as_the_kept_rows_do(fitted):
    table = sales().drop(columns="noise")
    pd.testing.assert_frame_equal(fitted.predict(table), fitted.predict(), rtol=1e-5)
    pd.testing.assert_frame_equal(fitted.predict(table[-100:]), fitted.predict(), rtol=1e-5)


def test_a_future_too_short_names_covariate_and_stamp(fitted):
    table = sales().drop(columns="noise")
    with pytest.raises(DataError, match="'price' is known for 5 of 7 steps, not from 2023-12-07"):
        fitted.predict(table[: ROWS + 5])
    with pytest.raises(DataError, match="known for 14 of 15 steps"):
        fitted.predict(horizon=15)
    with pytest.raises(OptionError, match="without any"):
        STanHopForecaster(**SMALL).fit(table[["time", "y"]].dropna()).predict(future=table)


def test_a_table_without_the_covariates_is_refused(fitted):
    with pytest.raises(DataError, match="unknown covariate 'price'"):
        fitted.predict(sales()[["time", "y"]].dropna())


def test_a_window_that_rolls_on_reads_the_covariates_of_its_steps(fitted):
    """Two passes against the second pass made by hand from the first."""
    both = fitted.predict(horizon=14)
    table = sales().drop(columns="noise")
    table.loc[ROWS : ROWS + 6, "y"] = both["y"].to_numpy()[:7]
    second = fitted.predict(table)
    np.testing.assert_allclose(second["y"], both["y"][7:], rtol=1e-4)


def test_scores_are_those_of_the_levels(fitted):
    """What the windows hold is less the effect; what is scored is not."""
    table = take_any(sales().drop(columns="noise"), **TOLD)
    panel = fitted.fitted_.panel(table)
    windows = panel.windows(28, 7)["test"]
    predictor = fitted.predictors()[WHOLE]
    truth, _ = predictor.pairs(predictor.suited(windows), torch.arange(3))
    origin = panel.borders.validation
    np.testing.assert_allclose(truth[0], panel.scaled[origin : origin + 7], atol=1e-5)
    assert torch.equal(windows.plain().gather(torch.arange(3))[1], truth)
    assert fitted.score(table) == pytest.approx(
        fitted.score(sales().drop(columns="noise")), rel=1e-6
    )
    assert set(fitted.predictors()) >= {WHOLE, LINEAR}


def test_residuals_are_those_of_the_values_themselves(fitted):
    run = Run(forecaster=fitted).on(take_any(sales().drop(columns="noise"), **TOLD))
    made = residuals(run)
    predictor, windows = fitted.predictors()[WHOLE], run.parts["test"]
    with torch.no_grad():
        pair = predictor.pairs(windows, torch.arange(len(windows)))
    errors = (pair[0] - pair[1]).abs().mean(0)[:, 0].numpy() * fitted.scaler_.scale[0]
    np.testing.assert_allclose(made.by_step["y"], errors, rtol=1e-4)


def test_many_series_have_effects_of_their_own(many, tmp_path):
    forecaster, table = many
    made = forecaster.predict()
    assert list(made.columns) == ["id", "time", "y"]
    assert len(made) == 6 * 7
    ahead = table[table["y"].isna()][["id", "time", "price", "promo"]]
    promoted = forecaster.predict(ids=["S1", "S4"], future=ahead.assign(promo=1.0))
    base = forecaster.predict(ids=["S1", "S4"], future=ahead.assign(promo=0.0))
    assert (promoted["y"] - base["y"]).to_numpy() == pytest.approx(2.5, abs=0.4)
    forecaster.save(tmp_path / "run")
    pd.testing.assert_frame_equal(STanHopForecaster.load(tmp_path / "run").predict(), made)


def test_a_new_series_is_forecast_by_the_effects_of_all(many):
    forecaster, table = many
    new = sales(9, 200, "new").drop(columns="noise").assign(kind=True)
    both = pd.concat([table[table["id"] == "S2"], new], ignore_index=True)
    made = forecaster.predict(both)
    assert made["id"].unique().tolist() == ["S2", "new"]
    promoted = forecaster.predict(
        both.assign(promo=lambda f: f["promo"].where(f["y"].notna(), 1.0))
    )
    plain = forecaster.predict(both.assign(promo=lambda f: f["promo"].where(f["y"].notna(), 0.0)))
    assert (promoted["y"] - plain["y"]).to_numpy() == pytest.approx(2.5, abs=0.5)


def test_a_series_shorter_than_the_lookback_has_its_future_too(many):
    forecaster, _ = many
    short = sales(8, 3, "short").drop(columns="noise").assign(kind=True)
    assert forecaster.predict(short)["y"].notna().all()


def test_a_missing_future_of_one_series_names_it(many):
    forecaster, table = many
    cut = table.drop(index=table.index[(table["id"] == "S3") & table["y"].isna()][3:])
    with pytest.raises(
        DataError, match=r"series 'S3': covariate 'price' is known for 3 of 7 steps"
    ):
        forecaster.predict(cut)


def test_calendar_features_need_no_rows_of_the_future():
    table = sales()[["time", "y"]].dropna()
    forecaster = STanHopForecaster(**SMALL, calendar_features=True).fit(table)
    assert forecaster.fitted_.known.encoder.calendar == ("week", "year")
    made = forecaster.predict(horizon=20)
    assert len(made) == 20
    pd.testing.assert_frame_equal(made, forecaster.predict(table, horizon=20), rtol=1e-5)


def test_holidays_of_a_country_are_found_in_a_table_that_does_not_name_them(tmp_path):
    days = pd.date_range("2022-01-01", periods=ROWS, freq="D")
    draws = np.random.default_rng(0)
    on = holiday_flags(days, "AT")[:, 0]
    y = 10 + np.sin(2 * np.pi * np.arange(ROWS) / 7) - 4 * on + 0.2 * draws.normal(size=ROWS)
    forecaster = STanHopForecaster(**SMALL, holidays="AT").fit(pd.DataFrame({"day": days, "y": y}))
    assert forecaster.fitted_.known.effects.gains[0] > 0.5
    made = forecaster.predict(horizon=40)["y"]  # from 2 December on
    ordinary = made[:"2023-12-07"].mean()
    assert made["2023-12-08"] - ordinary == pytest.approx(-4, abs=1.5)
    assert made["2023-12-25":"2023-12-26"].mean() - ordinary == pytest.approx(-4, abs=1.5)
    forecaster.save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run").predict(horizon=40)["y"]
    pd.testing.assert_series_equal(again, made)


@pytest.mark.parametrize(
    ("frequency", "holidays", "message"),
    [("W-SUN", "AT", "holidays are of days"), ("D", "ZZ", "holidays of 'ZZ' are not known")],
)
def test_holidays_that_cannot_be_are_refused_before_training(frequency, holidays, message):
    table = sales()[["time", "y"]].dropna()
    table["time"] = pd.date_range("2000-01-01", periods=len(table), freq=frequency)
    with pytest.raises(OptionError, match=message):
        STanHopForecaster(**SMALL, holidays=holidays).prepare(table)


def test_without_cycles_the_calendar_changes_no_bit():
    table = sales(rows=400)[["time", "y"]].dropna()
    yearly = table.assign(time=pd.date_range("1700-01-01", periods=len(table), freq="YS"))
    plain = STanHopForecaster(**SMALL).fit(yearly)
    timed = STanHopForecaster(**SMALL, calendar_features=True).fit(yearly)
    assert timed.fitted_.known is None
    pd.testing.assert_frame_equal(plain.predict(), timed.predict(), check_exact=True)


def test_the_final_effects_are_fitted_on_all_rows(fitted):
    scored, final = fitted.fitted_.known.effects, fitted.fitted_.final.effects
    assert scored.basis == final.basis
    assert not torch.equal(scored.weights, final.weights)
    torch.testing.assert_close(scored.weights, final.weights, rtol=0.3, atol=0.2)


def test_covariates_are_masked_where_the_table_has_holes():
    table = sales().drop(columns="noise")
    table.loc[50:60, "y"] = np.nan
    forecaster = STanHopForecaster(**SMALL, **TOLD, missing="error,y=mask")
    with pytest.warns(TableWarning, match="11 values are missing"):
        forecaster.fit(table)
    assert forecaster.fitted_.known.effects.gains[0] > 0.7
    assert forecaster.predict()["y"].notna().all()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["known"]["lengths"].append(3),
        lambda c: c["known"]["encoder"]["future"].append("more"),
        lambda c: c["known"]["encoder"]["categories"].update(price=["a", "a"]),
        lambda c: c["known"]["encoder"]["calendar"].append("week"),
        lambda c: c["known"]["encoder"]["scaler"]["mean"].pop(),
        lambda c: c["known"]["effects"].update(kind="curved"),
        lambda c: c["known"]["effects"]["knots"].update(promo=[0.5]),
        lambda c: c["final"]["effects"].update(pooling=-1.0),
        lambda c: c["network"].update(future_features=10**9),
        lambda c: c["network"].update(past_features=3),
        lambda c: c.update(known=None),
        lambda c: c["known"]["encoder"].update(calendar=["week"]),
        lambda c: c["known"]["encoder"].update(holidays="AT"),
        lambda c: c["known"]["effects"].update(gains=[]),
    ],
)
def test_what_is_kept_of_covariates_and_does_not_fit_is_refused(fitted, tmp_path, change, forge):
    fitted.save(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    change(content)
    forge(tmp_path / "run", **content)
    with pytest.raises(ArtefactError):
        STanHopForecaster.load(tmp_path / "run")


def holed(share, on_promo):
    """Two series of which the second has holes: some anywhere, or half of the promoted days."""
    parts = [sales(i, 600, f"S{i}").drop(columns="noise") for i in range(2)]
    draws, second = np.random.default_rng(5), parts[1]
    gone = draws.random(len(second)) < share
    gone &= (second["promo"] == 1) if on_promo else True
    gone[0] = False
    second.loc[gone & second["y"].notna(), "y"] = np.nan
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("share", "on_promo"), [(0.0, False), (0.6, False), (0.5, True)])
def test_holes_of_one_series_bias_no_effect(share, on_promo):
    """Neither of the other, nor of its own, be there fewer values where the promotion is."""
    told = {**TOLD, "id_column": "id", "joint": False, "missing": "error,y=mask"}
    panel = Panel.of_any(take_any(holed(share, on_promo), **told), "*/28/14")
    encoder = encoder_of(panel, calendar=False)
    panel = panel.beside(encoder)
    windows = panel.windows(28, 7)["train"]
    batches = torch.arange(len(windows)).split(200)
    moments = sums(windows, panel.along.covariates, torch.zeros(28, 7), batches, True)
    _, own = solve(moments, 1e-4, 0.01)
    unit = np.array([s.scale[0] for s in panel.scalers]) / encoder.scaler.scale[1]
    assert own[:, 1, 0].numpy() * unit == pytest.approx(2.5, abs=0.35)


def test_holes_of_several_columns_bias_no_effect():
    table = sales().drop(columns="noise").assign(z=lambda f: 3 * f["promo"] + f["price"])
    table.loc[ROWS:, "z"] = np.nan
    gone = np.random.default_rng(3).random(ROWS) < 0.5
    table.loc[np.flatnonzero(gone & (table["promo"][:ROWS] == 1)), "y"] = np.nan
    panel, encoder = panel_of(table, **TOLD, missing="error,y=mask")
    windows = panel.windows(28, 7)["train"]
    batches = torch.arange(len(windows)).split(200)
    moments = sums(windows, panel.along.covariates, torch.zeros(28, 7), batches, False)
    together, none = solve(moments, 1e-4, None)
    assert none is None
    unit = np.array(panel.scaler.scale) / encoder.scaler.scale[1]
    assert together[1].numpy() * unit == pytest.approx([2.5, 3.0], abs=0.6)
    twice = solve(moments, 1e-4, 1e9)[1]
    torch.testing.assert_close(twice[0], together, rtol=1e-4, atol=1e-5)


def test_a_training_goes_on_only_with_its_own_holidays(tmp_path):
    """As many features of another place are other features."""
    table = sales()[["time", "y"]].dropna()
    options = {**SMALL, "training": {"max_steps": 10}}

    def stopped(*_):
        raise KeyboardInterrupt

    first = STanHopForecaster(**options, holidays="AT")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stanhop_app.forecasting.fit.fit_linear", stopped)
        with pytest.raises(KeyboardInterrupt):
            first.fit(table, run_folder=tmp_path / "run")
    with pytest.raises(CheckpointError, match="made with other options"):
        STanHopForecaster(**options, holidays="US").fit(
            table, run_folder=tmp_path / "run", resume=True
        )
    first.fit(table, run_folder=tmp_path / "run", resume=True)


def test_an_array_has_no_calendar():
    rows = np.random.default_rng(0).normal(size=(400, 2))
    with pytest.raises(OptionError, match="need rows with time stamps"):
        STanHopForecaster(**SMALL, calendar_features=True).fit(rows)


def test_a_history_too_short_is_refused_as_without_covariates(fitted):
    table = sales().drop(columns="noise")
    with pytest.raises(DataError, match="too few rows: 20, but a forecast needs the last 28"):
        fitted.predict(table[ROWS - 20 :])


def test_words_of_the_future_are_those_of_the_training_and_not_of_the_history():
    table = sales().drop(columns="noise")
    table["promo"] = np.where(table["promo"] == 1, "big", "none")
    forecaster = STanHopForecaster(**SMALL, **TOLD).fit(table)
    calm = table.assign(promo="none")
    ahead = calm[ROWS : ROWS + 7][["time", "price", "promo"]]
    base = forecaster.predict(calm[:ROWS], future=ahead)
    promoted = forecaster.predict(calm[:ROWS], future=ahead.assign(promo="big"))
    assert (promoted - base)["y"].to_numpy() == pytest.approx(2.5, abs=0.3)


def test_one_line_takes_covariates_too():
    table = sales(rows=200).drop(columns="noise")
    made = forecast(
        table, horizon=7, future_covariates="promo", past_covariates="price", max_epochs=1
    )
    assert made.shape == (7, 1)
    long = pd.concat([table.assign(id=name, kind=name) for name in "AB"])
    told = {**TOLD, "static_covariates": ["kind"], "reading": {"id_column": "id"}}
    assert len(forecast(long, horizon=7, max_epochs=1, **told)) == 14


def test_a_name_alone_is_one_name(many):
    forecaster, _ = many
    one = forecaster.predict(ids="S1")
    assert one["id"].unique().tolist() == ["S1"]


def test_a_future_is_read_in_the_zone_of_the_table_or_refused():
    """It once was compared with stamps of another kind, and called a defect of ours."""
    table = sales().drop(columns="noise")
    ahead = table[ROWS : ROWS + 7][["time", "price", "promo"]]
    zone = {"time_zone": "Europe/Vienna"}
    local = STanHopForecaster(**SMALL, **TOLD, reading=zone).fit(table)
    assert len(local.predict(future=ahead)) == 7
    utc = STanHopForecaster(**SMALL, **TOLD).fit(
        table.assign(time=table["time"].dt.tz_localize("UTC"))
    )
    with pytest.raises(DataError, match="the time stamps have no zone"):
        utc.predict(future=ahead)


NETWORK = {
    "num_variates": 3,
    "horizon": 5,
    "lookback": 20,
    "patch_length": 4,
    "dim": 8,
    "num_heads": 2,
    "num_layers": 1,
    "hidden_dim": 16,
}


@pytest.fixture
def reading():
    torch.manual_seed(0)
    config = STanHopConfig(**NETWORK, future_features=2, past_features=1, static_features=2)
    return STanHopNet(config).eval()


def test_a_network_starts_as_one_that_knows_no_covariates(reading):
    plain = STanHopNet(STanHopConfig(**NETWORK)).eval()
    plain.load_state_dict({k: v for k, v in reading.state_dict().items() if "beside" not in k})
    x, covariates, static = torch.randn(2, 20, 3), torch.randn(2, 25, 3), torch.randn(2, 2)
    torch.testing.assert_close(reading(x, covariates, static), plain(x))


def test_every_map_of_covariates_gets_a_gradient(reading):
    x, covariates, static = torch.randn(2, 20, 3), torch.randn(2, 25, 3), torch.randn(2, 2)
    reading.deep(x, covariates, static).square().mean().backward()
    maps = reading.deep.beside.maps
    assert set(maps) == {"read", "ahead", "series"}
    assert all(each.weight.grad.abs().sum() > 0 for each in maps.values())


def test_what_is_not_known_ahead_is_not_read_ahead(reading):
    for each in reading.deep.beside.maps.values():
        torch.nn.init.normal_(each.weight)
    x, covariates, static = torch.randn(2, 20, 3), torch.randn(2, 25, 3), torch.randn(2, 2)
    made = reading(x, covariates, static)
    hidden = covariates.clone()
    hidden[:, 20:, 2] = 1e3
    assert torch.equal(reading(x, hidden, static), made)
    for place in ((slice(None), 20, 0), (slice(None), 19, 2)):
        changed = covariates.clone()
        changed[place] += 1
        assert not torch.equal(reading(x, changed, static), made)


def test_a_network_of_covariates_without_them_says_so(reading):
    with pytest.raises(OptionError, match="give it covariates"):
        reading(torch.randn(2, 20, 3))
    with pytest.raises(OptionError, match="give it static"):
        reading(torch.randn(2, 20, 3), torch.randn(2, 25, 3))
    assert isinstance(reading.deep.beside, Beside)


def test_a_run_that_was_opened_again_has_its_intervals(tmp_path):
    """Its covariates have the time stamps of its rows and of the future, which cycles are read from."""
    made = STanHopForecaster(**SMALL, **TOLD, calendar_features=True).fit(
        sales().drop(columns="noise")
    )
    made.save(tmp_path / "run")
    opened = Run.open(tmp_path / "run")
    pd.testing.assert_frame_equal(opened.forecaster.predict_interval(), made.predict_interval())
    kept = made.fitted_.known.kept.frame
    found = opened.fitted.known.kept.frame
    pd.testing.assert_frame_equal(found, kept, check_freq=False, check_names=False)
    assert opened.on_kept().is_trained_table


def test_many_series_that_were_opened_again_know_when_their_covariates_are(many, tmp_path):
    made, _ = many
    made.save(tmp_path / "run")
    opened = Run.open(tmp_path / "run")
    found, kept = (one.known.kept.frame for one in (opened.fitted, made.fitted_))
    pd.testing.assert_frame_equal(found, kept, check_freq=False, check_names=False)
    assert opened.on_kept().is_trained_table
