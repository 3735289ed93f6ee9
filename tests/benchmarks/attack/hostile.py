"""Folders that somebody else filled: what reads them ends, says what is wrong in one line, runs nothing."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from children import call
from kills import TRAIN, timed

CANARY = "CANARY-1f3a"
"""A word of a file outside the folder, which nothing may print."""


def _replace(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _link(to: str) -> Callable[[Path], None]:
    def malice(file: Path) -> None:
        file.unlink()
        file.symlink_to(to)

    return malice


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _sparse(file: Path) -> None:
    """A file of 8 TB that takes no room."""
    with open(file, "r+b") as handle:
        handle.truncate(2**43)


def _half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _header(file: Path) -> None:
    """The length of a header that is longer than memory, as files of tensors begin with."""
    content = file.read_bytes()
    _replace(file, (2**62).to_bytes(8, "little") + content[8:])


def _names(file: Path) -> None:
    """Paths out of the folder wherever a name of a file stands."""
    text = file.read_bytes()
    for name in (b"model", b"tokenizer", b"baselines", b"novelty"):
        text = text.replace(b'"' + name, b'"../../../../etc/' + name)
    _replace(file, text)


def _external(file: Path) -> None:
    """An ONNX graph whose tensors lie in a file outside, where it is one."""
    try:
        import onnx

        graph = onnx.load(str(file))
        for tensor in graph.graph.initializer:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "../canary"
        _replace(file, graph.SerializeToString())
    except Exception:  # it is no graph: what is left then is a file of nothing
        _replace(file, b"")


MALICES: dict[str, Callable[[Path], None]] = {
    "pipe": _pipe,
    "endless": _link("/dev/zero"),
    "circle": lambda file: _link(file.name)(file),
    "nowhere": _link("/nowhere/at/all"),
    "outside": _link("../canary"),
    "folder": _folder,
    "empty": lambda file: _replace(file, b""),
    "deep": lambda file: _replace(file, b'{"a":' * 100_000),
    "list": lambda file: _replace(file, b"[1]"),
    "binary": lambda file: _replace(file, bytes(range(256)) * 64),
    "pickle": lambda file: _replace(
        file, b"cposix\nsystem\n(S'echo " + CANARY.encode() + b"'\ntR."
    ),
    "zip bomb": lambda file: _replace(file, b"PK\x03\x04" + b"\0" * 4096),
    "sparse": _sparse,
    "half": _half,
    "header": _header,
    "names": _names,
    "external": _external,
    "gone": lambda file: file.unlink(),
}


def attack(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Change one file of a folder, or add one that nobody asked for, and read it with every command."""
    chance, counts = random.Random(seed), Counter[str]()
    run, onnx, suite = scratch / "run", scratch / "onnx", scratch / "suite"
    timed(["train", csv, *TRAIN, "--max-steps", "2", "--novelty", "--output", run], scratch)
    timed(["export", run, "--output", onnx], scratch)
    text = scratch / "corpus.txt"
    text.write_text(" ".join(f"word{n % 97} and word{n % 89}" for n in range(20_000)))
    small = ["--max-steps", "1", "--dim", "16", "--num-heads", "2", "--num-layers", "1", "--quiet"]
    timed(
        ["suite", "train", "opt", *small, "--data", text, "--length", "16", "--output", suite],
        scratch,
    )
    readings = {
        run: [["forecast", "X", "--levels", "80"], ["evaluate", "X", csv], ["verify", "X"],
              ["backtest", "X", csv, "--origins", "2"], ["update", "X", csv]],
        onnx: [["forecast", "X"], ["verify", "X"]],
        suite: [["suite", "evaluate", "X", "--bits", "W8A8", "--data", text], ["verify", "X"]],
    }  # fmt: skip
    root = scratch / "runs"
    root.mkdir()
    (scratch / "canary").write_text(CANARY)
    (root / "canary").write_text(CANARY)
    for number in range(rounds):
        source = list(readings)[number % len(readings)]
        target = root / f"{source.name}-{number}"
        shutil.copytree(source, target)
        file = chance.choice(sorted(path for path in target.rglob("*") if path.is_file()))
        name = chance.choice(sorted(MALICES))
        MALICES[name](file)
        kinds = set()
        for command in readings[source]:
            ended = call([target if word == "X" else word for word in command], scratch, 60)
            told = ended.err + ended.out.decode(errors="replace")
            kind = "canary" if CANARY in told else ended.kind
            kinds.add(kind)
            if kind in ("traceback", "endless", "canary"):
                print(kind, name, file.name, command[0], ended.err.strip()[-300:], flush=True)
        order = ("canary", "endless", "traceback", "refused", "ok")
        counts[next(kind for kind in order if kind in kinds)] += 1
    counts["pages with an exception"] = _pages(root)
    return dict(counts)


def _pages(root: Path) -> int:
    """How many pages of the dashboard over all these folders fail."""
    from stanhop_app.ui.pages import PAGES
    from streamlit.testing.v1 import AppTest

    os.environ["STANHOP_RUNS"] = str(root)
    failed = 0
    for path in [page.path for page in PAGES]:
        script = f"from stanhop_app.ui.pages import PAGES\n[p for p in PAGES if p.path == {path!r}][0].show()"
        for folder in sorted(root.iterdir())[:30]:
            app = AppTest.from_string(script, default_timeout=120)
            app.query_params["run"] = folder.name
            app.run()
            if app.exception:
                failed += 1
                print(json.dumps([path, folder.name, str(app.exception)[:300]]), flush=True)
    return failed
