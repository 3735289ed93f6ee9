"""A folder is as it was written, or the first file that is not is named."""

import json
import shutil

import pytest

from stanhop_app.errors import ArtefactError
from stanhop_app.runs.verifying import verify


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_a_run_is_as_it_was_written(run, stanhop):
    code, out, err = stanhop("verify", run, "--json")
    files = json.loads(out)["files"]
    assert code == 0
    assert {name.split("-")[0] for name in files} == {
        "baselines",
        "config.json",
        "model",
        "outliers",
    }
    code, out, err = stanhop("verify", run)
    assert (code, len(out.splitlines())) == (0, 4)
    assert "4 files are as they were written" in err


@pytest.mark.parametrize("name", ["baselines", "config", "model", "outliers"])
def test_one_flipped_bit_in_any_file_is_told(run, stanhop, name):
    (path,) = run.glob(f"{name}*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, err = stanhop("verify", run)
    assert (code, out) == (4, "")
    assert path.name in err
    assert len(err.splitlines()) == 1


def test_what_cannot_be_verified_is_said(run, tmp_path, forge):
    with pytest.raises(ArtefactError, match="not a run"):
        verify(tmp_path)
    forge(run, format_version=3)
    with pytest.raises(ArtefactError, match="of an older version"):
        verify(run)


def test_runs_of_the_suite_are_verified_too(stanhop, tmp_path):
    words = ["suite", "train", "vit", "--data", "digits", "--max-steps", "1", "--dim", "16"]
    assert stanhop(*words, "--num-heads", "2", "--output", tmp_path / "vit")[0] == 0
    assert stanhop("verify", tmp_path / "vit")[0] == 0
