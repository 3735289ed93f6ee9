"""JSON files that somebody altered, half of them with right checksums: one line, or the same answer."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from children import call
from kills import TRAIN, timed
from shops import shops

STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 1, 10**9, 10**400, 0.5, -0.5, 1e308, "", "x", "../../etc/passwd", "\x1b[2J", "\u202e",
    [], [None], {}, {"a": 1}, [[[]]], "9" * 5000, float("nan"), float("inf"), [1e400], "NaT", -(2**63),
)  # fmt: skip


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to everything in a JSON value."""
    inside = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [way, *(w for key, part in inside for w in places(part, (*way, key)))]


def alter(value: Any, chance: random.Random) -> tuple[Any, str]:
    """A copy with one thing changed: replaced, removed, renamed or nested; and what was changed."""
    value = json.loads(json.dumps(value))
    way = chance.choice([w for w in places(value) if w])
    parent = value
    for key in way[:-1]:
        parent = parent[key]
    key, how = way[-1], chance.choice(("replace", "replace", "replace", "remove", "rename", "nest"))
    if how == "remove" or (how == "rename" and isinstance(parent, list)):
        del parent[key]
    elif how == "rename":
        parent[f"{key}_"] = parent.pop(key)
    elif how == "nest":
        deep: Any = 1
        for _ in range(chance.choice((3, 3000))):
            deep = [deep]
        parent[key] = deep
    else:
        parent[key] = chance.choice(STRANGE)
    return value, f"{how} {'.'.join(map(str, way))}"


def dumps(value: Any) -> str:
    """JSON, of values nested too deeply for the standard encoder, too."""
    try:
        return json.dumps(value)
    except RecursionError:
        return '{"a":' * 100_000


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Alter config.json of runs, of their exports and of a run of the suite, and results; read each."""
    from stanhop_app.training.folder import write_config

    chance, counts = random.Random(seed), Counter[str]()
    run, export, suite = scratch / "run", scratch / "onnx", scratch / "suite"
    timed(["train", csv, *TRAIN, "--max-steps", "2", "--novelty", "--output", run], scratch)
    timed(["export", run, "--output", export], scratch)
    table, many, exported = shops(csv, scratch)
    small = ["--max-steps", "1", "--dim", "16", "--num-heads", "2", "--num-layers", "1"]
    timed(["suite", "train", "vit", *small, "--output", suite, "--quiet"], scratch)
    timed(["theory", "noise", "--output", scratch / "noise.json"], scratch)
    readings = {
        run: [["forecast", "X"], ["evaluate", "X", csv]],
        export: [["forecast", "X"]],
        many: [["forecast", "X"], ["evaluate", "X", table]],
        exported: [["forecast", "X", "--levels", "80"]],
        suite: [["suite", "evaluate", "X", "--bits", "W8A8"]],
        scratch / "noise.json": [["theory", "noise", "--output", "X", "--json"]],
    }
    wholes: dict[Any, bytes] = {}
    changed, signed = "", False
    for number in range(-len(readings), rounds):
        source = list(readings)[number % len(readings)]
        copy = scratch / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        target = copy / source.name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        file = target / "config.json" if source.is_dir() else target
        if number >= 0:
            content, changed = alter(json.loads(file.read_text()), chance)
            signed = chance.random() < 0.5
            try:
                if source.is_dir() and signed:
                    write_config(target, content)
                else:
                    file.write_text(dumps(content))
            except (ValueError, RecursionError, TypeError):
                file.write_text(dumps(content))
        kinds = set()
        for command in readings[source]:
            ended = call([target if w == "X" else w for w in command], scratch, 40)
            kind = ended.kind
            name = (source, command[0])
            if number < 0:
                assert kind == "ok", ended.err
                wholes[name] = ended.out
            elif kind == "ok":
                kind = "same answer" if ended.out == wholes[name] else "other answer"
                # Who knows the checksums can write other numbers; who does not must be found out.
                kind = (
                    "silent"
                    if kind == "other answer" and not (signed and source.is_dir())
                    else kind
                )
            kinds.add(kind)
            if kind in ("traceback", "endless", "silent"):
                print(kind, source.name, command[0], changed, ended.err.strip()[-250:], flush=True)
        if number >= 0:
            order = ("endless", "traceback", "silent", "refused", "other answer", "same answer")
            counts[next(k for k in order if k in kinds)] += 1
    return dict(counts)
