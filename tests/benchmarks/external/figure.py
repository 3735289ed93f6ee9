"""The analogue figure of an easy, a hard and a novel test window of ETTh1, as PNG files.

    python tests/benchmarks/external/figure.py [--runs FOLDER] [--output FOLDER] [--chromium chromium]

Of `WINDOWS` test windows, evenly over the part, easy is the one whose squared error is smallest, hard the one
whose is largest, novel the one of the highest energy against the store. Every window reads what had ended
before its first target. The fit is that of `external.py`, kept under ``--runs``.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import torch
from external import fit_of, table_of

from stanhop_app.data.windows import evenly
from stanhop_app.figures.analogues import analogues_figure
from stanhop_app.forecasting.external.analogues import analogues
from stanhop_app.forecasting.external.novelty import energies, ordinary, percentile
from stanhop_app.forecasting.external.plug import plugged
from stanhop_app.forecasting.fitted import WHOLE, Fitted

HERE = Path(__file__).parent
WINDOWS = 500
SHOWN = ["OT", "HUFL"]
SIZE = 1100, 620


def places(fitted: Fitted, frame: pd.DataFrame) -> dict[str, tuple[int, float, float]]:
    """Row of the first target, squared error and percentile of novelty of each kind of window."""
    windows = fitted.panel(frame).windows(fitted.lookback, fitted.horizon)["test"]
    numbers = evenly(len(windows), WINDOWS)
    whole, memory = fitted.predictors(final=True)[WHOLE], fitted.memory
    assert memory is not None
    with torch.no_grad():
        truth, made = whole.pairs(windows, numbers)
    error = (truth - made).square().mean((1, 2))
    found = energies(memory, windows.gather(numbers)[0], windows.when(numbers))
    ranks = percentile(ordinary(memory), found)
    chosen = {"easy": error.argmin(), "hard": error.argmax(), "novel": found.argmax()}
    origins = windows.rows(numbers)[:, windows.lookback]
    return {kind: (int(origins[i]), float(error[i]), float(ranks[i])) for kind, i in chosen.items()}


def draw(page: Path, picture: Path, chromium: str) -> None:
    """Render a page to a PNG file."""
    with tempfile.TemporaryDirectory() as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        words += [f"--window-size={SIZE[0]},{SIZE[1]}", "--virtual-time-budget=5000"]
        words += ["--hide-scrollbars", f"--screenshot={picture}", page.as_uri()]
        subprocess.run([chromium, *words], check=True, capture_output=True, timeout=120)


def main() -> None:
    """Draw the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("external-runs"))
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--chromium", default="chromium")
    asked = parser.parse_args()
    frame = table_of("etth1", Path())
    fitted = fit_of(frame, "14/5/5", 24, 0, asked.runs / "etth1-14-5-5-h24-s0")
    fitted = plugged(fitted, fitted.panel(frame))
    for kind, (row, error, rank) in places(fitted, frame).items():
        told = analogues(fitted, frame.iloc[:row])
        actual = frame.iloc[row : row + fitted.horizon]
        title = (
            f"{kind}: ETTh1, 24 h after {frame.index[row - 1]}, squared error {error:.2f}, newer than "
            f"{rank:.0f}% of the training windows"
        )
        figure = analogues_figure(**told.lines(SHOWN), actual=actual, title=title)
        figure.update_layout(width=SIZE[0] - 20, height=SIZE[1] - 20)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            page.write_text(figure.to_html(config={"displayModeBar": False}))
            draw(page, (asked.output / f"analogues-{kind}.png").resolve(), asked.chromium)
        print(title, told, sep="\n")


if __name__ == "__main__":
    main()
