"""How long a memory takes to be asked and to be added to, at 100,000 windows of 168 steps and 7 variates.

    python tests/benchmarks/external/latency.py [--windows 100000] [--output latency.json]

Times are medians over repetitions on one thread, beside the plain product of one query with the same keys.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from stanhop_app.files import to_json, write_text
from stanhop_app.forecasting.external.correction import KeyKind, Memory, measured
from stanhop_app.forecasting.external.retrieval import Rule
from stanhop_app.forecasting.external.store import Store

HERE = Path(__file__).parent
STEPS, VARIATES, HORIZON, LOOKBACK = 168, 7, 24, 512


def store_of(rows: torch.Tensor, first: int, last: int) -> Store:
    """Windows with their first targets in rows [first, last), of drawn errors."""
    count = last - first
    draws = torch.Generator().manual_seed(first)
    origins = torch.arange(first, last)
    return Store(
        rows=rows,
        origins=origins,
        begins=torch.zeros(count, dtype=torch.long),
        missed=torch.randn(count, HORIZON, VARIATES, generator=draws),
        when=torch.stack([origins.double() * 3600, (origins % 24).double() / 24], dim=1),
        ends=(origins + HORIZON - 1).double() * 3600,
        part=torch.zeros(count, dtype=torch.long),
    )


def median_of(action: Callable[[], object], times: int = 15) -> float:
    """Median milliseconds."""
    action()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[times // 2] * 1e3


@torch.no_grad()
def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--output", type=Path, default=HERE / "latency.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    end = LOOKBACK + asked.windows
    rows = torch.randn(end + 1000, VARIATES, generator=torch.Generator().manual_seed(0)).cumsum(0)
    rows = rows / rows.std(0)
    store, kind = store_of(rows, LOOKBACK, end), KeyKind(steps=STEPS, calendar=True)
    spread, typical = measured(store, kind)
    strength = torch.ones(HORIZON, VARIATES)
    memory = Memory(
        store=store, kind=kind, rule=Rule(), strength=strength, spread=spread, typical=typical
    )
    more = store_of(rows, end, end + 1000)
    window, when = rows[None, end - LOOKBACK : end], torch.tensor([[end * 3600.0, 0.5]]).double()
    keys = store.shapes(STEPS, torch.arange(len(store))).flatten(1)
    query = keys[:1].T.contiguous()

    def grown() -> object:
        return memory.with_windows(more).missed(window, when)

    measured_ = {
        "windows": asked.windows,
        "one query": median_of(lambda: memory.missed(window, when)),
        "one plain product with the keys": median_of(lambda: keys @ query),
        "1,000 windows added, and the first query after": median_of(grown, 3),
        "bytes a window": sum(t.nbytes for t in store.tensors().values()) / len(store),
        "bytes of a key, if keys were kept": keys[0].nbytes,
    }
    write_text(asked.output, to_json(measured_, indent=2) + "\n")
    print(to_json(measured_, indent=2))


if __name__ == "__main__":
    main()
