"""Two writers of one folder: one of them writes, or one after the other; never a mixture."""

import shutil
from collections import Counter
from pathlib import Path

from children import call, start, wait
from kills import TRAIN, timed


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Start two commands on one folder at once; what is there is of one of them, and the other was told."""
    counts = Counter[str]()
    runs = []
    for number in (0, 1):
        runs.append(scratch / f"run{number}")
        words = ["train", csv, *TRAIN, "--max-steps", "2", "--seed", seed + number]
        timed([*words, "--output", runs[-1]], scratch)
    forecasts = [call(["forecast", run], scratch).out for run in runs]
    assert forecasts[0] != forecasts[1]
    outs = [scratch / "out0", scratch / "out1"]
    for out in outs:
        out.mkdir()
    target = scratch / "shared"
    for number in range(rounds):
        if number % 3 == 0:
            shutil.rmtree(target, ignore_errors=True)
        pids = []
        for which in (0, 1):
            words = ["train", csv, *TRAIN, "--max-steps", "2", "--seed", seed + which, "--force"]
            pids.append(start([*words, "--output", target], outs[which]))
        ended = [wait(pid, out, 120) for pid, out in zip(pids, outs, strict=True)]
        done = [end.code == 0 for end in ended]
        for which in (0, 1):
            if not done[which]:
                told = f"process {pids[1 - which]}" in ended[which].err
                counts["refused with the other's process" if told else "refused otherwise"] += 1
        counts["one after the other"] += all(done)
        counts["neither"] += not any(done)
        read = call(["forecast", target], scratch).out
        verified = call(["verify", target], scratch).code == 0
        wanted = [one for one, ok in zip(forecasts, done, strict=True) if ok]
        counts["one of the two" if verified and read in wanted else "mixed"] += 1
    return dict(counts)
