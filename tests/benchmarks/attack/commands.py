"""Every command of `stanhop`, small: what is stopped at random moments, and what writes to a full disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from children import call
from kills import TINY, TRAIN

STEPS = ["--max-steps", "4", "--quiet"]
PULSES = [
    "--horizon",
    "6",
    "--lookback",
    "24",
    "--patch-length",
    "6",
    "--dim",
    "16",
    "--max-steps",
    "2",
]
"""A network that leaves to an external memory what no linear map tells."""


@dataclass(frozen=True)
class Small:
    """A command that takes seconds."""

    words: list[object]
    ends: bool = True
    """Whether it ends by itself, in seconds."""
    writes: bool = True
    """Whether it writes a file."""


def prepared(csv: Path, scratch: Path) -> None:
    """What commands need: runs (of a forecaster, with a memory, of the suite), new rows, forecasts."""
    wide = pd.read_csv(csv, index_col=0)
    wide.iloc[:-200].to_csv(scratch / "old.csv")
    wide.iloc[-200:].to_csv(scratch / "new.csv")
    pulses(scratch / "pulses.csv", scratch / "later.csv")
    vit = ["suite", "train", "vit", *TINY[6:], "--num-layers", "1", "--hidden-dim", "16", *STEPS]
    for words in (
        ["train", scratch / "old.csv", *TRAIN, "--output", scratch / "run"],
        ["train", scratch / "old.csv", *TRAIN, "--output", scratch / "grows"],
        ["train", scratch / "pulses.csv", *PULSES, "--quiet", "--output", scratch / "bumps"],
        ["train", scratch / "pulses.csv", *PULSES, "--quiet", "--memory", "plug", "--output",
         scratch / "remembers"],
        [*vit, "--output", scratch / "vit-run"],
    ):  # fmt: skip
        done = call(words, scratch)
        assert done.code == 0, (words, done.err)


def pulses(path: Path, later: Path) -> None:
    """A table of pulses that a bump follows whatever their sign, which no linear map tells; its last rows."""
    draws = np.random.default_rng(0)
    values = 0.1 * draws.normal(size=1500)
    for start in np.sort(draws.choice(np.arange(20, 1450), 190, replace=False)):
        values[start] += draws.choice([-3, 3])
        values[start + 2 : start + 6] += 3
    hours = pd.date_range("2024-01-01", periods=1500, freq="h", name="hour")
    table = pd.DataFrame({"load": values}, index=hours)
    table.iloc[:1200].to_csv(path)
    table.iloc[1200:].to_csv(later)


def every(csv: Path, scratch: Path) -> dict[str, Small]:
    """All commands by name; files that they write lie in ``scratch`` and begin with "made"."""
    run, vit, remembers = scratch / "run", scratch / "vit-run", scratch / "remembers"

    def made(name: str) -> list[object]:
        return ["--output", scratch / f"made-{name}"]

    def page(name: str, flag: str = "--report") -> list[object]:
        return [flag, scratch / f"made-{name}.html"]

    study = ["--horizons", "12", *TINY[2:], *STEPS]
    small = [*TINY[6:], "--num-layers", "1", "--hidden-dim", "16", *STEPS]
    old, new = scratch / "old.csv", scratch / "new.csv"
    return {
        "train": Small(["train", csv, *TRAIN, "--novelty", "--force", *made("run")]),
        "forecast": Small(
            ["forecast", run, "--levels", "80", "--force", *made("f.csv"), *page("f", "--plot")]
        ),
        "update": Small(["update", scratch / "grows", new]),
        "memory add": Small(["memory", "add", scratch / "bumps"]),
        "memory info": Small(["memory", "info", remembers], writes=False),
        "memory prune": Small(["memory", "prune", remembers, "--windows", "300"]),
        "backtest": Small(["backtest", run, csv, "--force", *made("b.parquet"), *page("b")]),
        "monitor": Small(["monitor", remembers, scratch / "later.csv"], writes=False),
        "evaluate": Small(["evaluate", run, old], writes=False),
        "benchmark": Small(
            ["benchmark", csv, "--horizons", "12", "--lookback", "48", "--max-epochs", "1",
             "--splits", "14/5/5", *made("benchmark.json")]
        ),
        "outliers": Small(["outliers", run, old, "--force", *page("o", "--plot")]),
        "quantize": Small(["quantize", run, old], writes=False),
        "export": Small(["export", run, "--force", *made("onnx")]),
        "verify": Small(["verify", run], writes=False),
        "serve": Small(["serve", run, "--port", "8598"], ends=False, writes=False),
        "tune": Small(
            ["tune", csv, *TINY, *STEPS[:2], "--trials", "2", "--search", "dropout", *made("tuned")]
        ),
        "compare": Small(
            ["compare", csv, *study, "--variants", "softmax", "--force", *made("c.json"), *page("c")]
        ),
        "compare-memory": Small(
            ["compare-memory", csv, "--horizons", "12", *TINY[2:4], "--max-epochs", "1", "--seeds", "0",
             "--no-ablations", "--force", *made("m.json"), *page("m", "--plot")]
        ),
        "suite train": Small(["suite", "train", "vit", *small, "--force", *made("vit")]),
        "suite evaluate": Small(["suite", "evaluate", vit], writes=False),
        "suite compare": Small(
            ["suite", "compare", "vit", *small, "--variants", "softmax", "--seeds", "0", *made("s.json")]
        ),
        "theory energy": Small(["theory", "energy", "--force", *page("energy")]),
        "theory noise": Small(["theory", "noise", *made("noise.json"), "--force", *page("noise")]),
        "theory capacity": Small(["theory", "capacity", "--force", *made("capacity.json")]),
        "theory temperature": Small(["theory", "temperature", *made("temperature.json")]),
        "theory sparsity": Small(["theory", "sparsity", run, old, "--force", *page("sparsity")]),
        "theory storage": Small(["theory", "storage", *made("storage.json")]),
        "theory memory": Small(["theory", "memory", remembers, "--force", *page("blur")]),
        "theory trace": Small(["theory", "trace", run, old, "--force", *page("trace")]),
        "theory memorization": Small(
            ["theory", "memorization", run, old, "--most", "40", "--force", *page("memorised")]
        ),
        "theory bound": Small(["theory", "bound", *made("bound.json")], ends=False),
        "theory scaling": Small(["theory", "scaling", *made("scaling.json")], ends=False),
        "theory convergence": Small(
            ["theory", "convergence", "--sizes", "100", "--seeds", "0", *STEPS[:2], *made("w.json")]
        ),
        "dashboard": Small(["dashboard", "--no-browser", "--port", "8599"], ends=False, writes=False),
        "data clean": Small(["data", "clean", csv, "--force", *made("clean.csv")]),
        "data describe": Small(["data", "describe", csv, "--force", *page("d", "--plot")]),
        "data fetch": Small(["data", "fetch", "sample"], writes=False),
        "data list": Small(["data", "list"], writes=False),
        "completion": Small(["completion", "bash"], writes=False),
    }  # fmt: skip
