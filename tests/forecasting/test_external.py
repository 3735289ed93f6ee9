"""External memory: laws of the store and its retrieval, its choice, and the forecaster with it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import ArtefactError, OptionError, TableWarning
from stanhop_app.forecasting.evaluation import score
from stanhop_app.forecasting.external.analogues import analogues
from stanhop_app.forecasting.external.choice import fill
from stanhop_app.forecasting.external.correction import KeyKind, Memory, measured
from stanhop_app.forecasting.external.reference import missed_in_training
from stanhop_app.forecasting.external.retrieval import Rule, squared
from stanhop_app.forecasting.external.sliding import Slid
from stanhop_app.forecasting.external.store import Store
from stanhop_app.forecasting.linear.fit import fit_linear, refit_linear

LOOKBACK, HORIZON = 24, 6
SMALL = {
    "horizon": HORIZON,
    "lookback": LOOKBACK,
    "max_epochs": 1,
    "network": {"patch_length": 6, "dim": 16, "num_heads": 2, "hidden_dim": 16},
    "progress": False,
}


@pytest.fixture(scope="module")
def windows(echoes):
    return Panel.of(echoes).windows(LOOKBACK, HORIZON)


@pytest.fixture(scope="module")
def linear(windows):
    return fit_linear(windows["train"], windows["validation"])[0]


@pytest.fixture(scope="module")
def memory(windows, linear):
    store = fill(linear, tuple(windows.values()))
    kind = KeyKind(steps=12, calendar=True)
    spread, typical = measured(store, kind)
    return Memory(
        store=store,
        kind=kind,
        rule=Rule(neighbours=20),
        strength=torch.full((HORIZON, 2), 0.7),
        spread=spread,
        typical=typical,
    )


@pytest.fixture(scope="module")
def fitted(echoes):
    return STanHopForecaster(**SMALL, memory="plug").fit(echoes[:-48])


def asked(windows, part="test", step=7):
    numbers = torch.arange(0, len(windows[part]), step)
    x, y = windows[part].gather(numbers)
    return x, y, windows[part].when(numbers)


def test_an_empty_store_changes_nothing_to_the_bit(memory, windows):
    x, y, when = asked(windows)
    empty = replace(memory, store=memory.store.only(torch.arange(0)))
    assert empty.correct(-0.0 * y, x, when) is not None
    forecast = -0.0 * y
    assert empty.correct(forecast, x, when) is forecast


def test_before_all_that_is_stored_nothing_is_read(memory, windows):
    x, y, when = asked(windows, "train", 400)
    early = when.clone()
    early[:, 0] = memory.store.ends.min()
    torch.testing.assert_close(memory.correct(y, x, early), y, rtol=0, atol=0)


@pytest.mark.parametrize("association", ["softmax", "softmax1", "sparsemax", "entmax15"])
def test_one_exact_match_returns_its_value_in_the_limit(memory, association):
    sharp = replace(memory, rule=Rule(neighbours=20, association=association, sharpness=1e5))
    numbers = torch.tensor([100, 777])
    store = memory.store
    rows = store.origins[numbers][:, None] + torch.arange(-LOOKBACK, 0)
    sharp = replace(sharp, kind=replace(memory.kind, calendar=False))
    made = sharp.missed(store.rows[rows], None)
    torch.testing.assert_close(made, store.missed[numbers], rtol=1e-4, atol=1e-4)


def test_far_away_softmax1_says_nothing_and_softmax_goes_on(memory, windows):
    x, _, when = asked(windows)
    far = x.clone()
    far[:, -12:-1] += 1000 * torch.randn(11, 2, generator=torch.Generator().manual_seed(0))
    size = {
        name: replace(memory, rule=Rule(neighbours=20, association=name))
        .missed(far, when)
        .abs()
        .max()
        for name in ("softmax", "softmax1")
    }
    assert size["softmax1"] == 0
    assert size["softmax"] > 0.01


def test_the_order_of_the_store_does_not_matter(memory, windows):
    x, _, when = asked(windows)
    order = torch.randperm(len(memory.store), generator=torch.Generator().manual_seed(0))
    mixed = replace(memory, store=memory.store.only(order))
    torch.testing.assert_close(mixed.missed(x, when), memory.missed(x, when), rtol=1e-4, atol=1e-5)


def test_in_turns_is_at_once(memory, windows, monkeypatch):
    x, _, when = asked(windows)
    whole = memory.missed(x, when)
    from stanhop_app.forecasting.external import retrieval

    monkeypatch.setattr(retrieval, "LARGEST_CHUNK", 3 * 3 * len(memory.store))
    torch.testing.assert_close(memory.missed(x, when), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_future_of_a_forecast_is_not_read(memory, windows, echoes, frozen):
    """Whatever lies at or behind the first target of a window may be anything else."""
    x, _, when = asked(windows, step=50)
    before = memory.missed(x, when, frozen=frozen)
    store = memory.store
    for number in range(0, len(x), 3):
        later = store.ends >= when[number, 0]
        other = store.missed.clone()
        other[later] = 1e6
        other = replace(memory, store=replace(store, missed=other))
        made = other.missed(x[[number]], when[[number]], frozen=frozen)
        torch.testing.assert_close(made, before[[number]])


@pytest.mark.parametrize("steps", [1, 5, 24, 400])
def test_products_by_fourier_transforms_are_those_of_the_keys(memory, windows, steps):
    """Of two series in one array, whose first windows are longer than the rows before them."""
    store = memory.store
    second = 1000
    begins = torch.where(store.origins > second, second, 0)
    store = replace(store, begins=begins).only(torch.arange(0, len(store), 3))
    queries = torch.randn(4, steps, 2, generator=torch.Generator().manual_seed(0))
    expected = squared(queries, store.shapes(steps, torch.arange(len(store))))
    torch.testing.assert_close(
        Slid.of(store, steps).squared(queries), expected, rtol=1e-3, atol=1e-2
    )


def test_frozen_reads_nothing_behind_the_validation_rows(memory, windows):
    x, _, when = asked(windows)
    kept = replace(memory, store=memory.store.only((memory.store.part < 2).nonzero().flatten()))
    torch.testing.assert_close(
        memory.missed(x, when, frozen=True), kept.missed(x, when), rtol=1e-4, atol=1e-5
    )
    assert not torch.allclose(memory.missed(x, when), kept.missed(x, when), atol=1e-3)


def test_training_windows_are_remembered_by_maps_that_did_not_see_them(windows, linear):
    """The map of a fold, fitted on the windows that share no target with it, computed without moments."""
    train = windows["train"]
    numbers = torch.arange(0, len(train), 3)
    missed = missed_in_training(linear, train, numbers)
    fold = numbers.chunk(8)[0]
    rest = replace(train, first=LOOKBACK + int(fold[-1]) + HORIZON + 1)
    x, y = train.gather(fold)
    expected = y - refit_linear(linear, rest).module()(x)
    torch.testing.assert_close(missed[: len(fold)], expected, rtol=1e-3, atol=1e-3)
    seen = y - refit_linear(linear, train).module()(x)
    assert missed.square().mean() > 0
    assert not torch.allclose(missed[: len(fold)], seen, atol=1e-5)


def test_it_takes_away_what_a_linear_map_misses(fitted, echoes):
    memory = fitted.fitted_.memory
    assert memory is not None
    assert memory.gain > 0.03
    panel = fitted.fitted_.panel(echoes[:-48])
    test = panel.windows(LOOKBACK, HORIZON)["test"]
    errors = {}
    for name, predictor in fitted.predictors().items():
        errors[name] = score(predictor, test, fitted.scaler_).mse
    assert errors["STanHop-Net"] < 0.98 * errors["without memory"]


def test_it_is_saved_and_goes_on(fitted, echoes, tmp_path):
    fitted.save(tmp_path / "run")
    read = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(read.predict(), fitted.predict())
    halves = STanHopForecaster.load(tmp_path / "run")
    read.update(echoes[-48:])
    halves.update(echoes[-48:-24]).update(echoes[-24:])
    one, two = (forecaster.fitted_.memory.store for forecaster in (read, halves))
    assert len(one) == len(fitted.fitted_.memory.store) + 48
    for name, tensor in one.tensors().items():
        torch.testing.assert_close(tensor, two.tensors()[name], rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(read.predict(), halves.predict(), rtol=1e-4)


def test_no_memory_where_validation_finds_nothing():
    index = pd.date_range("2024-01-01", periods=600, freq="h")
    noise = pd.DataFrame({"x": np.random.default_rng(0).normal(size=600)}, index=index)
    with_, without = (
        STanHopForecaster(**SMALL, memory=kind).fit(noise) for kind in ("plug", "none")
    )
    assert with_.fitted_.memory is None
    pd.testing.assert_frame_equal(with_.predict(), without.predict())


def test_what_cannot_be(fitted):
    with pytest.raises(OptionError, match="memory must be one of none, plug, got 'much'"):
        STanHopForecaster(memory="much").prepare(np.zeros((600, 1)))
    with pytest.raises(OptionError, match="needs the linear part"):
        STanHopForecaster(memory="plug", linear_skip=False).prepare(np.zeros((600, 1)))
    memory = fitted.fitted_.memory
    tensors = memory.tensors()
    for name, wrong in (
        ("origins", tensors["origins"] + 10**6),
        ("missed", tensors["missed"][:, :-1]),
        ("ends", tensors["ends"][:-1]),
    ):
        with pytest.raises(ArtefactError, match=f"the memory's {name} cannot be"):
            Memory.restored(memory.as_json(), {**tensors, name: wrong}, fitted.network_.config)
    for name, wrong in (("steps", 25), ("association", "none")):
        with pytest.raises(ArtefactError, match="the memory reads .*; damaged"):
            Memory.restored({**memory.as_json(), name: wrong}, tensors, fitted.network_.config)


@pytest.mark.filterwarnings("ignore:2 values .* are missing")
@pytest.mark.parametrize("column", ["constant", "holes"])
def test_columns_that_tell_nothing_do_not_make_it_nothing(echoes, column):
    """A column that never changes has no typical distance; a hole is in no stored window or product."""
    table = echoes.assign(c=1.0) if column == "constant" else echoes.copy()
    if column == "holes":
        table.iloc[200, 0] = table.iloc[2000, 1] = np.nan
    missing = "mask" if column == "holes" else "error"
    made = STanHopForecaster(**SMALL, memory="plug", missing=missing).fit(table)
    assert made.fitted_.memory.gain > 0.03
    assert np.isfinite(made.predict().to_numpy()).all()


@pytest.mark.slow
def test_an_array_and_a_table_of_years_have_a_season_of_one(echoes):
    made = STanHopForecaster(**SMALL, memory="plug").fit(echoes.to_numpy())
    assert np.isfinite(made.predict()).all()


def test_a_mistyped_value_is_not_remembered(echoes):
    wrong = echoes.copy()
    wrong.iloc[-60, 0] = 1e6
    with pytest.warns(TableWarning, match="1e"):
        made = STanHopForecaster(**SMALL, memory="plug").fit(wrong[:-48])
    store = made.fitted_.memory.store
    assert float(store.missed.abs().max()) < 100
    assert float(store.rows.abs().max()) < 100


def test_the_way_of_reading_does_not_hang_on_test_rows(echoes, fitted):
    other = echoes[:-48].copy()
    other.iloc[fitted.borders_.validation :] *= 2
    again = STanHopForecaster(**SMALL, memory="plug").fit(other)
    for name in ("spread", "typical", "strength"):
        one, two = (getattr(f.fitted_.memory, name) for f in (fitted, again))
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    assert again.fitted_.memory.kind == fitted.fitted_.memory.kind


def test_a_bounded_store_keeps_the_newest(memory):
    row = 4 * memory.store.missed[0].numel()
    kept = memory.store.bounded(10 * row)
    assert len(kept) == 10
    torch.testing.assert_close(kept.ends, memory.store.ends[-10:])
    assert memory.store.bounded() is memory.store
    assert isinstance(kept, Store)


def test_analogues_say_what_a_forecast_rests_on(fitted, echoes):
    told = analogues(fitted.fitted_)
    assert told.windows["weight"].is_monotonic_decreasing
    assert told.windows["weight"].sum() + told.no_op == pytest.approx(1)
    assert told.windows["first"].max() <= echoes.index[-48 - HORIZON]
    bare = replace(fitted.fitted_, memory=None)
    alone = bare.outlook.forecast(bare.forecast_windows, None, HORIZON)
    pd.testing.assert_frame_equal(
        fitted.predict() - alone, told.moved, rtol=1e-3, atol=1e-5, check_names=False
    )
    assert str(told.windows["first"].iloc[0]) in str(told)
    pd.testing.assert_frame_equal(told.forecast, fitted.predict(), rtol=1e-4, check_freq=False)
    pd.testing.assert_frame_equal(told.alone, alone, rtol=1e-4, check_freq=False)
    again = analogues(fitted.fitted_, echoes[:-48])
    pd.testing.assert_frame_equal(again.moved, told.moved)


def test_analogues_are_windows_of_the_table_moved_to_where_the_last_one_ends(fitted, echoes):
    told = analogues(fitted.fitted_)
    steps = len(told.window)
    pd.testing.assert_frame_equal(told.window, echoes[-48 - steps : -48], check_freq=False)
    for number, first in told.windows["first"].head(8).items():
        origin = echoes.index.get_loc(first)
        wanted = echoes.to_numpy()[origin - steps : origin + HORIZON]
        wanted = wanted - echoes.to_numpy()[origin - 1] + told.window.to_numpy()[-1]
        np.testing.assert_allclose(told.drawn[number], wanted, atol=1e-5)
    assert list(told.drawn[number].index) == [*told.window.index, *told.forecast.index]


def test_an_analogue_that_is_switched_off_is_not_read(fitted):
    told = analogues(fitted.fitted_)
    first = told.windows.index[0]
    other = analogues(fitted.fitted_, without=[first])
    assert first not in other.windows.index
    assert set(told.windows.index[1:30]) <= set(other.windows.index)
    assert not other.forecast.equals(told.forecast)
    pd.testing.assert_frame_equal(other.alone, told.alone, rtol=1e-5)
    every = range(len(fitted.fitted_.memory.store))
    nothing = analogues(fitted.fitted_, without=every)
    assert (nothing.moved == 0).all(axis=None)
    assert nothing.no_op == 1
    assert nothing.windows.empty
    with pytest.raises(OptionError, match="no stored window has the number -1"):
        analogues(fitted.fitted_, without=[-1])


def test_what_cannot_be_explained_is_said(fitted):
    with pytest.raises(OptionError, match="has no external memory"):
        analogues(replace(fitted.fitted_, memory=None))
