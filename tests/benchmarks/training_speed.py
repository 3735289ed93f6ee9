"""Windows a second that the default network trains, and where the time goes.

Usage: python tests/benchmarks/training_speed.py [--profile]
"""

import sys
import time

import torch

from stanhop_app import datasets
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import split_rows, split_windows
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.stanhop import DeepPart, STanHopConfig
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.loop import train

LOOKBACK, HORIZON, STEPS = 336, 24, 60


def main() -> None:
    """Train a few steps on ETTh1 three times and print the speeds."""
    frame = datasets.load("etth1")
    split = split_rows(len(frame))
    array = frame.to_numpy()
    values = torch.from_numpy(Scaler.fit(array[: split.train]).transform(array))
    parts = split_windows(values, split, LOOKBACK, HORIZON)
    config = STanHopConfig(num_variates=7, lookback=LOOKBACK, horizon=HORIZON)
    network = DeepPart(config)
    task = ForecastTask(parts[0], parts[1])
    task.validation_size = 1  # the speed is that of training
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters:,} parameters, lookback {LOOKBACK}, horizon {HORIZON}, batch 64")
    print(f"{torch.get_num_threads()} threads")
    for _ in range(3):
        options = TrainingConfig(max_steps=STEPS, device="cpu")
        history = train(network, task, options, progress=False)
        print(f"{history[-1]['samples_per_second']:.0f} windows a second")
    if "--profile" in sys.argv:
        optimizer = torch.optim.AdamW(network.train().parameters(), fused=True)
        with torch.profiler.profile() as profile:
            for step in range(10):
                optimizer.zero_grad()
                task.loss(network, torch.arange(64) + 64 * step, validation=False).backward()
                optimizer.step()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))
    start = time.perf_counter()
    with torch.no_grad():
        network.eval()(torch.randn(512, LOOKBACK, 7))
    print(f"inference: {512 / (time.perf_counter() - start):.0f} windows a second")


if __name__ == "__main__":
    main()
