"""How fast levels should follow the coverage: rates of adaptive conformal inference, on validation and test.

    python tests/benchmarks/adaptive.py [--cells etth1:14/5/5:24 ...] [--seed 0] [--runs FOLDER]
        [--output adaptive.json]

Windows a horizon apart are forecast by the scored model, one after the other; intervals read what had ended,
and levels follow with each rate. The rate is chosen on the later half of the validation windows, before which
the first half lies; test windows are told beside it. Fits are kept under ``--runs``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent / "external"))
from external import fit_of, table_of

from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.forecasting.intervals.adaptive import Followed
from stanhop_app.forecasting.intervals.choice import LEVELS, pinball
from stanhop_app.forecasting.intervals.intervals import Intervals, intervals_of
from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
RATES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
CELLS = (
    "etth1:14/5/5:24",
    "etth1:etth:24",
    "etth1:14/5/5:96",
    "exchange-rate:14/5/5:24",
    "sample:14/5/5:24",
)


@torch.no_grad()
def walked(
    fitted: Fitted, known: Intervals, windows: Windows, first: int, rate: float
) -> dict[str, Any]:
    """Loss and coverage of windows a horizon apart, those before ``first`` left out."""
    numbers = torch.arange(first, len(windows), windows.horizon)
    when, rows = windows.when(numbers), windows.rows(numbers)[:, windows.lookback].tolist()
    assert when is not None
    pairs = [fitted.predictors()[WHOLE].pairs(windows, batch) for batch in numbers.split(64)]
    truth, made = (torch.cat(side).double() for side in zip(*pairs, strict=True))
    x, levels = windows.gather(numbers)[0], Followed(LEVELS, truth.shape[2], rate)
    loss, inside = 0.0, {80: [], 95: []}
    for n, row in enumerate(rows):
        missed = known.quantiles(x[n : n + 1], when[n : n + 1], levels.at(row))[0]
        ends = made[n] + missed
        levels.learn(row, truth[n], ends)
        loss += float(pinball(truth[n], ends, torch.tensor(LEVELS)).sum())
        for coverage, (low, high) in {80: (1, 5), 95: (0, 6)}.items():
            inside[coverage].append((truth[n] >= ends[low]) & (truth[n] <= ends[high]))
    told: dict[str, Any] = {"wql": 2 * loss / (len(LEVELS) * float(truth.abs().sum()))}
    for coverage, hits in inside.items():
        share = torch.stack(hits).double()
        told[f"coverage_{coverage}"] = float(share.mean())
        told[f"variates_{coverage}"] = share.mean((0, 1)).tolist()
    return {**told, "windows": len(numbers)}


def cell(name: str, split: str, horizon: int, seed: int, runs: Path) -> dict[str, Any]:
    """Every rate on one table."""
    frame = table_of(name, Path())
    folder = runs / f"{name}-{split}-h{horizon}-s{seed}".replace("/", "-")
    fitted = fit_of(frame, split, horizon, seed, folder)
    known, parts = intervals_of(fitted), fitted.panel(frame).windows(fitted.lookback, horizon)
    firsts = {"validation": len(parts["validation"]) // 2, "test": 0}
    return {
        part: {str(rate): walked(fitted, known, parts[part], first, rate) for rate in RATES}
        for part, first in firsts.items()
    }


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("external-runs"))
    parser.add_argument("--output", type=Path, default=HERE / "adaptive.json")
    asked = parser.parse_args()
    cells = [
        dict(zip(("table", "split", "horizon"), text.split(":"), strict=True), seed=asked.seed)
        for text in asked.cells
    ]
    content = fill(
        open_results(asked.output, "adaptive", 1, {}),
        asked.output,
        [{**each, "horizon": int(each["horizon"])} for each in cells],
        lambda c, folder: cell(c["table"], c["split"], c["horizon"], c["seed"], asked.runs),
        name=lambda c: "{table} {split} {horizon} seed {seed}".format(**c),
        say=print,
    )
    for key, made in content["cells"].items():
        for part in ("validation", "test"):
            for rate, told in made[part].items():
                shares = [round(100 * share, 1) for share in told["variates_80"]]
                numbers = (told["wql"], told["coverage_80"], told["coverage_95"])
                print(key, part, rate, [round(n, 4) for n in numbers], min(shares), max(shares))


if __name__ == "__main__":
    main()
