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

from commands import every, prepared

BEGIN = (
    "import os, runpy, sys; os.write(int(sys.argv.pop(1)), b'.'); "
    "runpy.run_module('stanhop_app.cli', run_name='__main__', alter_sys=True)"
)
"""What Python is told: to say that it has started, then to run the command. What comes before is not ours."""
ENDLESS = 8.0
"""Seconds within which a command is stopped that does not end by itself, or takes minutes."""


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Start ``python -m stanhop_app.cli`` anew each time, and stop it from its first import on."""
    chance, counts = random.Random(seed), Counter[str]()
    environment = {**os.environ, "STANHOP_RUNS": str(scratch)}

    def begin(words: list[object], said: int) -> "subprocess.Popen[bytes]":
        for results in scratch.glob("made-*.json*"):  # a finished study would have nothing to do
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
    prepared(csv, scratch)
    shutil.copytree(scratch / "grows", scratch / "grew")  # a change that was made has nothing to do
    shutil.copytree(scratch / "bumps", scratch / "bare")
    commands, longest = list(every(csv, scratch).values()), {}
    for number, small in enumerate(commands):
        longest[number] = ENDLESS
        if small.ends:
            started, process = time.monotonic(), begin(small.words, writes)
            _, said = process.communicate()
            assert process.returncode == 0, (small.words, said)
            longest[number] = time.monotonic() - started
            os.read(reads, 1)
    for number in range(rounds):
        words = commands[number % len(commands)].words
        for changed, kept in (("grows", "grew"), ("bumps", "bare")):
            shutil.rmtree(scratch / changed)
            shutil.copytree(scratch / kept, scratch / changed)
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
