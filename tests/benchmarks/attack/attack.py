"""Attack the package, and count what holds.

    python tests/benchmarks/attack/attack.py [NAME ...] [--rounds N] [--seed S] [--output attack.json]

Every attack draws from its seed and runs the command line in processes of its own. What it counts stands in
`attack.json` beside this file; `attack.md` there says what each count means. An attack that is there is
not run again; give another ``--output`` for that.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

import altered
import bits
import full
import hostile
import kills
import messy
import signals
import visitors
import writers
from children import warm
from commands import PULSES, pulses

HERE = Path(__file__).parent
Attack = Callable[[int, int, Path, Path], dict[str, int]]


def _train(how: str, *more: str) -> Attack:
    return lambda rounds, seed, csv, scratch: kills.chains(
        ["train", csv, *kills.TRAIN, *more], how, rounds, seed, scratch
    )


def _many(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """A training on a long table of series of different spans."""
    wide = pd.read_csv(csv, index_col=0)
    parts = [wide[name].iloc[100 * number :] for number, name in enumerate(wide.columns)]
    long = scratch / "long.csv"
    rows = [p.rename("value").rename_axis("time").reset_index().assign(id=p.name) for p in parts]
    pd.concat(rows).to_csv(long, index=False)
    words = ["train", long, "--id-column", "id", "--final", "all", *kills.TRAIN]
    return kills.chains(words, "plain", rounds, seed, scratch)


def _known(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """A training with covariates, of which one is known ahead of the last value."""
    wide = pd.read_csv(csv, index_col=0)
    value, ahead, past = wide.columns
    table = scratch / "known.csv"
    wide.loc[wide.index[-12:], [value, past]] = float("nan")
    wide.to_csv(table)
    told = ["--future-covariates", ahead, "--past-covariates", past, "--calendar-features"]
    return kills.chains(["train", table, *told, *kills.TRAIN], "plain", rounds, seed, scratch)


def _update(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """An update by a day: the run is the old one or the new one, and the update can be made again."""
    wide = pd.read_csv(csv, index_col=0)
    old, new = scratch / "old.csv", scratch / "new.csv"
    wide.iloc[:-24].to_csv(old)
    wide.iloc[-24:].to_csv(new)
    training = ["train", old, *kills.TRAIN]
    return kills.changes(training, lambda run: ["update", run, new], rounds, seed, scratch)


def _memory(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """A memory for a run of pulses, to which it is worth something."""
    table = scratch / "pulses.csv"
    pulses(table, scratch / "later.csv")
    return kills.changes(
        ["train", table, *PULSES, "--quiet"],
        lambda run: ["memory", "add", run],
        rounds,
        seed,
        scratch,
    )


def _clean(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    return kills.again(
        lambda path: ["data", "clean", csv, "--force", "--output", path.with_suffix(".csv")],
        lambda path: path.with_suffix(".csv").read_bytes(),
        rounds,
        seed,
        scratch,
    )


def _backtest(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """A backtest with trainings in it goes on in its parts, and comes to the same bytes."""
    run = scratch / "run"
    kills.timed(["train", csv, *kills.TRAIN, "--output", run], scratch)
    words = ["backtest", run, csv, "--stride", "1", "--origins", "80", "--refit", "27", "--quiet"]
    return kills.again(
        lambda path: [*words, "--force", "--output", path],
        lambda path: path.read_bytes(),
        rounds,
        seed,
        scratch,
    )


def _engine(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """Forecasts of 600 series in three blocks by two processes: the same command goes on, to the same."""
    days, names = np.arange(60), [f"s{number:03d}" for number in range(600)]
    waves = 2 + np.sin((days[None] + np.arange(600)[:, None]) * 2 * np.pi / 7)
    times = np.tile(pd.date_range("2024-01-01", periods=60), 600)
    table = {"id": np.repeat(names, 60), "time": times, "value": waves.ravel()}
    long, run = scratch / "series.parquet", scratch / "run"
    pd.DataFrame(table).to_parquet(long, row_group_size=5000)
    training = ["--each", "--id-column", "id", "--horizon", "7", "--max-steps", "3", "--quiet"]
    kills.timed(["train", long, *training, "--output", run], scratch)
    words = ["forecast", run, long, "--engine", "local", "--workers", "2", "--block-series", "256"]

    def result(path: Path) -> object:
        return {part.name: part.read_bytes() for part in sorted(path.glob("part-*.parquet"))}

    return kills.again(lambda path: [*words, "--output", path], result, rounds, seed, scratch)


def _tune(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    """A search goes on where it was: as many trials come to an end, and the first is the same."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    words = ["tune", csv, *kills.TINY, "--max-steps", "3", "--trials", "4", "--search", "dropout"]

    def result(path: Path) -> object:
        journal = JournalFileBackend(str(path / "trials.journal"))
        study = optuna.load_study(
            study_name="stanhop", storage=optuna.storages.JournalStorage(journal)
        )
        cut = study.user_attrs.get("cut", [])
        ended = [t for t in study.trials if t.state.is_finished() and t.number not in cut]
        return len(ended), ended[0].value, (path / "best.toml").exists()

    return kills.again(lambda path: [*words, "--output", path], result, rounds, seed, scratch)


def _suite(how: str) -> Attack:
    words = ["suite", "train", "vit", *kills.TINY[6:], "--num-layers", "1", "--hidden-dim", "16"]
    words += ["--max-steps", "40", "--quiet"]
    return lambda rounds, seed, _, scratch: kills.chains(words, how, rounds, seed, scratch)


def _compare(rounds: int, seed: int, csv: Path, scratch: Path) -> dict[str, int]:
    from stanhop_app.studies.cells import read_results

    options = ["--horizons", "12", *kills.TINY[2:], "--max-steps", "30", "--quiet"]
    words = ["compare", csv, *options, "--variants", "softmax,softmax1", "--seeds", "0"]

    def result(path: Path) -> object:
        cells = read_results(path)["cells"]
        return {key: (cell["modules"], cell.get("scores")) for key, cell in cells.items()}

    return kills.again(lambda path: [*words, "--output", path], result, rounds, seed, scratch)


ATTACKS: dict[str, tuple[Attack, int]] = {
    "kill train": (_train("plain"), 100),
    "kill train --resume": (_train("resume"), 100),
    "kill train --force": (_train("force"), 100),
    "kill train --final all": (_train("plain", "--final", "all"), 100),
    "kill train of many series": (_many, 100),
    "kill train with covariates": (_known, 100),
    "kill update": (_update, 100),
    "kill memory add": (_memory, 100),
    "kill data clean": (_clean, 100),
    "kill backtest": (_backtest, 100),
    "kill forecast --engine": (_engine, 100),
    "kill tune": (_tune, 100),
    "kill save": (kills.save, 100),
    "kill export": (kills.export, 100),
    "kill suite train": (_suite("plain"), 100),
    "kill suite train --resume": (_suite("resume"), 100),
    "kill suite train --force": (_suite("force"), 100),
    "kill compare": (_compare, 100),
    "SIGINT and SIGTERM": (signals.attack, 300),
    "two writers": (writers.attack, 200),
    "visitors": (visitors.attack, 1000),
    "full disk": (full.attack, 200),
    "flipped bits": (bits.flip, 1000),
    "altered JSON": (altered.attack, 4000),
    "hostile folders": (hostile.attack, 100),
    "random tables": (messy.attack, 10_000),
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *ATTACKS], default=[])
    parser.add_argument("--rounds", type=int, help="default: what the table asks for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "attack.json")
    asked = parser.parse_args()
    warm()
    from stanhop_app.datasets import load

    from stanhop_app.studies.cells import Cell, fill, open_results

    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "weather.csv"
        load("sample").iloc[:600, :3].to_csv(csv)

        def make(cell: Cell, _: Path | None) -> dict[str, Any]:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            attack, _ = ATTACKS[str(cell["attack"])]
            return {"counts": attack(int(cell["rounds"]), int(cell["seed"]), csv, scratch)}

        names = asked.names or list(ATTACKS)
        cells = [
            {"attack": n, "rounds": asked.rounds or ATTACKS[n][1], "seed": asked.seed}
            for n in names
        ]
        content = fill(
            open_results(asked.output, "attack", 1, {}), asked.output, cells, make,
            name=lambda cell: f"{cell['attack']}, {cell['rounds']} rounds, seed {cell['seed']}", say=print,
        )  # fmt: skip
    for key, cell in content["cells"].items():
        print(f"{key}: {cell['counts']}")


if __name__ == "__main__":
    main()
