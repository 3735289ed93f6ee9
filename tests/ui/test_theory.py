"""The dashboard's page of theory: energies, experiments, and what a run has memorised."""

import json
import time

import pytest
from pages import errors, figures, open_page
from stanhop_app.ui import jobs

from stanhop_app.runs.memorization import run_memorization
from stanhop_app.studies.capacity import MemoryExperiment, claim, run_experiment
from stanhop_app.studies.convergence import (
    ConvergenceExperiment,
    compare_convergence,
    convergence_claim,
)


def theory_page():
    from stanhop_app.ui import theory

    theory.show()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty run folder."""
    path = tmp_path / "runs"
    path.mkdir()
    monkeypatch.setenv("STANHOP_RUNS", str(path))
    return path


def test_energies_of_typed_patterns(root):
    app = open_page(theory_page)
    assert errors(app) == []
    minima = app.dataframe[0].value
    assert minima["energy"].value_counts().to_dict() == {"distance": 3, "mchn": 2, "outeff": 2}
    assert [len(traces) for _, traces in figures(app)] == [
        4,
        4,
        4,
    ]  # values, basins, patterns, minima
    app.text_input(key="patterns").set_value("0,0 5,5").run()
    assert len(app.dataframe[0].value.query("energy == 'distance'")) == 2
    app.text_input(key="patterns").set_value("0,0 5").run()
    assert errors(app) == ["'0,0 5': patterns have different widths."]
    app.text_input(key="patterns").set_value("0,0").run()
    assert "at least two of width 2" in errors(app)[0]


def test_results_show_their_finding(root):
    noise = run_experiment(
        "noise", MemoryExperiment(data="digits", repeats=2), [0.0, 4.0], stored=20
    )
    (root / "noise.json").write_text(json.dumps(noise))
    app = open_page(theory_page)
    assert errors(app) == []
    assert app.success[0].value == claim(noise)
    command = "stanhop theory noise --data digits --beta 50 --steps 1 --stored 20"
    assert app.code[2].value == f"{command} --output runs/noise.json"
    assert [title for title, _ in figures(app)[3:]] == [
        "share retrieved: digits, beta 50, 1 steps, 2 repeats",
        "mean squared error: digits, beta 50, 1 steps, 2 repeats",
    ]
    small = ConvergenceExperiment(dim=8, hidden_dim=8, num_layers=1, max_steps=4)
    learned = compare_convergence(["softmax", "softmax1"], [20], [0], small)
    (root / "learned.json").write_text(json.dumps(learned))
    app = open_page(theory_page)
    app.selectbox(key="theory").set_value("learned.json").run()
    assert app.success[0].value == convergence_claim(learned)
    assert "Training loss on 20 images" in figures(app)[3][0]
    damaged = {**noise, "cells": {"0": {"value": 0}}}
    (root / "noise.json").write_text(json.dumps(damaged))
    app.selectbox(key="theory").set_value("noise.json").run()
    assert "noise.json: damaged or not begun" in errors(app)[0]


@pytest.mark.slow
def test_an_experiment_is_started_from_the_page(root):
    app = open_page(theory_page)
    assert "No results in" in app.info[0].value
    app.selectbox(key="experiment").set_value("noise").run()
    assert app.code[2].value == "stanhop theory noise --data digits --output runs/theory-noise.json"
    app.button(key="start").click().run()
    assert errors(app) == []
    job = jobs.find("theory-noise.theory")
    while job.running:
        time.sleep(0.1)
    app = open_page(theory_page)
    assert "OutEffHop beats its baselines" in app.success[0].value
    assert json.loads((root / "theory-noise.json").read_text())["kind"] == "noise"
    app.text_input(key="name").set_value("../x").run()
    app.button(key="start").click().run()
    assert len(errors(app)) == 1


@pytest.mark.slow
def test_a_run_is_asked_what_it_has_memorised(root):
    app = open_page(theory_page)
    before = len(figures(app))
    app.toggle(key="compare").set_value(True).run()
    assert errors(app) == []
    assert "AUC of losses" in app.success[0].value
    assert len(figures(app)) == before + 4
    from stanhop_app.ui import opening

    wanted = run_memorization(opening.sample_run())
    assert app.success[0].value == wanted.verdict
