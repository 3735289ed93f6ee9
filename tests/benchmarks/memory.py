"""Peak resident memory of a fit on 17,420 rows and on 1,000,000 rows x 7 variates.

Each fit is a process of its own, with a few optimiser steps and everything else in full: reading,
scaling, validation, the linear part, the combination.

Usage: python tests/benchmarks/memory.py
"""

import resource
import subprocess
import sys

import numpy as np
import pandas as pd

ROWS = (17_420, 1_000_000)


def fit(rows: int) -> None:
    """Fit once and print the peak in MiB."""
    from stanhop_app import STanHopForecaster

    rng = np.random.default_rng(0)
    index = pd.date_range("2000-01-01", periods=rows, freq="min", name="time")
    frame = pd.DataFrame(index=index)
    for i in range(7):
        frame[f"x{i}"] = np.sin(np.arange(rows) / (10 + i)) + rng.normal(size=rows) / 5
    STanHopForecaster(training={"max_steps": 20}, progress=False).fit(frame).predict()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    """Measure both sizes and print the difference."""
    if len(sys.argv) > 1:
        fit(int(sys.argv[1]))
        return
    peaks = [
        int(
            subprocess.run(
                [sys.executable, __file__, str(n)], stdout=subprocess.PIPE, check=True
            ).stdout
        )
        for n in ROWS
    ]
    for rows, peak in zip(ROWS, peaks, strict=True):
        print(f"{rows:9,} rows: {peak} MiB")
    print(f"difference: {peaks[1] - peaks[0]} MiB")


if __name__ == "__main__":
    main()
