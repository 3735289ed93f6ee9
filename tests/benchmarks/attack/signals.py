"""SIGINT and SIGTERM at random moments of every command: exit code 130, one line, no trace."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from kills import TINY, TRAIN

BEGIN = (
    "import os, runpy, sys; os.write(int(sys.argv.pop(1)), b'.'); "
    "runpy.run_module('stanhop_app.cli', run_name='__main__', alter_sys=True)"
)
"""What Python is told: to say that it has started, then to run the command. What comes before is not ours."""


def _commands(csv: Path, scratch: Path) -> list[list[object]]:
    """Every command, small; those that need a run take one that is there."""
    run, new = scratch / "run", scratch / "new"
    small = ["--dim", "16", "--num-heads", "2", "--num-layers", "1", "--hidden-dim", "16"]
    study = ["--horizons", "12", *TINY[2:], "--max-steps", "4"]
    return [
        ["train", csv, *TRAIN, "--force", "--output", new],
        ["forecast", run],
        ["evaluate", run, csv],
        ["benchmark", csv, "--horizons", "12", "--lookback", "48", "--max-epochs", "1",
         "--splits", "14/5/5",
         "--output", scratch / "benchmark.json"],
        ["outliers", run, csv],
        ["quantize", run, csv],
        ["export", run, "--force", "--output", scratch / "onnx"],
        ["verify", run],
        ["compare", csv, *study, "--variants", "softmax", "--output", scratch / "c.json"],
        ["suite", "train", "vit", *small, "--max-steps", "4", "--force", "--output", scratch / "vit"],
        ["theory", "capacity", "--force", "--output", scratch / "capacity.json"],
        ["data", "list"],
        ["data", "describe", csv],
        ["completion", "bash"],
        ["train", "--help"],
    ]  # fmt: skip


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Start ``python -m stanhop_app.cli`` anew each time, and stop it from its first import on."""
    chance, counts = random.Random(seed), Counter[str]()
    environment = {**os.environ, "STANHOP_RUNS": str(scratch)}

    def begin(words: list[object], said: int) -> "subprocess.Popen[bytes]":
        for results in scratch.glob("*.json*"):  # a finished study would have nothing to do
            results.unlink() if results.is_file() else shutil.rmtree(results)
        command = [sys.executable, "-c", BEGIN, str(said), *map(str, words)]
        return subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=scratch,
            env=environment,
            pass_fds=(said,),
        )

    reads, writes = os.pipe()
    assert begin(["train", csv, *TRAIN, "--output", scratch / "run"], writes).wait() == 0
    commands, longest = _commands(csv, scratch), {}
    for number, words in enumerate(commands):
        started, process = time.monotonic(), begin(words, writes)
        _, said = process.communicate()
        assert process.returncode == 0, (words, said)
        longest[number] = time.monotonic() - started
    os.read(reads, 4096)  # of all that
    for number in range(rounds):
        words = commands[number % len(commands)]
        sent = chance.choice((signal.SIGINT, signal.SIGTERM))
        after = chance.uniform(0.0, longest[number % len(commands)])
        process = begin(words, writes)
        os.read(reads, 1)  # it has started
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(sent)
        _, said = process.communicate(timeout=120)
        text = said.decode(errors="replace")
        trace = "Traceback" in text or "Exception ignored" in text or "defect" in text
        kind = {0: "ended before", 130: "exit 130"}.get(process.returncode, "other exit")
        counts[kind] += 1
        counts["trace"] += trace
        if trace or kind == "other exit":
            print(
                words[:2], sent.name, round(after, 3), process.returncode, text[-400:], flush=True
            )
    return dict(counts)
