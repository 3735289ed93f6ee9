"""Folders of runs: one writer, a whole version at every moment, checksums that nothing escapes."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from stanhop_app import STanHopForecaster
from stanhop_app.errors import ArtefactError, BusyError, OptionError, StorageError
from stanhop_app.files import hashed_name, is_hashed, sha256, write_atomic, write_hashed
from stanhop_app.training.checkpoint import load_tensors, save_tensors
from stanhop_app.training.folder import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    STEPS,
    WRITER,
    check_folder,
    read_config,
    writing,
)


@pytest.fixture(scope="module")
def two(weather, small):
    """Two fits of the same shape whose forecasts differ."""
    return [STanHopForecaster(**small, seed=seed).fit(weather) for seed in (0, 1)]


def forecast(folder):
    return STanHopForecaster.load(folder).predict()


def test_a_file_is_named_after_what_was_written(tmp_path):
    digest = write_hashed(tmp_path / "model.bin", lambda file: file.write_bytes(b"one"))
    (path,) = tmp_path.iterdir()
    assert path.name == hashed_name("model.bin", digest) == f"model-{sha256(path)[:12]}.bin"
    assert is_hashed(path.name, "model.bin")
    assert not is_hashed(path.name, "model.npy")
    assert not is_hashed("model-x.bin", "model.bin")


def test_a_writer_is_alone(tmp_path, two):
    """Also in threads of one process; who asks second is told who writes, and since when."""
    folder = tmp_path / "run"
    told = []

    def second():
        try:
            two[0].save(folder, force=True)
        except BusyError as error:
            told.append(str(error))

    with writing(folder):
        note = json.loads((folder / WRITER).read_text())
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert note["pid"] == os.getpid()
    assert told == [
        f"{folder}: process {os.getpid()} (since {note['since']}) writes into it; wait, or stop it."
    ]
    assert list(folder.iterdir()) == []
    two[0].save(folder)


def test_a_lock_ends_with_its_process(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from stanhop_app.training.folder import writing\n"
        "with writing(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "in\n"
    with pytest.raises(BusyError, match=f"process {other.pid} "), writing(tmp_path):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    (tmp_path / ".model.safetensors.99.part").write_bytes(b"half")  # and what else a kill may leave
    with writing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", range(8))
def test_a_save_that_is_cut_leaves_the_old_run_or_the_new_one(tmp_path, two, monkeypatch, stop):
    """Whatever step of the disk is the last one: renames, removals and writes fail from then on."""
    folder = tmp_path / "run"
    two[0].save(folder)
    old, new = two[0].predict(), two[1].predict()
    steps = 0

    def counted(real):
        def call(*arguments, **options):
            nonlocal steps
            steps += 1
            if steps > stop:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "write_text"):
        monkeypatch.setattr(f"pathlib.Path.{name}", counted(getattr(type(folder), name)))
    with contextlib.suppress(StorageError, OSError):
        two[1].save(folder, force=True)
    monkeypatch.undo()
    found = forecast(folder)
    assert found.equals(old) or found.equals(new)
    two[1].save(folder, force=True)
    assert forecast(folder).equals(new)
    assert len(list(folder.iterdir())) == 2


def test_readers_beside_a_writer_see_a_whole_run(tmp_path, two):
    folder = tmp_path / "run"
    two[0].save(folder)
    wanted = [one.predict().to_numpy() for one in two]
    stop, failures = threading.Event(), []

    def read():
        while not stop.is_set():
            values = forecast(folder).to_numpy()
            if not any(np.array_equal(values, w) for w in wanted):
                failures.append(values)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        two[(turn + 1) % 2].save(folder, force=True)
    stop.set()
    reader.join()
    assert not failures


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(file):
        file.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        StorageError, match=r"a.json: cannot be written \(No space left on device\); the one"
    ):
        write_atomic(path, full)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("name", [None, WRITER, STEPS, HISTORY, ".config.json.7.part"])
def test_what_a_kill_leaves_before_the_first_checkpoint_is_no_trap(tmp_path, name):
    heads = {
        STEPS: "step,total_steps,train_loss,learning_rate\n",
        HISTORY: "epoch,step,train_loss\n",
    }
    if name is not None:
        (tmp_path / name).write_text(heads.get(name, "{}"))
    check_folder(tmp_path, read_config, resume=True, force=False)
    check_folder(tmp_path, read_config, resume=False, force=True)
    if name in heads:
        with pytest.raises(OptionError, match="unfinished run; go on with --resume, or --force"):
            check_folder(tmp_path, read_config, resume=False, force=False)
    else:
        check_folder(tmp_path, read_config, resume=False, force=False)


@pytest.mark.parametrize("name", ["notes.txt", HISTORY, "model.bin"])
def test_a_folder_with_files_of_others_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for options in ({"resume": True, "force": False}, {"resume": False, "force": True}):
        with pytest.raises(OptionError, match=f"holds files and no run, such as {name}"):
            check_folder(tmp_path, read_config, **options)


@pytest.mark.slow
def test_a_forced_training_that_is_cut_leaves_the_finished_run(trained, csv, tmp_path, stanhop):
    """The old run forecasts all the while; the new one goes on, and replaces it when it is whole."""
    run = shutil.copytree(trained, tmp_path / "run")
    before = forecast(run)
    words = [sys.executable, "-m", "stanhop_app.cli", "train", str(csv), "--output", str(run)]
    words += ["--horizon", "12", "--lookback", "48", "--patch-length", "12", "--dim", "16"]
    words += ["--num-heads", "2", "--batch-size", "4", "--max-epochs", "40", "--seed", "3"]
    child = subprocess.Popen([*words, "--force"], stderr=subprocess.DEVNULL)
    while not (run / STEPS).exists() or not (run / CHECKPOINT).exists():
        assert child.poll() is None
    child.kill()
    child.wait()
    pd.testing.assert_frame_equal(forecast(run), before, check_exact=True)
    code, _, err = stanhop(*words[3:])
    assert code == 2
    assert "holds a finished run" in err
    assert (run / CHECKPOINT).exists()
    code, _, err = stanhop("train", "--resume", *words[4:-2], "--seed", "3", "--max-epochs", "1")
    assert code == 4  # it was begun with other options
    pd.testing.assert_frame_equal(forecast(run), before, check_exact=True)
    short = [*words[4:], "--force", "--max-steps", "2"]
    assert stanhop("train", *short)[0] == 0
    assert not (run / CHECKPOINT).exists()
    assert read_config(run)["parameters"]["seed"] == 3


def test_a_forced_training_that_finds_no_room_leaves_the_logs_too(
    trained, csv, tmp_path, stanhop, monkeypatch
):
    """They are replaced when the new training can be gone on with, and not before."""
    run = shutil.copytree(trained, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.name != WRITER}
    assert {HISTORY, "steps.csv"} & set(before)

    def full(*_):
        raise StorageError("checkpoint.safetensors: cannot be written (No space left on device).")

    monkeypatch.setattr("stanhop_app.training.state.save_tensors", full)
    words = [
        "train",
        csv,
        "--horizon",
        "12",
        "--lookback",
        "48",
        "--patch-length",
        "12",
        "--dim",
        "16",
    ]
    code, _, err = stanhop(*words, "--num-heads", "2", "--max-steps", "2", "--force", "-o", run)
    assert (code, "No space left" in err) == (1, True)
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.name != WRITER} == before


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / CHECKPOINT
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    save_tensors(path, {**tensors, "c": torch.tensor(3)}, {"position": {"step": 7}})
    return path


def same(one, other):
    return (
        one[1] == other[1]
        and one[0].keys() == other[0].keys()
        and all(
            torch.equal(one[0][k], other[0][k]) and one[0][k].dtype == other[0][k].dtype
            for k in one[0]
        )
    )


def test_no_flipped_bit_of_a_checkpoint_changes_what_is_read(checkpoint, tmp_path):
    whole, content = load_tensors(checkpoint), checkpoint.read_bytes()
    found = 0
    for bit in range(0, 8 * len(content), 3):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        (tmp_path / "x").write_bytes(changed)
        try:
            tensors, header = load_tensors(tmp_path / "x")
        except ArtefactError:
            found += 1
            continue
        # What was not found out changes nothing, or hides the header, which whoever resumes asks for.
        assert same((tensors, header), whole) or "position" not in header, bit
    assert found > 0.9 * 8 * len(content) / 3


def test_no_flipped_bit_of_a_configuration_changes_what_is_read(tmp_path, two):
    two[0].save(tmp_path / "run")
    path = tmp_path / "run" / CONFIG
    whole, content = read_config(tmp_path / "run"), path.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        try:
            read = read_config(tmp_path / "run")
        except ArtefactError:
            continue
        assert read == whole, bit  # a space between two values


def test_files_are_the_user_s_to_share(two, trained, tmp_path):
    """What is written has the umask's permissions; weights had those of a secret."""
    mask = os.umask(0o027)
    try:
        two[0].save(tmp_path / "run")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()} == {0o640}
    assert {path.stat().st_mode & 0o777 for path in trained.iterdir()} == {0o666 & ~mask}
