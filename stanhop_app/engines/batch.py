"""Forecasts of a long table of any size: planned, made block by block, and gone on with after a kill."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stanhop_app.engines.config import EngineConfig
from stanhop_app.engines.local import run_local
from stanhop_app.engines.plan import Plan
from stanhop_app.engines.ray import run_ray
from stanhop_app.engines.results import Results
from stanhop_app.engines.source import ParquetSource
from stanhop_app.engines.work import Engine, Made, Task
from stanhop_app.errors import ArtefactError, DataError, OptionError, StanhopError
from stanhop_app.files import to_json

ENGINES: dict[str, Engine] = {"local": run_local, "ray": run_ray}
TRIES = 2
"""How often a block is tried whose error is not about the table."""
SHOWN = 5
"""Blocks that an error names at most."""


def forecast_blocks(
    task: Task,
    config: EngineConfig,
    made_from: dict[str, Any],
    *,
    say: Callable[[str], None],
    force: bool = False,
    done: Callable[[int, int], None] | None = None,
) -> Plan:
    """Forecast every series of a table into a folder, or go on where an earlier job was stopped.

    Args:
        task: what is forecast; its ``mark`` is set here.
        config: the engine, its workers, and series in a block.
        made_from: what tells the run and the options from others; JSON values.
        say: told what is done.
        force: whether results of an earlier job there are removed, also of the same one.
        done: told how many blocks are there, and of how many.

    Returns:
        The plan; its forecasts are ``Results(task.output).frames()``.

    Raises:
        ArtefactError: if the folder holds something else, and ``force`` is False.
        DataError: if the table cannot be read, or has series that cannot be forecast.
        StanhopError: if blocks could not be made, naming them; all others are there.
    """
    _check_apart(task)
    source, results = ParquetSource(task.source), Results(task.output)
    files = [list(file) for file in source.files]
    identity = {**made_from, "files": files, "block_series": config.block_series}
    identity, tell = json.loads(to_json(identity)), done or (lambda there, total: None)
    with results.lock():
        plan = _planned(results, source, task, identity, config, say, force)
        mark = plan.sha256
        task = replace(task, mark=mark, files=tuple(source.files))
        left = [(n, block) for n, block in enumerate(plan.blocks) if not results.is_done(n, mark)]
        there, total = len(plan.blocks) - len(left), len(plan.blocks)
        if there:
            say(f"{there:,} of {total:,} blocks are there, {len(left):,} are left")
        failed: dict[int, Made] = {}
        for _ in range(TRIES):
            for made in ENGINES[str(config.engine)](task, left, config.workers) if left else ():
                failed.pop(made.number, None)
                if made.error is None:
                    there += 1
                    tell(there, total)
                else:
                    failed[made.number] = made
            left = [
                pair for pair in left if pair[0] in failed and failed[pair[0]].cause == "chance"
            ]
        if failed:
            raise _error(plan, task, failed)
        return plan


def _check_apart(task: Task) -> None:
    """Refuse an output that is, holds or lies in the table: what is written would be read, or removed."""
    source, output = (path.rstrip("/") + "/" for path in (task.source, task.output))
    if source.startswith(output) or output.startswith(source):
        raise OptionError(
            f"{task.output}: forecasts and table ({task.source}) must lie apart; choose another --output."
        )


def _error(plan: Plan, task: Task, failed: dict[int, Made]) -> StanhopError:
    """What could not be made, in one line a block."""
    lines = [
        f"block {number} (series {plan.blocks[number].ids[0]!r} to {plan.blocks[number].ids[-1]!r}): "
        f"{made.error}"
        for number, made in sorted(failed.items())
    ]
    shown = "\n".join(lines[:SHOWN]) + ("\n..." if len(lines) > SHOWN else "")
    about = (
        f"{len(lines):,} of {len(plan.blocks):,} blocks could not be made, all others are in {task.output}; "
        f"mend what is wrong and give the command again:\n{shown}"
    )
    of_table = all(made.cause == "table" for made in failed.values())
    return DataError(about) if of_table else StanhopError(about)


def _planned(
    results: Results,
    source: ParquetSource,
    task: Task,
    identity: dict[str, Any],
    config: EngineConfig,
    say: Callable[[str], None],
    force: bool,
) -> Plan:
    """The plan that lies there, if it is of this job; else a new one."""
    kept = results.plan()
    if kept is not None and kept.made_from == identity and not force:
        return kept
    if kept is not None and not force:
        raise ArtefactError(
            f"{task.output}: holds forecasts of another run, table or options; choose another folder, or "
            "--force."
        )
    foreign = results.names()
    if kept is None and foreign and not force:
        raise ArtefactError(
            f"{task.output}: is not empty ({sorted(foreign)[0]}); choose another folder, or --force."
        )
    results.clear()
    plan = Plan.of(source, task.id_column, identity, config.block_series)
    results.keep(plan)
    say(
        f"{plan.num_series:,} series in {len(plan.blocks):,} blocks, from {len(source.groups):,} row "
        f"groups of {len(source.files):,} files"
    )
    return plan
