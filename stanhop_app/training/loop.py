"""One training loop for every model here: AdamW, one cycle, averaged weights, early stopping.

Devices, precision and multi-process launch are Lightning Fabric's. The loop itself is exact: a run
that is killed and resumed ends with the same weights, to the bit on CPU, as one that was not.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from stanhop_app.errors import TrainingError
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.folder import is_main_process
from stanhop_app.training.state import State
from stanhop_app.training.task import Task, Tell, Watch

STEPS_PER_ROW = 20
"""Optimiser steps that a row of `STEPS` is the mean of; the file is written anew with every row."""


def train(
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    checkpoint_steps: int = 200,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> list[dict[str, float]]:
    """Train a model in place; it ends with its averaged weights (``config.keep``), on the CPU.

    Args:
        model: any module; ``task.loss`` calls it.
        task: samples and loss.
        config: how.
        folder: where ``checkpoint.safetensors``, ``history.csv`` (a row an epoch) and ``steps.csv`` (a row
            every 20 steps, for who watches) are kept; None writes nothing.
        resume: go on from the checkpoint in ``folder`` if there is one.
        identity: what besides ``config`` must be equal on resuming (network, data), JSON values.
        progress: whether to draw a bar on standard error; None: only if that is a terminal.
        checkpoint_steps: optimiser steps between checkpoints (and one at the end of every epoch).
        watch: looks at the model every so many steps, such as
            `stanhop_app.training.outlier_log.OutlierLog`; on the main process only.
        tell: told of every row of the two logs as it is made, on the main process only; what it raises ends
            the training.

    Returns:
        One row per epoch: epoch, step, train_loss, validation_loss, learning_rate, samples_per_second.

    Raises:
        TrainingError: if the loss is not finite, or another process of the training died.
        ArtefactError: if the checkpoint to resume is damaged or of another configuration.
        KeyboardInterrupt: on interrupt, after a checkpoint was written.
    """
    with drawing(), _interruptible() as interrupted:
        loop = State(model, task, config, folder, dict(identity or {}))
        loop.watch = watch if loop.fabric.is_global_zero else None
        loop.tell = tell if loop.fabric.is_global_zero else None
        if resume:
            loop.load()
            if watch is not None and loop.position.step:
                watch.load()
        if loop.position.step == 0:
            loop.save()  # before any log: what a kill leaves can be gone on with
        if loop.watch is not None and loop.position.step == 0:
            loop.watch(model, 0)
        bar = tqdm(
            total=loop.total_steps,
            initial=loop.position.step,
            unit="step",
            mininterval=0.5,
            disable=not (sys.stderr.isatty() if progress is None else progress)
            or not is_main_process(),
        )
        with bar:
            while not loop.position.finished:
                with _together(loop):
                    _epoch(loop, bar, interrupted, checkpoint_steps)
        loop.finish()
    return loop.position.history


def _epoch(loop: "State", bar: Any, interrupted: threading.Event, checkpoint_steps: int) -> None:
    """Train to the end of the epoch, validate, and decide whether to go on."""
    position, config = loop.position, loop.config
    batches = loop.batches(position.epoch)
    started, samples = time.perf_counter(), 0
    for batch in batches[position.batch :]:
        if position.step >= loop.total_steps:
            break
        loop.step(batch)
        samples += len(batch)
        bar.update()
        if position.step % STEPS_PER_ROW == 0:
            loop.log(batches)
        if loop.anywhere(interrupted.is_set()):
            loop.save()
            raise KeyboardInterrupt
        if position.step % checkpoint_steps == 0:
            loop.save()
    seconds = time.perf_counter() - started
    loop.log(batches)
    validation = loop.validate()
    seen = sum(len(batch) for batch in batches[: position.batch])
    position.history.append(
        {
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": position.loss_sum / max(seen, 1),
            "validation_loss": validation,
            "learning_rate": loop.learning_rate(),
            "samples_per_second": round(samples / max(seconds, 1e-9), 1),
        }
    )
    if loop.tell is not None:
        loop.tell(position.history[-1])
    better = validation < position.best
    if better:
        position.best, position.best_epoch = validation, position.epoch
    if better or config.keep == "last":
        loop.best = loop.averaged_weights()
    bar.set_postfix(epoch=position.epoch + 1, validation=f"{validation:.4f}", refresh=False)
    position.epoch, position.batch, position.loss_sum = position.epoch + 1, 0, 0.0
    position.logged_batch, position.logged_sum = 0, 0.0
    position.finished = (
        position.step >= loop.total_steps
        or position.epoch - 1 - position.best_epoch >= config.patience
    )
    loop.save()
    if loop.anywhere(interrupted.is_set()):
        raise KeyboardInterrupt


@contextlib.contextmanager
def _together(loop: "State") -> Iterator[None]:
    """Say in one line that another process of the training is gone.

    Raises:
        TrainingError: if it is; what the last checkpoint holds can be gone on with.
    """
    try:
        yield
    except RuntimeError as error:
        words = ("Connection", "closed by peer", "gloo", "NCCL", "socket", "Timed out")
        if loop.fabric.world_size == 1 or not any(word in str(error) for word in words):
            raise
        where = "" if loop.folder is None else f" (checkpoint in {loop.folder})"
        raise TrainingError(
            "another process of this training died or cannot be reached; go on with the same command and "
            f"--resume, with as many processes or others{where}."
        ) from None


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a flag, so that a step ends and a checkpoint is whole."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            if handler is not None:  # None: set by something other than Python
                signal.signal(number, handler)

    def note(signum: int, frame: object) -> None:
        event.set()
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield event
    finally:
        restore()
