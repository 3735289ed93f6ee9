"""A disk that is full: one line that names a file, and nothing that was there is lost."""

import random
import shutil
from collections import Counter
from pathlib import Path

from children import call
from kills import TRAIN, files, timed


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Let no file grow beyond a random size while commands write over what is there."""
    chance, counts = random.Random(seed), Counter[str]()
    old, export, results = scratch / "old", scratch / "old-onnx", scratch / "old.json"
    timed(["train", csv, *TRAIN, "--novelty", "--output", old], scratch)
    timed(["export", old, "--output", export], scratch)
    timed(["theory", "noise", "--output", results], scratch)
    before, exported = files(old), sorted(path.name for path in export.iterdir())
    run, model, kept = scratch / "run", scratch / "onnx", scratch / "kept.json"
    commands: list[list[object]] = [
        [
            "train",
            csv,
            *TRAIN,
            "--novelty",
            "--outlier-steps",
            "2",
            "--seed",
            "1",
            "--output",
            run,
            "--force",
        ],
        ["export", old, "--output", model, "--force"],
        ["export", old, "--output", model, "--force", "--to", "torch-export"],
        [
            "theory",
            "capacity",
            "--output",
            scratch / "new.json",
            "--report",
            scratch / "page.html",
            "--force",
        ],
        [
            "forecast",
            old,
            "--output",
            scratch / "forecast.csv",
            "--plot",
            scratch / "page.html",
            "--force",
        ],
    ]
    largest = max(path.stat().st_size for path in (*old.iterdir(), *export.iterdir()))
    for number in range(rounds):
        for source, target in ((old, run), (export, model)):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        shutil.copy(results, kept)
        words = commands[number % len(commands)]
        most = int(chance.choice((0, 1, 100, chance.uniform(0, largest), chance.uniform(0, 5000))))
        ended = call(words, scratch, most=most)
        # The limit holds for what a command says, too: what is left of it is what fits.
        kind = ended.kind if ended.code in (0, 1) or ended.code < 0 else f"exit {ended.code}"
        lines = [
            line for line in ended.err.splitlines() if "cannot be" in line or "stanhop:" in line
        ]
        if kind == "refused" and len(lines) > 1:
            kind = "several lines"
        whole = (
            call(["verify", run], scratch).code == 0 and call(["verify", model], scratch).code == 0
        )
        whole = whole and ({*before} <= {*files(run)} or ended.code == 0)
        whole = whole and (exported == sorted(p.name for p in model.iterdir()) or ended.code == 0)
        left = [p for p in (*run.iterdir(), *model.iterdir()) if p.name.startswith(".")]
        counts[kind] += 1
        counts["nothing lost" if whole else "lost"] += 1
        counts["left-overs"] += bool(left)
        if not whole or kind not in ("ok", "refused"):
            print(kind, whole, words[:2], most, left, ended.err.strip()[-300:], flush=True)
    return dict(counts)
