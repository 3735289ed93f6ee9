"""Read tables as people have them: 100 kinds through command line and Python, 2,000 mixes, a million rows.

    python tests/benchmarks/reading/reading.py [kinds|mixes|speed ...] [--output tables.json]

`tests/benchmarks/tables.md` is written from the JSON beside this file.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "data"))

from kinds import KINDS, Kind
from mixes import mix, wrong

HERE = Path(__file__).parent
FLAGS = {"long": ("--id", "--no-id")}
ROWS, COLUMNS, REPEATS = 1_000_000, 8, 5


def flags(options: dict[str, Any]) -> list[str]:
    """Options of Python as flags."""
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(FLAGS[name][0 if value else 1])
        else:
            text = ",".join(value) if isinstance(value, list) else str(value)
            words.append(f"--{name.replace('_', '-')}={text}")
    return words


def by_python(kind: Kind, path: Path) -> tuple[str, str]:
    """What Python reads: "right", "refused" as it should, or "wrong"; and in words."""
    from stanhop_app.data.frame import frame_frequency, read_frame
    from stanhop_app.errors import StanhopError

    try:
        frame = read_frame(path, **kind.options)
    except StanhopError as error:
        text = str(error).replace(f"{path}: ", "")
        return ("refused" if kind.error is not None and kind.error in text else "wrong"), text
    if kind.values is None:
        return "wrong", f"read {list(frame.columns)}"
    close = holds(frame, kind.values)
    notes = frame.attrs["notes"]
    said = kind.says is None or any(kind.says in note for note in notes)
    words = f"{len(frame)} rows from {frame.index[0]}, {frame_frequency(frame)}: {', '.join(frame)}"
    return ("right" if close and said else "wrong"), "; ".join([words, *notes])


def by_command(kind: Kind, path: Path) -> str:
    """What ``stanhop data clean`` writes: "right", "refused" with 3 or 2 and one line, or "wrong"."""
    from stanhop_app.cli.group import run

    out, err = path.with_suffix(".parquet"), path.with_suffix(".err")
    with err.open("w") as stderr:
        before = sys.stderr
        sys.stderr = stderr
        try:
            code = run(["data", "clean", str(path), "--output", str(out), *flags(kind.options)])
        finally:
            sys.stderr = before
    lines = err.read_text().splitlines()
    if kind.error is not None:
        one = len(lines) == 1 and kind.error in lines[0] and code in (2, 3)
        return "refused" if one else "wrong"
    if code != 0 or kind.values is None:
        return "wrong"
    said = kind.says is None or any(kind.says in line for line in lines)
    return "right" if said and holds(pd.read_parquet(out), kind.values) else "wrong"


def holds(frame: pd.DataFrame, values: dict[str, list[float]]) -> bool:
    """Whether a frame has these columns, which begin with these values."""
    return list(frame.columns) == list(values) and all(
        np.allclose(frame[c].iloc[: len(v)], v, rtol=1e-12, atol=0, equal_nan=True)
        for c, v in values.items()
    )


def kinds() -> dict[str, Any]:
    """Every kind by both ways."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(KINDS):
            path = Path(folder) / f"{number}.csv"
            path.write_bytes(kind.content)
            python, words = by_python(kind, path)
            command = by_command(kind, path)
            rows.append(
                {"kind": kind.name, "options": " ".join(flags(kind.options)), "python": python,
                 "command": command, "came out": words}
            )  # fmt: skip
    return {"rows": rows}


def mixes(count: int = 2000) -> dict[str, Any]:
    """Mixes of seeds from 0 on: read right, refused because they say two things, or wrong."""
    counts = Counter[str]()
    for seed in range(count):
        one = mix(seed)
        problem = wrong(one)
        kind = "wrong" if problem else "ambiguous, refused" if one.ambiguous else "equal"
        counts[kind] += 1
        if problem:
            print(seed, problem, flush=True)
    return {"cases": count, "counts": dict(counts)}


def once(how: str, path: Path) -> dict[str, float]:
    """Seconds and bytes of one reading, in this process, which does nothing else."""
    from stanhop_app.data.frame import read_frame

    names = {f"v{i}": float for i in range(COLUMNS)}
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if how == "pandas":
        form = "%Y-%m-%d %H:%M:%S"
        pd.read_csv(path, index_col="time", parse_dates=["time"], date_format=form, dtype=names)
    else:
        read_frame(path)
    seconds = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "times its bytes": (most - before) * 1024 / path.stat().st_size}


def speed() -> dict[str, Any]:
    """A million rows by pandas, which is told everything, and by ``read_frame``, which is told nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        index = pd.date_range("1900-01-01", periods=ROWS, freq="h", name="time")
        values = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).round(4)
        pd.DataFrame(values, index=index, columns=[f"v{i}" for i in range(COLUMNS)]).to_csv(path)
        found: dict[str, list[dict[str, float]]] = {"pandas": [], "read_frame": []}
        for _ in range(REPEATS):
            for how, runs in found.items():
                words = [sys.executable, __file__, "once", how, str(path)]
                runs.append(
                    json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
                )
    middle = {
        how: {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
        for how, runs in found.items()
    }
    return {"rows": ROWS, "columns": COLUMNS, "repeats": REPEATS, **middle}


PARTS = {"kinds": kinds, "mixes": mixes, "speed": speed}


def main() -> None:
    """Run what was asked for."""
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(once(sys.argv[2], Path(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--output", type=Path, default=HERE / "tables.json")
    asked = parser.parse_args()
    from stanhop_app.studies.cells import fill, open_results

    cells = [{"part": name} for name in asked.parts or PARTS]
    content = fill(
        open_results(asked.output, "reading", 1, {}), asked.output, cells,
        lambda cell, _: PARTS[str(cell["part"])](), name=lambda cell: str(cell["part"]), say=print,
    )  # fmt: skip
    ends = Counter(
        row[way]
        for row in content["cells"].get("kinds", {}).get("rows", ())
        for way in ("python", "command")
    )
    print(dict(ends), {n: c for n, c in content["cells"].items() if n != "kinds"})


if __name__ == "__main__":
    main()
