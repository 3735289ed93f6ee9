"""The one engine of all studies: heads, resumption, what an older version left."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from stanhop_app.errors import ArtefactError, CheckpointError, OptionError, TrainingError
from stanhop_app.studies import memory
from stanhop_app.studies.cells import BEGUN, fill, keep, open_results, read_head, read_results
from stanhop_app.training.folder import CHECKPOINT

CELLS = [{"horizon": 6, "split": "14/5/5"}, {"horizon": 12, "split": "14/5/5"}]


def name(cell):
    return f"horizon {cell['horizon']}"


def run(path, make, said=None, **identity):
    say = [].append if said is None else said.append
    return fill(open_results(path, "trial", 3, identity), path, CELLS, make, name=name, say=say)


def test_a_file_begins_with_its_kind_and_version(tmp_path):
    path = tmp_path / "results.json"
    content = run(path, lambda cell, folder: {"error": 1.0}, options={"a": 1})
    assert list(content)[:2] == ["kind", "version"]
    assert path.read_text().startswith('{\n  "kind": "trial",\n  "version": 3,')
    assert read_head(path) == ("trial", 3)
    assert read_results(path) == content


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ('{"format": 4, "cells": {}}', ("benchmark", 4)),
        ('{"format": 1, "cells": {}}', ("variants", 1)),
        ('{\n  "format": 2,\n  "cells": {}}', ("memory", 2)),
        ('{"format": "suite 1", "cells": {}}', ("suite", 1)),
        ('{"format": "memories 1", "kind": "noise", "cells": {}}', ("noise", 1)),
        ('{"format": "scaling 1", "cells": {}}', ("scaling", 1)),
    ],
)
def test_heads_of_older_versions_are_understood(tmp_path, head, found):
    path = tmp_path / "old.json"
    path.write_text(head)
    assert read_head(path) == found
    content = read_results(path)
    assert (content["kind"], content["version"]) == found
    assert "format" not in content


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9, "cells": {}}', '{"a": 1, "cells": {}}'])
def test_other_files_are_no_results(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    assert read_head(path) is None
    with pytest.raises(ArtefactError, match=r"damaged|no results of stanhop"):
        read_results(path)


def test_only_the_head_of_a_large_file_is_read(tmp_path):
    path = tmp_path / "large.json"
    path.write_bytes(b'{"kind": "trial", "version": 3, "cells": {' + b"\xff" * 10_000)
    assert read_head(path) == ("trial", 3)


def test_cells_without_a_file_have_no_folder_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = run(None, lambda cell, folder: {"folder": folder})
    assert [cell["folder"] for cell in content["cells"].values()] == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_cell_goes_on_in_its_folder(tmp_path):
    path, seen = tmp_path / "results.json", []

    def make(cell, folder):
        folder.mkdir(parents=True, exist_ok=True)
        seen.append(sorted(entry.name for entry in folder.iterdir()))
        (folder / "half").write_text("")
        if len(seen) == 1:
            raise KeyboardInterrupt
        return {"error": 1.0}

    with pytest.raises(KeyboardInterrupt):
        run(path, make)
    assert (tmp_path / "results.json.cells" / "6-14_5_5" / "half").exists()
    run(path, make)
    assert seen == [[BEGUN], [BEGUN, "half"], [BEGUN]]
    assert not (tmp_path / "results.json.cells").exists()


def test_what_an_older_version_left_is_started_anew_alone_and_said(tmp_path):
    path, said = tmp_path / "results.json", []
    left = {"6-14_5_5": "of no version", "12-14_5_5": "of another loop", "24-14_5_5": "good"}
    for values, what in left.items():
        folder = tmp_path / "results.json.cells" / values
        folder.mkdir(parents=True)
        (folder / CHECKPOINT).write_text(what)
        if what != "of no version":
            (folder / BEGUN).write_text('{"kind": "trial", "version": 3}')

    def make(cell, folder):
        begun = folder / CHECKPOINT
        if begun.exists() and begun.read_text() == "of another loop":
            raise CheckpointError("made with other options")
        return {"begun": begun.read_text() if begun.exists() else None}

    content = open_results(path, "trial", 3, {})
    cells = [*CELLS, {"horizon": 24, "split": "14/5/5"}]
    fill(content, path, cells, make, name=name, say=said.append)
    assert [cell["begun"] for cell in content["cells"].values()] == [None, None, "good"]
    anew = "an older version left it unfinished, it is started anew"
    assert said == [
        "horizon 6",
        f"horizon 6: {anew}",
        "horizon 12",
        f"horizon 12: {anew}",
        "horizon 24",
    ]


def test_what_was_begun_with_other_options_is_refused(tmp_path):
    path = tmp_path / "results.json"

    def make(cell, folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, make, options={"dim": 8})
    with pytest.raises(ArtefactError, match=r"6-14_5_5: was begun .*dim was 8, is 16"):
        run(path, make, options={"dim": 16})


def test_other_errors_leave_a_checkpoint_alone(tmp_path):
    def make(cell, folder):
        (folder / CHECKPOINT).write_text("good")
        raise ArtefactError("no such run")

    with pytest.raises(ArtefactError, match="no such run"):
        run(tmp_path / "results.json", make)
    assert (tmp_path / "results.json.cells" / "6-14_5_5" / CHECKPOINT).read_text() == "good"


def test_failed_cells_are_noted_and_the_others_go_on(tmp_path):
    path, said = tmp_path / "results.json", []

    def make(cell, folder):
        if cell["horizon"] == 6:
            raise TrainingError("the loss is not finite")
        return {"error": 1.0}

    content = run(path, make, said)
    assert content["cells"]["horizon 6"]["failed"] == "the loss is not finite"
    assert content["cells"]["horizon 12"]["error"] == 1.0

    def never(cell, folder):
        raise TrainingError("no")

    with pytest.raises(TrainingError, match="no cell could be trained; .*none.json says why"):
        run(tmp_path / "none.json", never)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["benchmark", "compare-memory"])
def test_a_cell_that_was_killed_goes_on_to_the_same_result(
    stanhop, command, weather, tmp_path, monkeypatch
):
    """SIGKILL after the first checkpoint of a cell."""
    monkeypatch.setattr(memory, "speed", lambda networks: {})
    words = ["--lookback", "48", "--max-epochs", "1"]
    if command == "benchmark":
        words += ["--horizons", "12", "--splits", "14/5/5"]
    else:
        words += ["--horizons", "12", "--seeds", "0", "--no-ablations"]
    weather.iloc[:400].to_csv(tmp_path / "short.csv")
    words = [command, str(tmp_path / "short.csv"), *words, "--output"]
    start = [sys.executable, "-m", "stanhop_app.cli", *words]
    killed, whole = tmp_path / "killed.json", tmp_path / "whole.json"
    child = subprocess.Popen(
        [*start, str(killed)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(f"killed.json.cells/*/{CHECKPOINT}")):
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    for path in (killed, whole):
        assert stanhop(*words, path, "--json")[0] == 0
    found = []
    for path in (killed, whole):
        cells = json.loads(path.read_text())["cells"]
        for cell in cells.values():
            for timed in ("seconds", "training_windows_per_second"):
                cell.pop(timed, None)
        found.append(cells)
    assert found[0] == found[1]
    assert not list(tmp_path.glob("*.cells"))


def test_a_kind_that_could_not_be_read_back_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(OptionError, match="is one word, got 'two-words'"):
        open_results(tmp_path / "r.json", "two-words", 1, {})


def test_a_flipped_bit_of_the_checksum_or_its_name_is_found(tmp_path):
    """A file whose checksum has another name looks like one of a version that wrote none."""
    path = tmp_path / "r.json"
    keep({"kind": "memory", "version": 2, "cells": {"a": {"score": 1.0}}}, path)
    whole = path.read_bytes()
    start = whole.index(b'"checksum"')
    for bit in range(8 * start, 8 * whole.index(b"\n", start)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match="damaged"):
            read_results(path)
