"""A run folder that somebody else filled: every page opens, says what is wrong, and waits for nothing."""

import json
import os
import shutil

import pytest
from pages import errors
from stanhop_app.ui.pages import PAGES
from streamlit.testing.v1 import AppTest

from stanhop_app.studies.present import PRESENTERS

KINDS = (*PRESENTERS, "variants", "memory", "suite", "benchmark")
CELLS = (
    {"cells": 3},
    {"cells": {"a": []}},
    {"cells": {"a": {}}},
    {"cells": {"a": {"failed": 1}}},
    {"cells": {}},
    {"options": [], "cells": {"a": {"variant": 1, "modules": [], "value": "x", "memories": None}}},
)


@pytest.fixture(scope="module")
def hostile(trained, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile") / "runs"
    root.mkdir()

    def folder(name, content=None):
        (root / name).mkdir()
        if content is not None:
            (root / name / "config.json").write_bytes(content)
        return root / name / "config.json"

    os.mkfifo(folder("fifo"))
    folder("device").symlink_to("/dev/zero")
    folder("circle").symlink_to("config.json")
    folder("nothing").symlink_to("/nowhere/config.json")
    folder("deep", b'{"format":' * 50_000)
    folder("list", b"[1]")
    folder("empty", b"")
    folder("binary", bytes(range(256)) * 10)
    folder("numbers", b'{"format": "stanhop-forecaster", "format_version": 1e400}')
    folder("\x1b[2Jname", b"{}")
    (root / "outside").symlink_to("/etc")
    strange = os.path.join(os.fsencode(root), b"\xff\xfe")
    os.mkdir(strange)
    with open(os.path.join(strange, b"config.json"), "w") as file:
        file.write("{}")
    run = shutil.copytree(trained, root / "pipe-for-weights")
    (weights,) = run.glob("model-*")
    weights.unlink()
    os.mkfifo(weights)
    os.mkfifo(root / "fifo.json")
    os.mkfifo(root / "fifo.parquet")
    (root / "endless.parquet").symlink_to("/dev/zero")
    (root / "junk.parquet").write_bytes(b"PAR1" * 100)
    (root / "folder.json").mkdir()
    (root / "link.json").symlink_to("/nowhere")
    (root / "zero.json").symlink_to("/dev/zero")
    for kind in KINDS:
        for number, cells in enumerate(CELLS):
            content = json.dumps({"kind": kind, "version": 1, **cells})
            (root / f"{kind}-{number}.json").write_text(content)
    (root / ".jobs").mkdir()
    for number, content in enumerate(("[]", "{", '{"name": 1}', '{"pid": -1, "command": 3}')):
        (root / ".jobs" / f"{number}.json").write_text(content)
    os.mkfifo(root / ".jobs" / "pipe.json")
    return root


@pytest.fixture
def opened(hostile, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(hostile))

    def run(path, **query):
        script = f"from stanhop_app.ui.pages import PAGES\n[p for p in PAGES if p.path == {path!r}][0].show()"
        app = AppTest.from_string(script, default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return run


@pytest.mark.slow
@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_every_page_opens(opened, path):
    app = opened(path)
    assert not app.exception, app.exception
    for box in app.selectbox:  # every results file in turn
        for choice in box.options if box.label in ("Results", "Comparison") else []:
            shown = app.selectbox(key=box.key).set_value(choice).run()
            assert not shown.exception, (choice, shown.exception)


@pytest.mark.parametrize(
    "name",
    [
        "fifo",
        "device",
        "deep",
        "list",
        "empty",
        "binary",
        "numbers",
        "pipe-for-weights",
        "\x1b[2Jname",
    ],
)
def test_a_bad_run_is_one_error(opened, name):
    app = opened("", run=name)
    shown = name.replace("\x1b", "\\x1b")
    said = errors(app) + [warning.value for warning in app.warning]
    (message, *_) = [one for one in said if shown in one]
    assert len(message.splitlines()) == 1
    assert "\x1b" not in message


def test_a_name_that_is_no_text_is_told_beside_the_others(opened):
    app = opened("")
    assert [w.value for w in app.sidebar.warning] == [
        "\\udcff\\udcfe: its name is not UTF-8; rename it to open it here."
    ]
