"""The run that comes with stanhop: whole, as its page says, and what its command trains."""

import numpy as np
import pytest
from stanhop_app.datasets import sample
from stanhop_app.ui import opening

from stanhop_app import STanHopForecaster, datasets
from stanhop_app.runs.run import Run
from stanhop_app.runs.verifying import verify


def test_the_run_that_comes_with_stanhop_is_whole_and_of_the_options_that_pages_print():
    assert len(verify(sample.RUN)) == 3
    run = Run.open(sample.RUN)
    assert run.keeps_all
    assert run.on_kept().table.fingerprint == run.on(datasets.load("sample")).table.fingerprint
    kept = run.forecaster.kept_params()
    network = opening.SAMPLE_OPTIONS["network"]
    given = {name: value for name, value in opening.SAMPLE_OPTIONS.items() if name != "network"}
    assert {name: kept[name] for name in given} == given
    assert {name: kept["network"][name] for name in network} == network


@pytest.mark.slow
def test_training_it_anew_gives_the_run_that_comes_with_stanhop():
    made = STanHopForecaster(**opening.SAMPLE_OPTIONS, progress=False).fit(datasets.load("sample"))
    shipped = Run.open(sample.RUN).forecaster
    spread = datasets.load("sample").to_numpy().std(0)
    difference = np.abs(made.predict().to_numpy() - shipped.predict().to_numpy())
    assert (difference < 1e-3 * spread).all()
