"""The engine of many machines: Ray Data (extra ``ray``)."""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any, cast

from stanhop_app.engines.plan import Block
from stanhop_app.engines.work import Made, Task, Worker
from stanhop_app.errors import OptionError, StanhopError


def run_ray(task: Task, blocks: Sequence[tuple[int, Block]], workers: int) -> Iterator[Made]:
    """Make blocks in so many actors of Ray, which starts them anew when they die.

    A cluster that ``RAY_ADDRESS`` names is used, else one of this machine is started for the job. Folders of
    the run, the table and the results must be there on every machine.

    Raises:
        OptionError: if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    # It calls an error what is none: arguments of actors are kept as long as the job.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError:
        raise OptionError(
            "engine=ray (--engine ray) needs Ray: pip install 'stanhop-app[ray]'."
        ) from None
    started = not ray.is_initialized()
    if started:
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        _start(own)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        rows = [{"number": number, "block": block.model_dump_json()} for number, block in blocks]
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            cast(Any, _Actor),
            fn_constructor_args=(task,),
            concurrency=min(workers, len(rows)),
            num_cpus=1,
        )
        for row in made.iter_rows():
            yield Made(**row)
    finally:
        if started:
            ray.shutdown()


def _start(own: dict[str, Any]) -> None:
    """Connect to a cluster, or start one of this machine.

    Raises:
        StanhopError: if Ray does not answer.
    """
    import ray

    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray raises plain Exceptions
        reason = " ".join(str(error).split())[:200]
        raise StanhopError(
            f"Ray could not be started or reached ({reason}); give the command again."
        ) from None


class _Actor:
    """A worker as Ray Data calls it."""

    def __init__(self, task: Task):
        self.worker = Worker(task)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return vars(self.worker(int(row["number"]), Block.model_validate_json(row["block"])))
