"""The associations as retrieval rules of an external memory: errors, no-op, windows that are used.

    python tests/benchmarks/external/associations.py [--runs FOLDER] [--output associations.json]

ETTh1, 14/5/5, seed 0, fits as of `external.py`. Everything but the association is chosen as always; sharpness
is that of the two rules that are tried by default. A window is used if its weight is above 1e-4.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from external import fit_of, table_of

from stanhop_app.data.cutting import behind
from stanhop_app.forecasting.evaluation import score
from stanhop_app.forecasting.external.choice import choose, fill
from stanhop_app.forecasting.external.retrieval import Rule
from stanhop_app.forecasting.fitted import ALONE, WHOLE
from stanhop_app.forecasting.linear.fit import LinearFit, refit_linear
from stanhop_app.studies.cells import fill as fill_cells
from stanhop_app.studies.cells import open_results

HERE = Path(__file__).parent
SHARPNESS = {"softmax": 2.0, "softmax1": 1.0, "sparsemax": 2.0, "entmax15": 2.0}
USED = 1e-4
QUERIED = 500
"""Test windows by which no-op and used windows are counted, evenly over all."""


@torch.no_grad()
def cell(association: str, horizon: int, runs: Path) -> dict[str, Any]:
    """One association at one horizon."""
    frame, folder = table_of("etth1", Path()), runs / f"etth1-14-5-5-h{horizon}-s0"
    fitted = fit_of(frame, "14/5/5", horizon, 0, folder)
    panel = fitted.panel(frame)
    windows = panel.windows(fitted.lookback, horizon)
    train, validation, test = windows.values()
    linear = refit_linear(LinearFit.of_summary(fitted.linear or {}), train)
    later = behind(panel.whole(fitted.lookback, horizon), [panel.borders.validation], (0,))
    store = fill(linear, (train, validation, later))
    rule = Rule(association=association, sharpness=SHARPNESS[association])
    memory = choose(fitted.predictors()[WHOLE].pairs, store, validation, 24, (rule,))
    if memory is None:
        return {"mse": None, "alone": score(fitted.predictors()[WHOLE], test, panel.scaler).mse}
    named = replace(fitted, memory=memory).predictors()
    errors = {name: score(named[name], test, panel.scaler).mse for name in (WHOLE, ALONE)}
    numbers = torch.linspace(0, len(test) - 1, QUERIED, dtype=torch.float64).round().long()
    parts = []
    for some in numbers.split(50):
        read = memory.find(test.gather(some)[0], test.when(some), frozen=True)
        parts.append(read.weights)
    weights = torch.cat(parts, dim=1)
    return {
        "mse": errors[WHOLE],
        "alone": errors[ALONE],
        "gain": memory.gain,
        "no_op": float(1 - weights.sum(-1).mean()),
        "used": float((weights > USED).sum(-1).double().mean()),
        "steps": memory.kind.steps,
    }


def main() -> None:
    """Fill the cells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("external-runs"))
    parser.add_argument("--output", type=Path, default=HERE / "associations.json")
    asked = parser.parse_args()
    fill_cells(
        open_results(asked.output, "external_associations", 1, {}),
        asked.output,
        [{"association": name, "horizon": horizon} for horizon in (24, 96) for name in SHARPNESS],
        lambda c, folder: cell(c["association"], c["horizon"], asked.runs),
        name=lambda c: "{association} {horizon}".format(**c),
        say=print,
    )


if __name__ == "__main__":
    main()
