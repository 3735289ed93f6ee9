"""The final model: fitted on all rows, with the choices of validation; the scored one stays as it was."""

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.final import final_folder
from stanhop_app.forecasting.linear.fit import fit_linear, refit_linear
from stanhop_app.options import defaults_of
from stanhop_app.runs.config import RunConfig
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import score_run


@pytest.fixture(scope="module")
def finals(weather, small):
    """One forecaster of each kind."""
    return {
        kind: STanHopForecaster(**{**small, "final": kind}).fit(weather)
        for kind in ("all", "linear", "none")
    }


def weights(network):
    return torch.cat([tensor.flatten() for tensor in network.state_dict().values()])


def test_the_scored_network_does_not_depend_on_the_final_one(finals):
    for one in finals.values():
        assert torch.equal(weights(one.network_), weights(finals["none"].network_))
        torch.testing.assert_close(one.combination_.weights, finals["none"].combination_.weights)


def test_what_is_fitted_again_is_what_was_asked_for(finals):
    assert finals["none"].fitted_.final is None
    scored, linear, whole = (
        finals["none"].network_, finals["linear"].fitted_.final, finals["all"].fitted_.final,
    )  # fmt: skip
    assert torch.equal(weights(linear.network.deep), weights(scored.deep))
    assert not torch.equal(weights(whole.network.deep), weights(scored.deep))
    assert torch.equal(linear.network.linear.weight, whole.network.linear.weight)
    assert not torch.equal(linear.network.linear.weight, scored.linear.weight)
    assert torch.equal(whole.network.mixture, scored.mixture)
    assert (linear.steps, whole.steps) == (0, finals["all"].history_[-1]["step"])
    assert whole.rows == 900


def test_it_is_what_forecasts(finals, weather):
    forecasts = {kind: one.predict() for kind, one in finals.items()}
    assert not forecasts["all"].equals(forecasts["none"])
    assert not forecasts["linear"].equals(forecasts["none"])
    fitted = finals["all"].fitted_
    window = torch.from_numpy(fitted.scaler.transform(weather.to_numpy()[-48:]))[None]
    with torch.no_grad():
        direct = fitted.scaler.inverse(fitted.final.network(window).numpy()[0])
    np.testing.assert_allclose(forecasts["all"].to_numpy(), direct, rtol=1e-5)


def test_the_same_windows_give_the_same_linear_part(weather):
    windows = Panel.of(weather).windows(48, 12)
    for chosen in fit_linear(windows["train"], windows["validation"]):
        again = refit_linear(chosen, windows["train"])
        torch.testing.assert_close(again.weight, chosen.weight, rtol=1e-4, atol=1e-5)


def test_one_variate_is_fitted_again_too(weather):
    windows = Panel.of(weather.iloc[:, :1]).windows(48, 12)
    chosen = fit_linear(windows["train"], windows["validation"])[0]
    again = refit_linear(chosen, windows["train"])
    torch.testing.assert_close(again.weight, chosen.weight, rtol=1e-4, atol=1e-5)


def test_the_last_rows_count(small, weather):
    """What lies in test rows reaches the final model, and no scored one."""
    changed = weather.copy()
    changed.iloc[-60:-20] += 30.0
    one, other = (
        STanHopForecaster(**{**small, "final": "linear"}).fit(w) for w in (weather, changed)
    )
    assert torch.equal(weights(one.network_), weights(other.network_))
    assert not torch.equal(weights(one.fitted_.final.network), weights(other.fitted_.final.network))


def test_it_is_saved_and_read(finals, tmp_path):
    finals["all"].save(tmp_path / "run")
    again = STanHopForecaster.load(tmp_path / "run")
    pd.testing.assert_frame_equal(again.predict(), finals["all"].predict(), check_freq=False)
    assert again.fitted_.final.steps == finals["all"].fitted_.final.steps
    assert again.seen_ == finals["all"].seen_
    assert "fitted on all 900 rows, until 2013-04-11" in again.seen_


def test_rows_that_it_has_seen_are_scored_by_the_other(finals, weather, small):
    from stanhop_app import datasets
    from stanhop_app.forecasting.baselines import last_value

    rows = datasets.load("sample").iloc[:, :3]
    baselines = {"last value": last_value(12)}
    run = Run(forecaster=finals["all"])
    later, both, own = (
        score_run(run.on(table), baselines, 24) for table in (rows.iloc[900:1100], rows.iloc[:1100], weather)
    )  # fmt: skip
    assert (later.model, both.model, own.model) == ("final", "split", "split")
    plain = score_run(Run(forecaster=finals["none"]).on(rows.iloc[900:1100]), baselines, 24)
    assert plain.model == "split"
    assert later.table.loc["STanHop-Net"].iloc[0] != plain.table.loc["STanHop-Net"].iloc[0]
    assert both.table.loc["last value"].iloc[0] > 0


def test_the_option_is_declared_once():
    assert defaults_of(RunConfig)["final"] == STanHopForecaster().final
    with pytest.raises(OptionError, match="final must be one of all, linear, none"):
        RunConfig(final="both")


class Cut:
    """Stops a training at its third step."""

    every = 3

    def __call__(self, model, step):
        raise KeyboardInterrupt


def test_a_final_training_that_was_cut_goes_on_to_the_same_weights(
    small, weather, tmp_path, monkeypatch
):
    import stanhop_app.forecasting.final as module

    options = {**small, "final": "all", "training": {"max_steps": 6}}
    whole = STanHopForecaster(**options).fit(weather)
    train = module.train

    def cut(*arguments, **named):
        return train(*arguments, **named, checkpoint_steps=1, watch=Cut())

    monkeypatch.setattr(module, "train", cut)
    with pytest.raises(KeyboardInterrupt):
        STanHopForecaster(**options).fit(weather, run_folder=tmp_path)
    assert (tmp_path / "final" / "checkpoint.safetensors").exists()
    steps = []

    def resumed(model, task, config, **named):
        steps.append(named["resume"])
        return train(model, task, config, **named)

    monkeypatch.setattr(module, "train", resumed)
    again = STanHopForecaster(**options).fit(weather, run_folder=tmp_path, resume=True)
    assert steps == [True]
    assert torch.equal(weights(again.fitted_.final.network), weights(whole.fitted_.final.network))


def test_a_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "final").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="no folder of a run"):
        final_folder(tmp_path / "run", resume=True)
