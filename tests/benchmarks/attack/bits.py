"""One flipped bit in a file that is read: found out, or of no consequence."""

import random
import shutil
from collections import Counter
from pathlib import Path

from children import call
from kills import TRAIN, timed
from shops import shops


def flip(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Flip a bit of runs, of their exports or of a results file, and read it as users do."""
    chance, counts = random.Random(seed), Counter[str]()
    run, export, results = scratch / "run", scratch / "onnx", scratch / "noise.json"
    timed(
        [
            "train",
            csv,
            *TRAIN,
            "--max-steps",
            "2",
            "--outlier-steps",
            "1",
            "--novelty",
            "--output",
            run,
        ],
        scratch,
    )
    timed(["export", run, "--output", export], scratch)
    table, many, exported = shops(csv, scratch)
    words = ["theory", "noise", "--output", results]
    timed(words, scratch)
    readings = {
        run: [
            ["forecast", "X", "--explain"],
            ["evaluate", "X", csv],
            ["outliers", "X", csv, "--plot", scratch / "p.html", "--force"],
        ],
        export: [["forecast", "X"]],
        many: [["forecast", "X"], ["evaluate", "X", table]],
        exported: [["forecast", "X", "--levels", "80"]],
        results.parent / "results": [
            ["theory", "noise", "--output", results.parent / "copy" / results.name, "--json"]
        ],
    }
    (scratch / "results").mkdir()
    shutil.copy(results, scratch / "results" / results.name)
    whole = {}
    for folder, commands in readings.items():
        shutil.rmtree(scratch / "copy", ignore_errors=True)
        shutil.copytree(folder, scratch / "copy")
        for index, command in enumerate(commands):
            whole[folder, index] = call(
                [scratch / "copy" if w == "X" else w for w in command], scratch
            )
            assert whole[folder, index].code == 0, whole[folder, index].err
    files = [(f, path) for f in readings for path in sorted(f.iterdir()) if path.is_file()]
    for number in range(rounds):
        folder, path = files[number % len(files)]
        shutil.rmtree(scratch / "copy")
        shutil.copytree(folder, scratch / "copy")
        content = bytearray(path.read_bytes())
        bit = chance.randrange(8 * len(content))
        content[bit // 8] ^= 1 << (bit % 8)
        (scratch / "copy" / path.name).write_bytes(content)
        kinds = set()
        for index, command in enumerate(readings[folder]):
            ended = call([scratch / "copy" if w == "X" else w for w in command], scratch)
            kind = ended.kind
            if kind == "ok":
                kind = "harmless" if ended.out == whole[folder, index].out else "silent"
            kinds.add(kind)
            if kind in ("silent", "traceback", "endless"):
                print(kind, path.name, bit, command[:2], ended.err[-300:], flush=True)
        worst = next(
            k for k in ("endless", "traceback", "silent", "refused", "harmless") if k in kinds
        )
        counts["detected" if worst == "refused" else worst] += 1
    return dict(counts)
