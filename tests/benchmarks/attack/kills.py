"""SIGKILL at random moments: what is left goes on to the same bits, or is the old one, whole."""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from children import call, start, wait

TINY = [
    "--horizon",
    "12",
    "--lookback",
    "48",
    "--patch-length",
    "12",
    "--dim",
    "16",
    "--num-heads",
    "2",
]
TRAIN = [*TINY, "--hidden-dim", "16", "--max-epochs", "2", "--batch-size", "128", "--quiet"]


def files(folder: Path) -> list[str]:
    """Names of the files of tensors; they say what is in them."""
    return sorted(path.name for path in folder.glob("*-*.safetensors"))


def cut(words: list[object], scratch: Path, longest: float, chance: random.Random) -> bool:
    """Start a command and kill it at a random moment; whether it had ended before."""
    pid = start(words, scratch)
    time.sleep(chance.uniform(0, longest))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return wait(pid, scratch).code != -signal.SIGKILL


def timed(words: list[object], scratch: Path) -> float:
    started = time.monotonic()
    ended = call(words, scratch)
    assert ended.code == 0, ended.err
    return time.monotonic() - started


def chains(words: list[object], how: str, rounds: int, seed: int, scratch: Path) -> dict[str, int]:
    """Kill trainings: fresh ones ("plain"), such as go on ("resume"), or such as replace a run ("force").

    Args:
        words: of the command, without its folder.
        how: which of the three.
        rounds: number of them.
        seed: of the moments.
        scratch: folder for all of it.
    """
    chance, counts = random.Random(seed), Counter[str]()
    whole, old, run = scratch / "whole", scratch / "old", scratch / "run"
    command = [*words, "--output"]
    longest = timed([*command, whole], scratch)
    wanted, before = files(whole), []
    if how == "force":
        timed([*command, old, "--seed", "9"], scratch)
        before = files(old)
    for _ in range(rounds):
        shutil.rmtree(run, ignore_errors=True)
        if how == "force":
            shutil.copytree(old, run)
        flags: list[object] = ["--force"] if how == "force" else []
        ended = cut([*command, run, *flags], scratch, longest, chance)
        if how == "resume" and not ended:
            ended = cut([*command, run, "--resume"], scratch, longest, chance)
        if how == "force":
            there = {*files(run)}
            verified = call(["verify", run], scratch).code == 0
            one = {*before} <= there or {*wanted} <= there
            counts["a whole one is there" if verified and one else "lost"] += 1
            last = call([*command, run, "--force"], scratch)
        else:
            last = call([*command, run, "--resume"], scratch)
        same = last.code == 0 and files(run) == wanted and call(["verify", run], scratch).code == 0
        counts["ended before the kill" if ended else "killed"] += 1
        counts["equal to the bit" if same else "other"] += 1
        counts["stuck"] += last.code != 0
    return dict(counts)


def export(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Kill ``export --force`` over another export: one of the two is there, whole."""
    chance, counts = random.Random(seed), Counter[str]()
    folders = []
    for number in (0, 1):
        run = scratch / f"run{number}"
        timed(
            ["train", csv, *TRAIN, "--max-steps", "1", "--seed", number, "--output", run], scratch
        )
        folders.append(scratch / f"onnx{number}")
        longest = timed(["export", run, "--output", folders[-1]], scratch)
    forecasts = [call(["forecast", folder], scratch).out for folder in folders]
    assert forecasts[0] != forecasts[1]
    target = scratch / "cut"
    shutil.copytree(folders[0], target)
    for number in range(rounds):
        words: list[object] = ["export", scratch / f"run{(number + 1) % 2}", "--output", target]
        ended = cut([*words, "--force"], scratch, longest, chance)
        counts["ended before the kill" if ended else "killed"] += 1
        read = call(["forecast", target], scratch)
        verified = call(["verify", target], scratch).code == 0
        counts["whole" if verified and read.out in forecasts else "lost"] += 1
    last = call([*words, "--force"], scratch)
    counts["stuck"] += last.code != 0
    counts["files at the end"] = len(list(target.iterdir()))
    return dict(counts)


def again(
    make: Callable[[Path], list[object]],
    result: Callable[[Path], object],
    rounds: int,
    seed: int,
    scratch: Path,
) -> dict[str, int]:
    """Kill a command that goes on when it is called again, until it ends; its result is the same."""
    chance, counts = random.Random(seed), Counter[str]()
    longest = timed(make(scratch / "whole"), scratch)
    wanted = result(scratch / "whole")
    for number in range(rounds):
        target = scratch / f"cut{number}"
        counts[
            "ended before the kill" if cut(make(target), scratch, longest, chance) else "killed"
        ] += 1
        last = call(make(target), scratch, 300)
        counts["stuck"] += last.code != 0
        counts["equal" if last.code == 0 and result(target) == wanted else "other"] += 1
    return dict(counts)


def save(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Kill ``save(force=True)`` over another run: one of the two is there, whole."""
    from stanhop_app import STanHopForecaster

    chance, counts = random.Random(seed), Counter[str]()
    folders = []
    for number in (0, 1):
        folders.append(scratch / f"of{number}")
        timed(
            ["train", csv, *TRAIN, "--max-steps", "1", "--seed", number, "--output", folders[-1]],
            scratch,
        )
    forecasters = [STanHopForecaster.load(folder) for folder in folders]
    wanted = [one.predict() for one in forecasters]
    run = scratch / "saved"
    forecasters[0].save(run)
    for _ in range(rounds):
        pid = os.fork()
        if pid == 0:
            for turn in range(1000):
                forecasters[turn % 2].save(run, force=True)
            os._exit(0)
        time.sleep(chance.uniform(0, 0.2))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        forecast = STanHopForecaster.load(run).predict()
        counts["whole" if any(forecast.equals(w) for w in wanted) else "lost"] += 1
    forecasters[0].save(run, force=True)
    counts["files at the end"] = len(list(run.iterdir()))
    return dict(counts)


def changes(
    training: list[object],
    change: Callable[[Path], list[object]],
    rounds: int,
    seed: int,
    scratch: Path,
) -> dict[str, int]:
    """Kill changes of a run: it is the one before or after, whole, and the change can be made again.

    Args:
        training: words that make the run, without its folder.
        change: words that change the run in a folder.
        rounds: number of them.
        seed: of the moments.
        scratch: folder for all of it.
    """
    chance, counts = random.Random(seed), Counter[str]()
    old, whole, run = scratch / "old", scratch / "whole", scratch / "run"
    timed([*training, "--output", old], scratch)
    shutil.copytree(old, whole)
    longest = timed(change(whole), scratch)
    before, wanted = files(old), files(whole)
    assert before != wanted  # or nothing is attacked
    for _ in range(rounds):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(old, run)
        ended = cut(change(run), scratch, longest, chance)
        verified = call(["verify", run], scratch).code == 0
        one = {*before} <= {*files(run)} or {*wanted} <= {*files(run)}
        counts["the old or the new one is there"] += verified and one
        counts["ended before the kill" if ended else "killed"] += 1
        again = call(change(run), scratch)
        done = ("no new rows" in again.err, "has an external memory already" in again.err)
        there = again.code == 0 or (again.code in (2, 3) and any(done))
        counts["equal to the bit"] += there and files(run) == wanted
    return dict(counts)
