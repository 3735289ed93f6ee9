"""A disk that is full: one line that names a file, and nothing that was there is lost."""

import hashlib
import random
import shutil
from collections import Counter
from pathlib import Path

from children import call
from commands import every, prepared


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Let no file grow beyond a random size while every command writes over what it wrote before.

    After a command that was refused, a run, an export or a run of the suite verifies and has the files that
    it had; any other file is what it was to the byte, or one that goes on: the command, called again
    with room, ends.
    """
    chance, counts = random.Random(seed), Counter[str]()
    prepared(csv, scratch)
    commands = {
        name: small for name, small in every(csv, scratch).items() if small.writes and small.ends
    }
    kept = scratch / "kept"
    kept.mkdir()
    for name in ("grows", "bumps", "remembers"):
        shutil.copytree(scratch / name, kept / name)
    for small in commands.values():
        assert call(small.words, scratch, 300).code == 0, small.words
    for path in scratch.glob("made-*"):
        shutil.copytree(path, kept / path.name) if path.is_dir() else shutil.copy(path, kept)
    before = hashes(kept)
    largest = max(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    names = list(commands)
    for number in range(rounds):
        name = names[number % len(names)]
        for path in scratch.glob("made-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in kept.iterdir():
            target = scratch / path.name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)
        most = int(chance.choice((0, 1, 100, chance.uniform(0, largest), chance.uniform(0, 5000))))
        ended = call(commands[name].words, scratch, most=most)
        # The limit holds for what a command says, too: what is left of it is what fits.
        kind = ended.kind if ended.code in (0, 1) or ended.code < 0 else f"exit {ended.code}"
        lines = [
            line for line in ended.err.splitlines() if "cannot be" in line or "stanhop:" in line
        ]
        if kind == "refused" and len(lines) > 1:
            kind = "several lines"
        lost = [] if ended.code == 0 else changed(before, scratch)
        left = [path.name for path in scratch.glob("made-*/.*")]
        counts[kind] += 1
        counts["lost" if lost else "nothing lost"] += 1
        counts["left-overs"] += bool(left)
        if lost or left or kind not in ("ok", "refused"):
            said = ended.err.strip()[-300:]
            print(kind, lost[:4], name, most, left, said, flush=True)
    return dict(counts)


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def changed(before: dict[str, str], scratch: Path) -> list[str]:
    """Files that are gone, or hold something else."""
    now = {}
    for name in before:
        path = scratch / name
        now[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return [name for name in before if now[name] != before[name]]
