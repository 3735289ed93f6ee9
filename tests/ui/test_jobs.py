"""Processes that the dashboard stops are those that it started."""

import json
import os
import subprocess
import sys

import psutil
import pytest
from stanhop_app.ui import jobs


def job(root, pid, born):
    """A file that names a process, as somebody else might have written it."""
    (root / ".jobs").mkdir(exist_ok=True)
    content = {"name": "a", "command": ["train"], "pid": pid, "started": 0.0, "born": born}
    (root / ".jobs" / "a.json").write_text(json.dumps(content))
    return jobs.find("a")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("pid", [0, -1, 1, 2**40, True, 1.5, "7", None])
def test_numbers_that_name_no_process_of_ours_get_no_signal(root, monkeypatch, pid):
    sent = []
    monkeypatch.setattr(os, "kill", lambda *a: sent.append(a))
    found = job(root, pid, psutil.Process(1).create_time())
    found.stop()
    assert (found.running, sent) == (False, [])


def test_a_number_that_was_given_again_gets_no_signal(root):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        born = psutil.Process(other.pid).create_time()
        found = job(root, other.pid, born - 100)
        assert not found.running
        found.stop()
        assert other.poll() is None
        again = job(root, other.pid, born)
        assert again.running
        again.stop()
        assert other.wait(timeout=20) != 0
        assert not again.running
    finally:
        other.kill()
        other.wait()


def test_files_of_older_versions_name_no_job(root):
    (root / ".jobs").mkdir()
    old = {"name": "a", "command": ["train"], "pid": os.getpid(), "started": 0.0}
    (root / ".jobs" / "a.json").write_text(json.dumps(old))
    assert jobs.find("a") is None
