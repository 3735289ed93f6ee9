"""Intervals of ETTh1 and other tables: every way of reading residuals, scored on test windows.

    python tests/benchmarks/intervals.py [--cells etth1:14/5/5:24 ...] [--seed 0] [--runs FOLDER]
        [--output intervals.json]

A cell is one fit on a table, a split and a horizon, scored on `WINDOWS` test windows, evenly over the part.
"static" reads residuals of validation windows only, "current" those of all windows that had ended. Errors are
in scaled units; the weighted quantile loss is twice the pinball loss over the mean absolute value, averaged
over seven levels. Fits are kept under ``--runs``.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent / "external"))
from external import fit_of, table_of

from stanhop_app.data.windows import evenly
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.forecasting.intervals.choice import LEVELS, Judged, pinball
from stanhop_app.forecasting.intervals.intervals import Intervals, intervals_of
from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
WINDOWS = 400
CELLS = (
    *(f"etth1:{split}:{horizon}" for split in ("14/5/5", "etth") for horizon in (24, 96)),
    *(f"{table}:14/5/5:24" for table in ("exchange-rate", "sample")),
)


def scores(
    judged: Judged, left: Tensor, truth: Tensor, x: Tensor, when: Tensor, *, frozen: bool
) -> dict[str, Any]:
    """Loss, coverage and width of one way of reading."""
    known = Intervals(judged=(judged,))
    loss, inside, width = 0.0, {80: [], 95: []}, {80: 0.0, 95: 0.0}
    levels = torch.tensor(LEVELS)
    for number in range(len(x)):
        one = slice(number, number + 1)
        ends = known.quantiles(x[one], when[one], LEVELS, frozen=frozen)[0]
        loss += float(pinball(left[number], ends, levels).sum())
        for coverage, (low, high) in {80: (1, 5), 95: (0, 6)}.items():
            inside[coverage].append((left[number] >= ends[low]) & (left[number] <= ends[high]))
            width[coverage] += float((ends[high] - ends[low]).mean()) / len(x)
    covered = {coverage: torch.stack(hits).double() for coverage, hits in inside.items()}
    return {
        "wql": 2 * loss / (len(LEVELS) * float(truth.abs().sum())),
        "coverage": {str(c): float(hits.mean()) for c, hits in covered.items()},
        "variates": {str(c): hits.mean((0, 1)).tolist() for c, hits in covered.items()},
        "width": {str(c): w for c, w in width.items()},
    }


def cell(name: str, split: str, horizon: int, seed: int, runs: Path) -> dict[str, Any]:
    """Every way of reading on one table."""
    frame = table_of(name, Path())
    folder = runs / f"{name}-{split}-h{horizon}-s{seed}".replace("/", "-")
    fitted = fit_of(frame, split, horizon, seed, folder)
    started = time.perf_counter()
    known = intervals_of(fitted)
    seconds = time.perf_counter() - started
    windows = fitted.panel(frame).windows(fitted.lookback, horizon)["test"]
    numbers = evenly(len(windows), WINDOWS)
    whole, when = fitted.predictors()[WHOLE], windows.when(numbers)
    assert when is not None
    with torch.no_grad():
        pairs = [whole.pairs(windows, batch) for batch in numbers.split(64)]
    truth, made = (torch.cat(side) for side in zip(*pairs, strict=True))
    x = windows.gather(numbers)[0]
    ways = {}
    for judged in known.judged:
        ways[judged.pool.way.name] = {
            "validation": judged.loss,
            **{
                kind: scores(judged, truth - made, truth, x, when, frozen=kind == "static")
                for kind in ("static", "current")
            },
        }
    return {"ways": ways, "seconds": round(seconds, 1), "windows": len(numbers)}


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("external-runs"))
    parser.add_argument("--output", type=Path, default=HERE / "intervals.json")
    asked = parser.parse_args()
    cells = [
        dict(zip(("table", "split", "horizon"), text.split(":"), strict=True), seed=asked.seed)
        for text in asked.cells
    ]
    fill(
        open_results(asked.output, "intervals", 1, {}),
        asked.output,
        [{**each, "horizon": int(each["horizon"])} for each in cells],
        lambda c, folder: cell(c["table"], c["split"], c["horizon"], c["seed"], asked.runs),
        name=lambda c: "{table} {split} {horizon} seed {seed}".format(**c),
        say=print,
    )


if __name__ == "__main__":
    main()
