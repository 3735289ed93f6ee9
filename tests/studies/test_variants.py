"""The comparison of attention variants: cells, a kill, tables, ranks, figures."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from stanhop_app.cli.compare import SIX
from stanhop_app.cli.group import run

from stanhop_app.errors import ArtefactError, TrainingError
from stanhop_app.layers.names import MODULE_SETS
from stanhop_app.models.variants import VARIANTS, parse_variant
from stanhop_app.studies import variants as comparison
from stanhop_app.studies.cells import read_results
from stanhop_app.studies.variants import (
    ComparisonConfig,
    compare,
    in_blocks,
    variant_network,
)
from stanhop_app.studies.variants_report import (
    bits_table,
    comparison_figures,
    comparison_frame,
    comparison_table,
    comparison_tables,
    component_norms,
    failed_table,
    gain_table,
    rank_heading,
    rank_table,
    readable_table,
)

pytestmark = pytest.mark.slow

NETWORK = {"patch_length": 12, "dim": 8, "num_heads": 2, "hidden_dim": 8}
CONFIG = ComparisonConfig(lookback=36, max_epochs=1, network=NETWORK, training={"max_steps": 6})
GRID = {
    "variants": ["softmax", "softmax1+clip+gate+memory"],
    "horizons": [12],
    "seeds": [0, 1],
}
TIMED = ("training_windows_per_second", "one_window_ms")


@pytest.fixture(scope="module")
def compared(weather, tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "variants.json"
    return path, compare(weather, CONFIG, **GRID, results=path)


def untimed(content):
    """Without what a clock said."""
    return {
        key: {name: value for name, value in cell.items() if name not in TIMED}
        for key, cell in content["cells"].items()
    }


def test_every_cell_says_all(compared):
    path, content = compared
    assert read_results(path) == content
    assert len(content["cells"]) == 4
    assert not path.with_name("variants.json.cells").exists()
    for cell in content["cells"].values():
        assert set(cell["bits"]) == {"W8A8", "W6A6", "W4A8", "W4A4"}
        assert set(cell["outliers"]) == set(MODULE_SETS)
        everything = cell["outliers"]["all"]
        norms = [norm for _, norm in cell["modules"].values()]
        kurtoses = [kurtosis for kurtosis, _ in cell["modules"].values()]
        assert everything["max_inf_norm"] == pytest.approx(max(norms), abs=1e-3)
        assert everything["kurtosis"] == pytest.approx(np.mean(kurtoses), abs=1e-3)
        assert everything["max_inf_norm"] >= cell["outliers"]["ffn+norm"]["max_inf_norm"]
        assert cell["steps"]["step"] == list(range(7))
        assert 0 < cell["test_mse"] < 10
        assert np.mean(cell["over_time"]) == pytest.approx(cell["test_mse"], rel=0.1)
    by_variant = {cell["variant"]: cell for cell in content["cells"].values()}
    assert by_variant["softmax"]["no_op"] == pytest.approx(0, abs=1e-5)
    assert by_variant["softmax1+clip+gate+memory"]["no_op"] > 0.05
    assert (
        by_variant["softmax1+clip+gate+memory"]["parameters"] != by_variant["softmax"]["parameters"]
    )


def test_a_difference_is_told_with_its_interval(compared):
    """The first variant is what all others are compared with, window by window."""
    _, content = compared
    table = gain_table(content)
    assert "softmax" not in table.index.get_level_values("variant")
    for (_, variant), row in table.iterrows():
        own, first = (
            np.mean([c["over_time"] for c in content["cells"].values() if c["variant"] == name])
            for name in (variant, "softmax")
        )
        wanted = 100 * (1 - own / first)
        assert row["better by %"] == pytest.approx(wanted, abs=0.02)
        assert row["from"] <= row["better by %"] <= row["to"]
    assert any("95% interval" in heading for heading in comparison_tables(content))
    older = {**content, "cells": {k: {**c, "over_time": None} for k, c in content["cells"].items()}}
    assert len(gain_table(older)) == 0


def test_losses_are_averaged_in_blocks():
    assert in_blocks(np.arange(7.0), 3) == [1.0, 4.5]
    assert in_blocks(np.arange(2.0), 3) == [0.5]


def test_nothing_is_trained_twice(compared, weather, monkeypatch):
    path, content = compared
    monkeypatch.setattr(comparison, "train", lambda *a, **k: pytest.fail("trained again"))
    assert compare(weather, CONFIG, **GRID, results=path) == content
    with pytest.raises(ArtefactError, match="results of other options or data"):
        compare(weather, ComparisonConfig(lookback=48), **GRID, results=path)
    # What an option was that there was not yet is its default.
    later = replace(CONFIG, network={**CONFIG.network, "instance_norm": True})
    assert compare(weather, later, **GRID, results=path) == content
    later = replace(CONFIG, network={**CONFIG.network, "instance_norm": False})
    with pytest.raises(ArtefactError, match="results of other options or data"):
        compare(weather, later, **GRID, results=path)


def test_a_comparison_that_was_killed_goes_on_to_the_same_result(weather, tmp_path, capsys):
    """SIGKILL in the middle of a cell: done cells stay, the broken one goes on from its checkpoint."""
    small = [w for n, v in NETWORK.items() for w in (f"--{n.replace('_', '-')}", str(v))]
    weather.iloc[:400].to_csv(tmp_path / "short.csv")
    command = [
        sys.executable,
        "-m",
        "stanhop_app.cli",
        "compare",
        str(tmp_path / "short.csv"),
        *small,
    ]
    command += ["--lookback", "36", "--max-epochs", "60", "--max-steps", "30", "--horizons", "12"]
    command += ["--variants", "softmax,softmax1+gate", "--seeds", "0", "--quiet"]
    whole, killed = tmp_path / "whole.json", tmp_path / "killed.json"
    assert run([*command[3:], "-o", str(whole)]) == 0
    process = subprocess.Popen([*command, "-o", str(killed)], stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed.json.cells" / "softmax1+gate-12-0" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(json.loads(killed.read_text())["cells"]) == ["softmax, horizon 12, seed 0"]
    capsys.readouterr()
    assert run([*command[3:], "-o", str(killed)]) == 0
    assert capsys.readouterr().err.splitlines() == ["softmax1+gate, horizon 12, seed 0"]
    assert untimed(json.loads(killed.read_text())) == untimed(json.loads(whole.read_text()))
    assert not checkpoint.parent.parent.exists()


def test_tables_are_means_over_seeds(compared):
    content = compared[1]
    frame, table = comparison_frame(content), comparison_table(content)
    assert len(frame) == 4
    assert list(table.index) == [(h, v) for h in GRID["horizons"] for v in GRID["variants"]]
    cells = [
        cell
        for cell in content["cells"].values()
        if (cell["variant"], cell["horizon"]) == ("softmax", 12)
    ]
    row = table.loc[(12, "softmax")]
    assert row["seeds"] == 2
    assert row["test_mse"] == pytest.approx(np.mean([cell["test_mse"] for cell in cells]))
    assert row["test_mse_sd"] == pytest.approx(np.std([c["test_mse"] for c in cells], ddof=1))
    assert row["W4A4"] == pytest.approx(np.mean([cell["bits"]["W4A4"] for cell in cells]))
    other = comparison_table(content, "ffn+norm").loc[(12, "softmax")]
    assert other["kurtosis"] != row["kurtosis"]
    shown = readable_table(content).loc[(12, "softmax")]
    assert shown["test_mse"] == f"{row['test_mse']:.4f} ± {row['test_mse_sd']:.4f}"
    assert shown["parameters"] == f"{cells[0]['parameters']:,}"
    assert list(bits_table(content).columns) == ["float", "W8A8", "W6A6", "W4A8", "W4A4"]


def test_rows_stand_by_horizon_however_the_cells_were_trained(compared):
    _, content = compared
    cells = dict(content["cells"])
    first = next(iter(cells.values()))
    late = {"later": {**first, "horizon": 6}, "last": {**first, "variant": "entmax"}}
    table = comparison_table({**content, "cells": {**cells, **late}})
    horizons = list(table.index.get_level_values("horizon"))
    assert horizons == [6, 12, 12, 12]
    assert table.index[-1] == (12, "entmax")


def test_ranks_are_of_the_means():
    cells = {
        f"{variant} {horizon}": {
            "variant": variant,
            "horizon": horizon,
            "seed": 0,
            **dict.fromkeys(("validation_mse", "test_mae", "no_op", "parameters"), 1.0),
            **dict.fromkeys(TIMED, 1.0),
            "test_mse": mse,
            "modules": {"block": [3.0, mse]},
            "bits": {"W8A8": -mse, "W6A6": 1.0, "W4A8": 1.0, "W4A4": 1.0},
        }
        for horizon in (1, 2)
        for variant, mse in (("a", 2.0), ("b", 1.0), ("c", 3.0 * (-1) ** horizon))
    }
    assert rank_heading({"cells": cells}) == (
        "Ranks among 3 (1: least), mean over horizons (seeds): 1 (1), 2 (1)"
    )
    ranks = rank_table({"cells": cells})
    assert ranks.loc["c", "test_mse"] == 2.0  # first at one horizon, last at the other
    assert ranks.loc["b", "max_inf_norm"] == 1.5
    assert ranks.loc["a", "kurtosis"] == 2.0  # all equal
    assert ranks.index[0] == "b"
    # A variant that was not trained at horizon 2 is not ranked there, and nor is any other.
    fewer = {name: cell for name, cell in cells.items() if name != "c 2"}
    at_one = {name: cell for name, cell in cells.items() if cell["horizon"] == 1}
    pd.testing.assert_frame_equal(rank_table({"cells": fewer}), rank_table({"cells": at_one}))
    assert rank_heading({"cells": fewer}) == (
        "Ranks among 3 (1: least), mean over horizons (seeds): 1 (1); 2 cells that not all have are left out"
    )
    apart = {name: cell for name, cell in cells.items() if name in ("a 1", "b 2")}
    assert rank_table({"cells": apart}).empty
    assert rank_heading({"cells": apart}) == "No ranks: the 2 variants share no horizon and seed"


def test_figures_show_every_variant(compared):
    figures = comparison_figures(compared[1])
    assert len(figures) == 7
    for figure in figures[3:]:
        assert {trace.name for trace in figure.data} == set(GRID["variants"])
    bits = figures[3]
    assert list(bits.data[0].x) == ["float", "W8A8", "W6A6", "W4A8", "W4A4"]
    layers = component_norms(compared[1], "layer")
    assert list(layers.index) == [
        *("blocks.0", "blocks.1", "readers.0", "readers.1", "readers.2"),
    ]
    parts = component_norms(compared[1], "component")
    assert {"blocks.1.time", "blocks.1.series_feed", "blocks.1.time_feed_sum"} <= set(parts.index)
    cell = compared[1]["cells"]["softmax, horizon 12, seed 0"]
    assert parts.loc["blocks.1.time", "softmax"] == cell["modules"]["blocks.1.time"][1]


def test_a_variant_that_cannot_be_trained_does_not_stop_the_others(weather, tmp_path, monkeypatch):
    train = comparison.train

    def fragile(model, *arguments, **options):
        if model.config.association == "softmax":
            raise TrainingError("the training loss is not finite")
        return train(model, *arguments, **options)

    monkeypatch.setattr(comparison, "train", fragile)
    one = {"horizons": [12], "seeds": [0]}
    path = tmp_path / "a.json"
    content = compare(weather, CONFIG, variants=["softmax", "softmax1"], **one, results=path)
    assert content["cells"]["softmax, horizon 12, seed 0"]["failed"].startswith("the training")
    assert list(comparison_table(content).index) == [(12, "softmax1")]
    assert list(failed_table(content).index) == ["softmax, horizon 12, seed 0"]
    with pytest.raises(TrainingError, match="no cell could be trained"):
        compare(weather, CONFIG, variants=["softmax"], **one, results=tmp_path / "b.json")


def test_a_cell_that_was_begun_on_other_data_is_not_taken_up(weather, tmp_path, monkeypatch):
    """Killed in the first cell: there is no results file yet that could tell."""
    one = {"variants": ["softmax"], "horizons": [12], "seeds": [0]}
    path, steps = tmp_path / "a.json", CONFIG.training["max_steps"]
    config = replace(CONFIG, training={"max_steps": 2 * steps}, max_epochs=9)
    look = comparison.OutlierLog.__call__

    def killed(self, model, step):
        if step == 2 * steps:
            raise RuntimeError("killed")
        look(self, model, step)

    monkeypatch.setattr(comparison, "train", partial(comparison.train, checkpoint_steps=3))
    monkeypatch.setattr(comparison.OutlierLog, "__call__", killed)
    with pytest.raises(RuntimeError, match="killed"):
        compare(weather, config, **one, results=path)
    monkeypatch.setattr(comparison.OutlierLog, "__call__", look)
    assert not path.exists()
    assert (tmp_path / "a.json.cells" / "softmax-12-0" / "checkpoint.safetensors").exists()
    with pytest.raises(ArtefactError, match="data_sha256"):
        compare(weather + 1.0, config, **one, results=path)
    with pytest.raises(ArtefactError, match="split was"):
        compare(weather, replace(config, split="12/4/4"), **one, results=path)
    done = compare(weather, config, **one, results=path)
    fresh = compare(weather, config, **one, results=tmp_path / "b.json")
    assert untimed(done) == untimed(fresh)


def test_variants_are_compared_over_the_modules_that_all_have(compared):
    cells = compared[1]["cells"]
    plain, gated = (
        set(cells[f"{name}, horizon 12, seed 0"]["modules"])
        for name in ("softmax", "softmax1+clip+gate+memory")
    )
    assert plain != gated
    row = comparison_frame(compared[1]).iloc[0]
    modules = cells["softmax, horizon 12, seed 0"]["modules"]
    wanted = np.mean([modules[name][0] for name in plain & gated])
    assert row["kurtosis"] == pytest.approx(wanted)


def test_blocks_are_drawn_in_their_order():
    names = [f"blocks.{i}" for i in range(12)] + ["readers.0"]
    cell = {"variant": "a", "horizon": 1, "seed": 0, "modules": {n: [3.0, 1.0] for n in names}}
    cell["modules"]["blocks.11.time"] = [3.0, 2.0]
    content = {"cells": {"a": cell}}
    assert list(component_norms(content, "layer").index) == names
    assert list(component_norms(content, "component").index) == ["blocks.11.time"]


def test_a_split_without_test_rows_is_refused_before_anything_is_trained(weather, tmp_path):
    with pytest.raises(ValueError, match="split 8/2/0 has no test part"):
        compare(weather, replace(CONFIG, split="8/2/0"), **GRID, results=tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_names_of_variants():
    config = ComparisonConfig(clip=(-0.1, 1.0), gate="mlp")
    assert variant_network("entmax+clip+gate+memory", config) == {
        "association": "entmax",
        "linear_skip": False,
        "clip": (-0.1, 1.0),
        "gate": "mlp",
        "feed_forward": "memory",
    }
    for name in VARIANTS:
        parse_variant(name, clip=(-0.1, 1.0), gate="mlp")
    assert ",".join(VARIANTS) == SIX
    with pytest.raises(ValueError, match="variant 'softmax\\+clipped': unknown word 'clipped'"):
        variant_network("softmax+clipped", config)
    with pytest.raises(ValueError, match="unknown association 'soft'"):
        variant_network("soft+clip", config)


def test_the_command_prints_tables_and_writes_a_page(stanhop, csv, tmp_path):
    small = [w for n, v in NETWORK.items() for w in (f"--{n.replace('_', '-')}", str(v))]
    arguments = ["compare", csv, "--variants", "softmax,softmax1", "--seeds", "0", *small]
    arguments += ["--horizons", "12", "--lookback", "36", "--max-steps", "3"]
    arguments += ["--output", tmp_path / "a.json", "--report", tmp_path / "a.html"]
    code, out, err = stanhop(*arguments, "--modules", "ffn+norm")
    assert code == 0, err
    assert err.splitlines()[:2] == ["softmax, horizon 12, seed 0", "softmax1, horizon 12, seed 0"]
    for words in ("kurtosis and max norm over ffn+norm", "Ranks", "Test MSE against bits"):
        assert words in out
    page = (tmp_path / "a.html").read_text()
    assert page.count("<table") == 4
    assert "<script src=" not in page
    code, _, err = stanhop(*arguments)
    assert (code, "or --force" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "softmax,bilinear"], "unknown association 'bilinear'"),
        (["--variants", "softmax+mask"], "unknown word 'mask'"),
        (["--gate", "soft", "--variants", "softmax+gate"], "gate"),
        (["--clip", "0.1", "1", "--variants", "softmax+clip"], "clip needs gamma <= 0"),
        (["--horizons", "12,x"], "is not a list of numbers"),
        (["--output", "none/x.json"], "the folder none does not exist"),
    ],
)
def test_bad_input_is_one_line(capsys, csv, tmp_path, options, message):
    base = ["compare", str(csv), "--lookback", "36", "--patch-length", "12"]
    if "--output" not in options:
        base += ["--output", str(tmp_path / "a.json")]
    if "--horizons" not in options:
        base += ["--horizons", "12"]
    assert run([*base, *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "a.json").exists()


def test_a_variant_that_is_added_later_changes_no_figure(compared, weather, tmp_path):
    """Neither in a new file nor in one of an older version, which does not say its set of modules."""
    content = json.loads(json.dumps(compared[1]))
    before = comparison_table(content)
    cells = content["cells"]
    cell = next(iter(cells.values()))
    few = dict(list(cell["modules"].items())[:2])
    cells["later"] = {**cell, "variant": "softmax+memory", "modules": few}
    after = comparison_table(content)
    columns = ["kurtosis", "max_inf_norm"]
    pd.testing.assert_frame_equal(after.loc[before.index, columns], before[columns])
    assert after.xs("softmax+memory", level="variant")[columns].isna().all(axis=None)
    old = {k: v for k, v in compared[1].items() if k not in ("kind", "version", "shared_by")}
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"format": 1, **old}))
    filled = compare(weather, CONFIG, **GRID, results=path)
    assert filled["shared_by"] == compared[1]["shared_by"]
