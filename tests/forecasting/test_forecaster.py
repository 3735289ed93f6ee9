"""The estimator: what a pipeline and a person expect of it."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from stanhop_app import STanHopForecaster, forecast
from stanhop_app.errors import DataError, TableWarning
from stanhop_app.forecasting.evaluation import score_all


def test_the_forecast_follows_the_last_row_in_original_units(fitted, weather):
    prediction = fitted.predict()
    assert list(prediction.columns) == list(weather.columns)
    assert prediction.index.equals(pd.date_range(weather.index[-1], periods=13, freq="h")[1:])
    assert prediction.index.name == weather.index.name
    spread = weather.max() - weather.min()
    assert ((prediction > weather.min() - spread) & (prediction < weather.max() + spread)).all(
        axis=None
    )


def test_the_forecast_is_the_networks(fitted, weather):
    recent = fitted.scaler_.transform(weather.to_numpy()[-48:])
    with torch.no_grad():
        scaled = fitted.network_(torch.from_numpy(recent)[None])[0].numpy()
    np.testing.assert_array_equal(fitted.predict().to_numpy(), fitted.scaler_.inverse(scaled))
    pd.testing.assert_frame_equal(fitted.predict(), fitted.predict(weather))


def test_a_shorter_horizon_is_the_beginning_and_a_longer_one_rolls_on(fitted, weather):
    whole = fitted.predict()
    pd.testing.assert_frame_equal(fitted.predict(horizon=5), whole.iloc[:5], check_freq=False)
    longer = fitted.predict(horizon=30)
    pd.testing.assert_frame_equal(longer.iloc[:12], whole, check_freq=False)
    rolled = fitted.predict(pd.concat([weather, whole]))
    np.testing.assert_allclose(longer.iloc[12:24], rolled, rtol=1e-4, atol=1e-3)


def test_a_series_never_seen_is_forecast_from_its_own_end(fitted, weather):
    other = weather.iloc[100:300] + 5
    prediction = fitted.predict(other[other.columns[::-1]])
    assert prediction.index[0] == other.index[-1] + pd.Timedelta(hours=1)
    pd.testing.assert_frame_equal(prediction, fitted.predict(other))
    with_time_column = fitted.predict(other.reset_index())
    pd.testing.assert_frame_equal(prediction, with_time_column)


def test_only_the_last_lookback_rows_matter(fitted, weather):
    pd.testing.assert_frame_equal(fitted.predict(weather.iloc[-48:]), fitted.predict(weather))


@pytest.mark.parametrize("kind", ["dense", "memory"])
def test_one_seed_gives_the_same_bits(small, weather, kind):
    network = {**small["network"], "feed_forward": kind, "projection": kind}
    options = {**small, "linear_skip": False, "network": network}
    twice = [STanHopForecaster(**options, seed=3).fit(weather).predict() for _ in range(2)]
    pd.testing.assert_frame_equal(*twice, check_exact=True)
    other = STanHopForecaster(**options, seed=4).fit(weather).predict()
    assert not np.allclose(other, twice[0])


def test_test_rows_are_never_used_by_fit(small, weather):
    changed = weather.copy()
    borders = STanHopForecaster(**small).fit(weather).borders_
    changed.iloc[borders.validation :] = 1e6
    one, two = (STanHopForecaster(**small).fit(f).predict(weather) for f in (weather, changed))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_the_scaler_knows_training_rows_only(fitted, weather):
    rows = weather.to_numpy()[: fitted.borders_.train]
    np.testing.assert_allclose(fitted.scaler_.mean, rows.mean(0))
    np.testing.assert_allclose(fitted.scaler_.scale, rows.std(0))


def test_the_whole_is_not_worse_on_validation_than_its_parts(fitted, weather):
    windows = fitted.fitted_.panel(weather).whole(fitted.lookback, 12)
    scores = score_all(fitted.predictors(), windows, fitted.borders_, fitted.scaler_)
    whole, deep, linear = (s.mse for s in scores["validation"].values())
    assert whole <= min(deep, linear) + 1e-6


def test_without_the_linear_part_the_deep_one_forecasts_alone(small, weather):
    alone = STanHopForecaster(**small, linear_skip=False).fit(weather)
    assert alone.combination_ is None
    assert list(alone.predictors()) == ["STanHop-Net"]
    assert alone.predict().notna().all(axis=None)


@pytest.mark.parametrize("association", ["softmax", "sparsemax", "entmax15", "entmax"])
def test_every_association_trains(small, weather, association):
    options = {**small, "training": {"max_steps": 2}}
    one = STanHopForecaster(**options, association=association, gate="linear", clip=(-0.01, 1.0))
    assert one.fit(weather).predict().notna().all(axis=None)


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_every_loss_trains(small, weather, loss):
    options = {**small, "training": {"max_steps": 2}}
    assert STanHopForecaster(**options, loss=loss).fit(weather).predict().notna().all(axis=None)


def test_holes_are_filled_when_told(small, weather):
    holed = weather.copy()
    holed.iloc[5:9, 0] = np.nan
    with pytest.raises(DataError, match="'temperature_f' has 4 missing values"):
        STanHopForecaster(**small).fit(holed)
    forecaster = STanHopForecaster(**small, missing="interpolate")
    with pytest.warns(TableWarning, match="4 values in 1 of 3 columns were filled by interpolate"):
        forecaster.fit(holed)
    with pytest.warns(TableWarning, match="4 values"):
        assert forecaster.predict(holed).notna().all(axis=None)


def test_arrays_are_series_without_time_stamps(small, weather, fitted):
    on_array = STanHopForecaster(**small).fit(weather.to_numpy())
    prediction = on_array.predict()
    assert isinstance(prediction, np.ndarray)
    np.testing.assert_array_equal(prediction, fitted.predict().to_numpy())
    np.testing.assert_array_equal(on_array.predict(weather.to_numpy(), horizon=3), prediction[:3])


def test_one_line_forecasts(weather, small):
    prediction = forecast(
        weather.iloc[:200], 6, max_epochs=1, network=small["network"], progress=False
    )
    assert prediction.index[0] == weather.index[200]
    assert prediction.shape == (6, 3)


def test_score_is_the_negative_error_over_all_windows(fitted, weather):
    values = torch.from_numpy(fitted.scaler_.transform(weather.to_numpy()[:120]))
    errors = []
    with torch.no_grad():
        for start in range(120 - 48 - 12 + 1):
            window = values[None, start : start + 48]
            truth = values[start + 48 : start + 60]
            errors.append((fitted.network_(window)[0] - truth).square().mean().item())
    assert fitted.score(weather.iloc[:120]) == pytest.approx(-np.mean(errors), rel=1e-5)


def test_it_is_the_last_step_of_a_pipeline_and_in_a_grid_search(small, weather):
    options = {**small, "training": {"max_steps": 3}}
    holed = weather.copy()
    holed.iloc[5:9, 0] = np.nan
    pipeline = make_pipeline(
        SimpleImputer().set_output(transform="pandas"), STanHopForecaster(**options)
    )
    assert list(pipeline.fit(holed).predict(holed).columns) == list(weather.columns)
    search = GridSearchCV(
        STanHopForecaster(**options),
        {"association": ["softmax", "softmax1"], "network": [small["network"]]},
        cv=TimeSeriesSplit(2, max_train_size=500),
    )
    search.fit(weather)
    assert search.best_params_["association"] in ("softmax", "softmax1")
    assert search.predict(weather).shape == (12, 3)


def test_numbers_of_numpy_are_numbers(small, weather, tmp_path):
    options = {
        **small,
        "horizon": np.int64(12),
        "seed": np.int64(0),
        "learning_rate": np.float64(1e-3),
    }
    one = STanHopForecaster(**options).fit(weather, run_folder=tmp_path / "a")
    one.save(tmp_path / "b")
    pd.testing.assert_frame_equal(STanHopForecaster.load(tmp_path / "b").predict(), one.predict())


def test_a_second_fit_forgets_the_first(small, weather):
    one = STanHopForecaster(**small).fit(weather).fit(weather.to_numpy()[:, :2])
    assert not hasattr(one, "feature_names_in_")
    assert one.predict().shape == (12, 2)


@pytest.mark.filterwarnings("ignore::stanhop_app.errors.TableWarning")
def test_one_line_takes_long_tables(weather, small):
    long = weather.iloc[:200].reset_index().melt("time", var_name="id", value_name="y")
    prediction = forecast(long, 6, max_epochs=1, network=small["network"], progress=False)
    assert set(prediction.columns) == set(weather.columns)


def test_clone_and_parameters():
    one = STanHopForecaster(48, association="entmax", network={"dim": 8}, seed=2)
    assert clone(one).get_params() == one.get_params()
    assert one.set_params(horizon=12).horizon == 12


EXPECTED = {
    "check_fit2d_1sample": "one row is no series",
    "check_methods_sample_order_invariance": "rows are a time order",
    "check_methods_subset_invariance": "a forecast follows the last row, it is not one per row",
    "check_fit2d_predict1d": "predict takes a history",
}


def check_cases():
    estimator = STanHopForecaster(
        1,
        2,
        split="2/1/1",
        max_epochs=1,
        batch_size=8,
        network={"patch_length": 2, "dim": 4, "num_heads": 1, "hidden_dim": 4, "num_layers": 1},
        progress=False,
    )
    generator = estimator_checks_generator(
        estimator, legacy=True, expected_failed_checks=EXPECTED, mark="skip"
    )
    return list(generator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    check_cases(),
    ids=lambda x: getattr(getattr(x, "func", x), "__name__", ""),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"association": "attention"}, "unknown association 'attention'; choose one of: softmax, "),
        (
            {"network": {"width": 3}},
            "unknown option 'width' in network; choose from: anchor, bits, coarse",
        ),
        ({"network": {"horizon": 3}}, "option 'horizon' is a parameter of its own"),
        ({"training": {"epochs": 3}}, "unknown option 'epochs' in training"),
        ({"split": "most"}, "split must be a ratio"),
        ({"loss": "rmse"}, "loss must be one of"),
        ({"missing": "drop"}, "missing must be one of"),
    ],
)
def test_bad_options_say_what_was_required(small, weather, options, message):
    with pytest.raises(ValueError, match=message):
        STanHopForecaster(**{**small, **options}).fit(weather)


def test_tables_that_do_not_fit_the_trained_one_are_named(fitted, weather):
    with pytest.raises(
        DataError, match=r"missing: humidity_pct; unexpected: rain.*trained on temp"
    ):
        fitted.predict(weather.rename(columns={"humidity_pct": "rain"}))
    with pytest.raises(DataError, match="frequency 2h, but the forecaster was trained on h"):
        fitted.predict(weather.iloc[::2])
    with pytest.raises(DataError, match=r"too few rows: 30, but a forecast needs the last 48"):
        fitted.predict(weather.iloc[:30])
    with pytest.raises(ValueError, match="horizon must be in 1..100,000 steps, got 0"):
        fitted.predict(horizon=0)
    with pytest.raises(ValueError, match="X has 2 features"):
        fitted.predict(weather.to_numpy()[:, :2])


def test_too_few_rows_to_fit_says_how_many_are_needed(small, weather):
    with pytest.raises(DataError, match="training part has 46, .* need at least 60 there"):
        STanHopForecaster(**small).fit(weather.iloc[:80])


def test_nothing_is_forecast_before_fit():
    with pytest.raises(NotFittedError):
        STanHopForecaster().predict()


def test_a_path_in_place_of_a_frame_is_told_how_to_be_read(small):
    with pytest.raises(ValueError, match=r"got 'sales\.csv'; read a file with .*read_frame"):
        STanHopForecaster(**small).fit("sales.csv")
