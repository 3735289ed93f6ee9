"""The engine of this machine: processes that are started anew when they die."""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from stanhop_app.engines.plan import Block
from stanhop_app.engines.work import Made, Task, Worker
from stanhop_app.errors import StanhopError
from stanhop_app.training.apart import start_apart

DEATHS = 5
"""How often a block may take its worker with it before it is given up."""


def run_local(task: Task, blocks: Sequence[tuple[int, Block]], workers: int) -> Iterator[Made]:
    """Make blocks in so many processes; each is tried again where its process died.

    Raises:
        StanhopError: if no process can open the model.
    """
    waiting, deaths = deque(blocks), dict.fromkeys((number for number, _ in blocks), 0)
    hands = [_Hand.start(task) for _ in range(min(workers, len(blocks)))]
    try:
        while waiting or any(hand.block for hand in hands):
            for hand in hands:
                if hand.block is None and waiting:
                    hand.give(waiting.popleft())
            busy = {hand.pipe: hand for hand in hands if hand.block is not None}
            for pipe in wait(list(busy)):
                hand = busy[pipe]  # type: ignore[index]
                assert hand.block is not None
                made, (number, _) = hand.take(), hand.block
                if made is not None:
                    hand.block = None
                    yield made
                    continue
                deaths[number] += 1
                if deaths[number] < DEATHS:
                    waiting.appendleft(hand.block)
                else:
                    yield Made(number=number, error=hand.end(), cause="death")
                hand.stop()
                hands[hands.index(hand)] = _Hand.start(task)
    finally:
        for hand in hands:
            hand.stop()


@dataclass(eq=False)
class _Hand:
    """A process, the pipe to it, and what it does."""

    process: Any
    pipe: Connection
    block: tuple[int, Block] | None = None

    @classmethod
    def start(cls, task: Task) -> "_Hand":
        ours, theirs = Pipe()
        process = start_apart(_serve, theirs, task)  # a fork would share torch's threads
        theirs.close()
        return cls(process, ours)

    def give(self, block: tuple[int, Block]) -> None:
        """Ask for a block."""
        self.block = block
        with contextlib.suppress(OSError):  # it died, which the pipe tells when it is read
            self.pipe.send(block)

    def take(self) -> Made | None:
        """What it made; None: it died.

        Raises:
            StanhopError: if it could not open the model.
        """
        try:
            told = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(told, StanhopError):
            raise told
        assert isinstance(told, Made)
        return told

    def end(self) -> str:
        """How its process died, which it did too often."""
        self.process.join(timeout=10)
        code = self.process.exitcode
        if code is not None and code >= 0:
            return f"its process ended by itself (code {code}) {DEATHS} times; its last words are above"
        return f"its process was killed {DEATHS} times, perhaps for want of memory"

    def stop(self) -> None:
        """End it at once; what it writes is there whole or not at all."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, task: Task) -> None:
    """Make what is asked for until nobody asks any more, also because who asked was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        worker = Worker(task)
    except StanhopError as error:
        pipe.send(error)
        return
    while True:
        try:
            number, block = pipe.recv()
            pipe.send(worker(number, block))
        except (EOFError, OSError):
            return
