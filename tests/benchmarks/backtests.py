"""Backtests of several tables: losses and coverage beside conformal baselines, sums, lots, time.

    python tests/benchmarks/backtests.py [--cells etth1:14/5/5:24 ...] [--seed 0] [--runs FOLDER]
        [--output backtests.json]

A cell is one run, made with the options of `stanhop train` and kept under ``--runs``, and a backtest of its
test part, cut-offs a horizon apart; of M4 the last horizon of every series, by a run that did not see it.

"totals" is how often the sum over all steps lay within the interval of sample paths, of each variate, and the
same where every step is drawn by itself. "exchangeable" is the coverage where half of all windows of
validation and test, a horizon apart, were drawn by lot to make intervals of and the others judge, the mean of
ten draws.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stanhop_app.datasets import DATASETS, load
from torch import Tensor

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import to_series
from stanhop_app.forecasting.fitted import WHOLE, Fitted
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.forecasting.intervals.intervals import intervals_from, intervals_of
from stanhop_app.forecasting.suited import grouped, suited_to_series
from stanhop_app.runs.backtest.backtest import backtest
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.backtest.report import gains
from stanhop_app.runs.backtest.scores import scores
from stanhop_app.runs.making import make_run
from stanhop_app.runs.run import Run
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.studies.competition import held_out

HERE = Path(__file__).parent
CELLS = (
    "etth1:14/5/5:24",
    "etth1:etth:24",
    "etth1:14/5/5:96",
    "etth1:etth:96",
    "exchange-rate:14/5/5:24",
    "sample:14/5/5:24",
    "m4-weekly:last:13",
    "m4-hourly:last:48",
)
PATHS, DRAWS = 400, 10


def run_of(name: str, split: str, horizon: int, seed: int, folder: Path) -> Run:
    """A run as it was saved or made now, on the table that it is backtested on."""
    whole = load(name)
    options: dict[str, Any] = {"horizon": horizon, "seed": seed, "progress": False}
    if split != "last":
        if not (folder / "config.json").exists():
            forecaster = STanHopForecaster(**options, split=split)
            make_run(forecaster, Panel.of(whole, split), folder, source={"data": name})
        return Run.open(folder).on(whole)
    table = to_series(whole, id_column="unique_id")
    if not (folder / "config.json").exists():
        known, _ = held_out(table, horizon)
        suited = grouped(suited_to_series(known, horizon))
        options |= {**suited, "split": f"*/{2 * horizon}/0", "final": "none"}
        season = DATASETS[name].season
        forecaster = STanHopForecaster(**options)
        make_run(forecaster, Panel.of_series(known, forecaster.split), folder, season=season)
    return Run.open(folder).on(table)


def seconds(make: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    make()
    return time.perf_counter() - started


def cell(name: str, split: str, horizon: int, seed: int, runs: Path) -> dict[str, Any]:
    """One backtest."""
    folder = runs / f"{name}-{split}-h{horizon}-s{seed}".replace("/", "-")
    run = run_of(name, split, horizon, seed, folder)
    many = run.table.is_many
    started = time.perf_counter()
    made = backtest(run, BacktestConfig(origins=1 if many else None), say=print)
    told: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 1)}
    told["models"] = {str(n): row for n, row in scores(made).T.to_dict().items()}
    told["gains"] = {name: str(gain) for name, gain in gains(made, "crps").items()}
    told["way"] = intervals_of(run.fitted).best.pool.way.name
    if not many:
        each = scores(made, by=["variate"])
        for coverage in (80, 95):
            parts = each[f"coverage_{coverage}"]
            told[f"variates_{coverage}"] = {
                str(model): [float(part.min()), float(part.max())]
                for model, part in parts.groupby(level="model", observed=True)
            }
        told["totals"] = totals(run)
        told["exchangeable"] = exchangeable(run.fitted)
        told["times"] = times(run)
    return told


@torch.no_grad()
def totals(run: Run) -> dict[str, Any]:
    """How often a sum over the horizon lay within its intervals, from paths and from steps drawn apart."""
    fitted, windows = run.fitted, run.parts["test"]
    known, whole = intervals_of(fitted), fitted.predictors()[WHOLE]
    numbers = torch.arange(len(windows) - 1, -1, -windows.horizon).flip(0)
    when, x = windows.when(numbers), windows.gather(numbers)[0]
    assert when is not None
    pairs = [whole.pairs(windows, batch) for batch in numbers.split(64)]
    truth, made = (torch.cat(side) for side in zip(*pairs, strict=True))
    left = (truth - made).sum(1)
    hits: dict[str, list[float]] = {}
    for n in range(len(numbers)):
        paths = known.paths(x[n : n + 1], when[n : n + 1], PATHS, seed=n)[0]
        lot = torch.Generator().manual_seed(n)
        apart = [paths[torch.randperm(PATHS, generator=lot), s] for s in range(paths.shape[1])]
        for kind, drawn in (("paths", paths), ("steps apart", torch.stack(apart, dim=1))):
            for coverage in (80, 95):
                tail = (1 - coverage / 100) / 2
                low, high = drawn.sum(1).quantile(torch.tensor([tail, 1 - tail]), dim=0)
                inside = (left[n] >= low) & (left[n] <= high)
                hits.setdefault(f"{kind} {coverage}", []).append(float(inside.double().mean()))
    return {name: float(np.mean(shares)) for name, shares in hits.items()}


@torch.no_grad()
def exchangeable(fitted: Fitted) -> dict[str, float]:
    """Coverage where windows of validation and test are drawn by lot."""
    store = intervals_of(fitted).best.pool.store
    apart: list[int] = []
    for number, row in enumerate(store.origins.tolist()):
        if not apart or row >= int(store.origins[apart[-1]]) + fitted.horizon:
            apart.append(number)
    hits: dict[int, list[Tensor]] = {80: [], 95: []}
    for draw in range(DRAWS):
        lot = torch.tensor(apart)[
            torch.randperm(len(apart), generator=torch.Generator().manual_seed(draw))
        ]
        first, second = (part.sort().values for part in lot.chunk(2))
        calibrating = store.only(first)
        known = intervals_from(
            replace(calibrating, part=torch.zeros(len(first), dtype=torch.long)), fitted
        )
        windows = store.windows(fitted.lookback, second)
        ends = known.quantiles(windows, None, LEVELS)
        for coverage, (low, high) in {80: (1, 5), 95: (0, 6)}.items():
            left = store.missed[second]
            inside = (left >= ends[:, low]) & (left <= ends[:, high])
            hits[coverage].append(inside.double().mean())
    return {str(coverage): float(torch.stack(shares).mean()) for coverage, shares in hits.items()}


def times(run: Run) -> dict[str, float]:
    """Seconds of 100 cut-offs: the forecasts with intervals one by one, a backtest, and one that follows."""
    fitted, frame = run.fitted, run.table.frame
    forecaster = STanHopForecaster._of(
        replace(fitted, final=None), run.forecaster.kept_params(), "cpu"
    )
    horizon = fitted.horizon
    count = min(100, (len(frame) - fitted.borders.validation) // horizon)

    def alone() -> None:
        for back in range(count, 0, -1):
            forecaster.predict_quantiles(frame.iloc[: len(frame) - back * horizon], LEVELS)

    fixed = BacktestConfig(origins=count, update=False)
    return {
        "cut-offs": count,
        "forecasts alone": seconds(alone),
        "backtest": seconds(lambda: backtest(run, fixed)),
        "backtest, updated": seconds(lambda: backtest(run, BacktestConfig(origins=count))),
        "100 paths": seconds(lambda: forecaster.sample(count=100))
        - seconds(lambda: forecaster.predict()),
    }


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("backtest-runs"))
    parser.add_argument("--output", type=Path, default=HERE / "backtests.json")
    asked = parser.parse_args()
    cells = [
        dict(zip(("table", "split", "horizon"), text.split(":"), strict=True), seed=asked.seed)
        for text in asked.cells
    ]
    content = fill(
        open_results(asked.output, "backtests", 1, {}),
        asked.output,
        [{**each, "horizon": int(each["horizon"])} for each in cells],
        lambda c, folder: cell(c["table"], c["split"], c["horizon"], c["seed"], asked.runs),
        name=lambda c: "{table} {split} {horizon} seed {seed}".format(**c),
        say=print,
    )
    for key, made in content["cells"].items():
        print(
            key, {n: round(row["wql"], 4) for n, row in made["models"].items()}, made.get("times")
        )


if __name__ == "__main__":
    main()
