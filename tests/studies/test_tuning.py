"""A search over options: where it looks, what it keeps, and what a kill costs."""

import math
import sys
import tomllib

import numpy as np
import optuna
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import ArtefactError, OptionError, TrainingError
from stanhop_app.models.config import STanHopConfig
from stanhop_app.studies import tuning
from stanhop_app.studies.search import Search, TuneConfig
from stanhop_app.studies.space import DEFAULT_SPACE, FIXED, Dimension, searched, space
from stanhop_app.studies.tuning import JOURNAL, tune
from stanhop_app.studies.tuning_report import (
    as_toml,
    trials_table,
)
from stanhop_app.training.config import TrainingConfig

BASE = {**vars(STanHopConfig(num_variates=3)), **vars(TrainingConfig())}


def test_the_default_space_is_ten_options_and_holds_the_defaults():
    dimensions = space(DEFAULT_SPACE, BASE)
    assert len(dimensions) == 10
    for dimension in dimensions:
        assert dimension.holds(BASE[dimension.name]), dimension.name
    assert {d.name for d in dimensions if d.log} == {"learning_rate", "weight_decay"}
    lookback = next(d for d in dimensions if d.name == "lookback")
    assert lookback.values == (128, 256, 512, 768)
    assert not set(searched()) & set(FIXED)


def test_whatever_is_suggested_is_within_the_bounds_of_its_field():
    named = [f"{n}=2|3" if n in ("coarse_graining", "num_prototypes") else n for n in DEFAULT_SPACE]
    dimensions = space([*named, "association", "decay_gains", "loss", "warmup=0.1..0.5"], BASE)
    for seed in range(30):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
        values = {d.name: d.suggest(trial) for d in dimensions}
        network = {n: v for n, v in values.items() if n in vars(STanHopConfig(num_variates=1))}
        training = {n: v for n, v in values.items() if n not in network}
        assert TrainingConfig(**training)
        network["deep_lookback"] = max(network["deep_lookback"], network["patch_length"])
        assert STanHopConfig(num_variates=1, **network).num_patches >= 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["colour"], "no option 'colour' to search; there are .*dropout"),
        (["seed"], "no option 'seed'"),
        (["dim", "dim=8|16"], "named twice"),
        ([], "named twice, or none is"),
        (["dropout=0..1.5"], r"dropout must be in \[0, 1\), got 1.5"),
        (["dropout=0.3..0.1"], "holds nothing"),
        (["dim=wide"], "dim cannot be 'wide'"),
        (["loss=rmse|mae"], "loss is one of mse, mae, huber, not 'rmse'"),
        (["hidden_dim"], "say where hidden_dim is searched, as hidden_dim=1..4"),
    ],
)
def test_a_space_that_cannot_be_is_one_line(asked, message):
    with pytest.raises(OptionError, match=message) as caught:
        space(asked, BASE)
    assert "\n" not in str(caught.value)


def test_what_is_taken_without_a_search_is_in_the_space():
    (dim,), (dropout,) = space(["dim=8|16"], BASE), space(["dropout=0.2..0.3"], BASE)
    assert dim.values == (8, 16, 64)
    assert (dropout.low, dropout.high) == (0.1, 0.3)
    (steps,) = space(["max_steps=10..100"], BASE)  # without a search there is no such number
    assert (steps.low, steps.high) == (10, 100)


ASKED = ["dropout=0..0.3", "num_prototypes=1..3", "instance_norm"]


@pytest.fixture
def search(weather, small):
    def make(trials, asked=ASKED, **options):
        forecaster = STanHopForecaster(**{**small, "training": {"max_steps": 6}, **options})
        panel = Panel.of_any(weather, forecaster.split)
        return Search.of(forecaster, panel, TuneConfig(trials=trials), asked)

    return make


def test_the_first_trial_is_the_forecaster_as_it_is(search, tmp_path):
    said = []
    study = tune(search(1), tmp_path, say=said.append)
    (trial,) = study.trials
    assert trial.params == {"dropout": 0.1, "num_prototypes": 2, "instance_norm": True}
    fitted = search(1).forecaster.fit_prepared(search(1).forecaster.prepare(search(1).panel))
    windows = search(1).panel.windows(48, 12)["validation"]
    whole = fitted.predictors()["STanHop-Net"]
    with torch.no_grad():
        missed = [
            (truth - made).double().square().mean((1, 2))
            for truth, made in (whole.pairs(windows, batch) for batch in windows.batches())
        ]
    assert trial.value == pytest.approx(float(np.concatenate(missed).mean()), rel=1e-6)
    assert said == [tuning.told(trial, "mse")]


def test_no_test_row_is_read(search, weather, tmp_path):
    changed = search(2)
    test_rows = changed.panel.borders.validation
    other = weather.copy()
    other.iloc[test_rows:] = 1e6
    panel = Panel.of_any(other, changed.forecaster.split)
    again = Search.of(changed.forecaster, panel, changed.config, ASKED)
    first, second = (
        tune(each, tmp_path / str(n), say=print).trials for n, each in enumerate((changed, again))
    )
    assert [t.value for t in first] == [t.value for t in second]


@pytest.mark.slow
def test_a_search_that_was_cut_loses_no_trial(search, tmp_path, monkeypatch):
    whole = tune(search(4), tmp_path / "whole", say=print)
    value, made = Search.value, []

    def cut(self, values, tell):
        made.append(values)
        if len(made) == 2:
            raise KeyboardInterrupt
        return value(self, values, tell)

    monkeypatch.setattr(Search, "value", cut)
    with pytest.raises(KeyboardInterrupt):
        tune(search(4), tmp_path / "cut", say=print)
    monkeypatch.undo()
    said = []
    study = tune(search(4), tmp_path / "cut", say=said.append)
    assert said[0] == "1 trials are there, 3 are left"
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[1].params == study.trials[2].params == made[1]
    assert study.trials[2].value == whole.trials[1].value
    assert "cut" in list(trials_table(study, "mse")["state"])
    assert len(tune(search(4), tmp_path / "cut", say=print).trials) == 5
    more = tune(search(7), tmp_path / "cut", say=print).trials[2:]
    assert len({str(trial.params) for trial in more}) == len(more)  # no stream is drawn again


class Killed(BaseException):
    """What nobody catches, as a kill."""


def test_a_trial_that_kills_its_process_is_given_up_and_told(search, tmp_path, monkeypatch):
    value = Search.value

    def kill(self, values, tell):
        if values["dropout"] != 0.1:
            raise Killed
        return value(self, values, tell)

    monkeypatch.setattr(Search, "value", kill)
    for _ in range(tuning.DEATHS):
        with pytest.raises(Killed):
            tune(search(2), tmp_path, say=print)
    study = tune(search(2), tmp_path, say=print)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    assert len({str(t.params) for t in study.trials[1:]}) == 1
    assert "failed: its process was killed" in tuning.told(study.trials[-1], "mse")
    states = trials_table(study, "mse")["state"]
    assert sorted(states) == ["complete", "cut", "cut", "fail"]


def test_who_stops_a_trial_often_does_not_lose_it(search, tmp_path, monkeypatch):
    value = Search.value

    def stop(self, values, tell):
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "value", stop)
    for _ in range(tuning.DEATHS + 1):
        with pytest.raises(KeyboardInterrupt):
            tune(search(1), tmp_path, say=print)
    monkeypatch.setattr(Search, "value", value)
    assert tune(search(1), tmp_path, say=print).best_params["dropout"] == 0.1


def test_a_gain_is_told_against_the_options_of_no_search_alone(search, tmp_path, monkeypatch):
    """Also where that trial was cut before any of its options was drawn, and made again as another one."""
    suggest = Dimension.suggest

    def cut(self, trial):
        if self.name != "dropout":
            raise Killed
        return suggest(self, trial)

    monkeypatch.setattr(Dimension, "suggest", cut)
    with pytest.raises(Killed):
        tune(search(2), tmp_path, say=print)
    monkeypatch.undo()
    study = tune(search(2), tmp_path, say=print)
    assert study.trials[1].params == {
        "dropout": 0.1,
        "num_prototypes": 2,
        "instance_norm": True,
    }
    assert tuning.without_search(study) == study.trials[1].value


def test_in_a_folder_from_before_the_mark_the_first_trial_is_that_of_no_search(search, tmp_path):
    study = tune(search(1), tmp_path, say=print)
    trial = study.trials[0]
    assert tuning.without_search(study) == trial.value
    older = optuna.create_study()
    older.add_trial(optuna.trial.create_trial(value=3.0))
    assert tuning.without_search(older) == 3.0


@pytest.mark.slow
def test_two_processes_make_as_many_trials(search, tmp_path, monkeypatch):
    script = tmp_path / "script.py"  # of a user, without a guard
    script.write_text("raise SystemExit('the script was run again')")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    sought = search(3)
    sought = Search(**{**vars(sought), "config": TuneConfig(trials=3, parallel=2)})
    study = tune(sought, tmp_path, say=print)
    assert sum(trial.value is not None for trial in study.trials) == 3


def test_what_is_worse_than_most_is_ended_early(search, tmp_path, monkeypatch):
    def value(self, values, tell):
        height = float(values["dropout"])
        for epoch in (1, 2, 3):
            tell(epoch, height if height == 0.1 else 1.0 + height)
        return height

    monkeypatch.setattr(Search, "value", value)
    study = tune(search(20), tmp_path, say=print)
    pruned = [t for t in study.trials if t.state.name == "PRUNED"]
    assert pruned
    assert all(t.last_step in (2, 3) for t in pruned)
    assert study.best_params["dropout"] < 0.1 or study.best_value == pytest.approx(0.1)
    monkeypatch.undo()
    losses = search(1, ["loss", "dropout"])
    assert isinstance(tuning._study(losses, tmp_path.parent).pruner, optuna.pruners.NopPruner)


def test_options_that_do_not_go_together_are_failed_trials(search, tmp_path):
    said = []
    study = tune(search(6, ["patch_length=12|96", "lookback=48|60"]), tmp_path, say=said.append)
    failed = [t for t in study.trials if t.state.name == "FAIL"]
    assert failed
    assert all("lookback must hold" in t.user_attrs["error"] for t in failed)
    assert math.isfinite(study.best_value)


def test_another_search_or_a_damaged_journal_is_refused(search, tmp_path):
    tune(search(1), tmp_path, say=print)
    with pytest.raises(ArtefactError, match="trials of other options, another space or table"):
        tune(search(1, ["dropout"]), tmp_path, say=print)
    with pytest.raises(ArtefactError, match="other options"):
        tune(search(1, lookback=36), tmp_path, say=print)
    tune(search(1, ["dropout"]), tmp_path, say=print, force=True)
    journal = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(journal + b'{"op_code": 4, "work')  # cut by a kill
    assert tune(search(1, ["dropout"]), tmp_path, say=print).best_value
    (tmp_path / JOURNAL).write_text('{"op_code": 0, "worker\n')
    with pytest.raises(ArtefactError, match="damaged") as caught:
        tune(search(1, ["dropout"]), tmp_path, say=print)
    assert "\n" not in str(caught.value)
    (tmp_path / JOURNAL).unlink()
    (tmp_path / JOURNAL).symlink_to("/etc/passwd")
    with pytest.raises(ArtefactError, match="no plain file"):
        tune(search(1), tmp_path, say=print)


def test_trials_that_all_fail_are_an_error(search, tmp_path, monkeypatch):
    def value(self, values, tell):
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(Search, "value", value)
    with pytest.raises(TrainingError, match="no trial came to an end: the loss is not finite"):
        tune(search(2), tmp_path, say=print)


@pytest.mark.slow
def test_the_command_writes_what_train_takes(stanhop, csv, tmp_path):
    words = ["--horizon", "12", "--lookback", "48", "--patch-length", "12", "--dim", "16"]
    words += ["--max-steps", "4", "--num-heads", "2"]
    asked = ["--trials", "6", "--search", "dropout,num_layers=1|2"]
    page, folder = tmp_path / "page.html", tmp_path / "tuned"
    tuned = ["tune", csv, *words, *asked, "-o", folder]
    code, out, err = stanhop(*tuned, "--report", page)
    assert code == 0, err
    assert "Trials, the best first" in out
    assert "Error on validation, trial by trial" in page.read_text()
    best = tomllib.loads((folder / "best.toml").read_text())
    assert best["dim"] == 16
    assert {"dropout", "num_layers", "split", "horizon", "max_steps"} <= set(best)
    again = stanhop(*tuned, "--json")
    assert f'"trials": {6}' in again[1]
    run = tmp_path / "run"
    code, _, err = stanhop("train", csv, "--config", folder / "best.toml", "-q", "-o", run)
    assert code == 0, err
    made = STanHopForecaster.load(run)
    assert made.network_.config.num_layers == best["num_layers"]
    assert made.network_.config.dropout == best["dropout"]
    code, _, err = stanhop("tune", csv, *words, "--search", "colour")
    assert code == 2
    assert "no option 'colour' to search" in err


def test_options_are_written_as_toml():
    options = {"a": True, "b": 0.1, "c": ['say "x"', "d,e"], "f": (-0.5, 1.0), "g": 'back\\"slash'}
    read = tomllib.loads(as_toml(options, "one\ntwo"))
    assert read == {
        "a": True,
        "b": 0.1,
        "c": '"say ""x""","d,e"',
        "f": [-0.5, 1.0],
        "g": 'back\\"slash',
    }
