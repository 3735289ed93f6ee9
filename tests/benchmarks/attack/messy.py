"""Random tables as people write them: read, or refused in one line before anything is trained."""

import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from children import call
from kills import TINY

TIMES = (
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y%m%d%H",
    "%Y-%m-%d %H:%M+01:00", "%b %d %Y %H:%M", "%H:%M", "%Y-%m-%d", "22%y-%m-%d %H:%M", "30%y-%m-%d %H:%M",
    "%s", "", "nan", "%Y-13-%d", "%GW%V",
)  # fmt: skip
"""How time stamps are written."""
STEPS = (timedelta(hours=1), timedelta(hours=1), timedelta(days=1), timedelta(minutes=15))
VALUES = (
    "{v:.3f}", "{i}", "", "nan", "NA", "-", "inf", "-inf", "1e400", "1e200", "9" * 400, "{v:.2f}%",
    "$ {v:.2f}", "1,{i:03d}",
    "1.{i:03d}", "1 {i:03d}", "{v:.2f} kg", "TRUE", "(5)", "1e-320", "0", "x", '"{v:.1f}"', "\x00", "é", "٣",
)  # fmt: skip
NAMES = (
    "time",
    "date",
    "value",
    "OT",
    "unique_id",
    "ds",
    "y",
    "",
    "x,y",
    '"q"',
    "\x1b[2J",
    "a" * 500,
    "é",
    "time",
    "Unnamed: 0",
    "series_id",
)


def table(chance: random.Random) -> bytes:
    """One table."""
    separator = chance.choice(",,,,;\t|")
    columns = chance.randint(1, 5)
    rows = chance.choice((0, 1, 2, 30, *(120,) * 8))
    header = [chance.choice(NAMES) for _ in range(columns)]
    if chance.random() < 0.8:
        header = ["time", *(f"v{i}" for i in range(columns - 1))]
    times = chance.choice(TIMES) if chance.random() < 0.4 else TIMES[0]
    kinds = [chance.choice(VALUES[:2]) for _ in range(columns - 1)]
    wild = 0.01 if chance.random() < 0.4 else 0.0
    step, start = chance.choice(STEPS), datetime(2024, 1, 1)
    lines = [separator.join(header)]
    for n in range(rows):
        fill = {"i": chance.randint(0, 999), "v": chance.gauss(0, 10)}
        kinds_of_row = [chance.choice(VALUES) if chance.random() < wild else k for k in kinds]
        fields = [(start + n * step).strftime(times), *(k.format(**fill) for k in kinds_of_row)]
        if chance.random() < wild / 10:
            fields = fields[:-1] if chance.random() < 0.5 else [*fields, "1"]
        lines.append(separator.join(fields))
    if chance.random() < 0.1:
        lines[1:] = chance.sample(lines[1:], len(lines) - 1)
    text = chance.choice(("\n", "\n", "\n", "\r\n", "\r")).join(lines)
    content = text.encode(
        chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")),
        errors="replace",
    )
    if chance.random() < 0.02:
        content = content[: chance.randrange(len(content) + 1)]
    return content


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Train one step on random tables, with random ways of reading them."""
    chance, counts = random.Random(seed), Counter[str]()
    path = scratch / "table.csv"
    for number in range(rounds):
        path.write_bytes(table(chance))
        run = scratch / f"run{number}"
        words = [
            "train",
            path,
            *TINY,
            "--horizon",
            "2",
            "--lookback",
            "12",
            "--max-steps",
            "1",
            "--quiet",
            "--output",
            run,
        ]
        if chance.random() < 0.5:
            words += ["--missing", chance.choice(("ffill", "interpolate"))]
        ended = call(words, scratch)
        kind = ended.kind
        if kind == "refused":
            kind = f"exit {ended.code}"
            lines = [line for line in ended.err.splitlines() if line.strip()]
            if (run / "checkpoint.safetensors").exists() or (run / "steps.csv").exists():
                kind = "failed after training"
            elif len(lines) > 3:
                kind = "many lines"
        if kind not in ("ok", "exit 2", "exit 3"):
            print(kind, number, path.read_bytes()[:150], ended.err.strip()[-300:], flush=True)
        counts[kind] += 1
    return dict(counts)
