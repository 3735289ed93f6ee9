"""A search over options on validation alone, by Optuna (extra ``tune``): pruned by epoch, resumable.

The first trial has the options as they are without a search, so that the best is never worse than these on
validation; on test it may be.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stanhop_app.errors import ArtefactError, OptionError, StanhopError, TrainingError
from stanhop_app.files import read_plain, write_atomic
from stanhop_app.studies.search import Search
from stanhop_app.training.apart import start_apart
from stanhop_app.training.folder import writing

if TYPE_CHECKING:
    import optuna

JOURNAL = "trials.journal"
"""Name of the file of all trials, as Optuna writes it: a line of JSON a change."""
LARGEST_JOURNAL = 2**28
"""Bytes of a journal that is read."""
NAME, CUT = "stanhop", "cut"
BASE, BEGUN, STOPPED = "without_search", "begun", "stopped"
"""What a trial says of itself: that it has the options of no search, how often it was begun before, and that
a user stopped it."""
DEATHS = 3
"""How often a trial may take its process with it before it is given up."""
KILLED = "its process was killed, perhaps for want of memory"


def tune(
    search: Search, folder: Path, *, say: Callable[[str], None], force: bool = False
) -> "optuna.Study":
    """Make the trials that are missing, and return the study.

    Args:
        search: what is searched.
        folder: where the trials are kept; what was begun there goes on.
        say: told of every trial.
        force: whether trials of another search there are removed.

    Raises:
        OptionError: if Optuna is not installed.
        ArtefactError: if the folder holds trials of another search, or is damaged.
        TrainingError: if no trial came to an end, or a process died.
    """
    _optuna()
    with writing(folder):
        _heal(folder / JOURNAL)
        study = _study(search, folder, force=force)
        _take_up(study, search)
        left = search.config.trials - len(_finished(study))
        if left < search.config.trials:
            say(f"{search.config.trials - left:,} trials are there, {max(left, 0):,} are left")
        if left > 0:
            _run(search, folder, left, say)
        study = _study(search, folder)
    if not any(trial.value is not None for trial in _finished(study)):
        reasons = {told_error(trial) for trial in _finished(study)}
        raise TrainingError(f"no trial came to an end: {'; '.join(sorted(reasons))}")
    return study


def _heal(journal: Path) -> None:
    """Take away the last line if a kill cut it: what it said had not happened."""
    try:
        content = read_plain(journal, LARGEST_JOURNAL)
    except OSError:  # there is none, or it is refused when it is read
        return
    if content and not content.endswith(b"\n"):
        whole = content[: content.rfind(b"\n") + 1]
        write_atomic(journal, lambda file: file.write_bytes(whole))


def _run(search: Search, folder: Path, left: int, say: Callable[[str], None]) -> None:
    workers = min(search.config.parallel, left)
    context = multiprocessing.get_context("spawn")
    tickets = context.Semaphore(left)
    if workers == 1:
        _trials(search, folder, tickets, say)
        return
    processes = [
        start_apart(_worker, search, folder, tickets, workers, number) for number in range(workers)
    ]
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise TrainingError(
            "a process of the search died; give the command again, its trial will be made anew."
        )


def _worker(search: Search, folder: Path, tickets: Any, workers: int, number: int) -> None:
    import torch

    torch.set_num_threads(max((os.cpu_count() or 1) // workers, 1))
    _trials(search, folder, tickets, lambda text: None, number)


def _trials(
    search: Search, folder: Path, tickets: Any, say: Callable[[str], None], number: int = 0
) -> None:
    """Make trials, one after the other, as long as there are tickets; ``number`` is that of the process."""
    optuna = _optuna()
    study = _study(search, folder)
    # A stream of its own for every process and every resume, or they would draw the same options.
    begun = 1000 * sum(trial.state.is_finished() for trial in study.trials)
    study.sampler = _sampler(search.config.tuning_seed + begun + number)
    while tickets.acquire(block=False):
        trial, started = study.ask(), time.monotonic()
        values = {d.name: d.suggest(trial) for d in search.dimensions}

        def tell(epoch: int, loss: float, trial: Any = trial) -> None:
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        state, value = optuna.trial.TrialState.COMPLETE, None
        try:
            value = search.value(values, tell)
        except KeyboardInterrupt:
            trial.set_user_attr(STOPPED, True)
            raise
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        # Options that do not go together, a loss that is not finite, or more memory than there is.
        except (StanhopError, MemoryError, RuntimeError) as error:
            state = optuna.trial.TrialState.FAIL
            trial.set_user_attr("error", str(error))
        trial.set_user_attr("seconds", round(time.monotonic() - started, 2))
        study.tell(trial, value, state)
        say(told(study.trials[trial.number], search.objective))


def told(trial: "optuna.trial.FrozenTrial", objective: str) -> str:
    """A trial in one line."""
    what = {
        "COMPLETE": f"{objective} {trial.value:.5f}" if trial.value is not None else "",
        "PRUNED": f"pruned after epoch {trial.last_step}",
    }.get(trial.state.name, f"failed: {told_error(trial)}")
    values = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in trial.params.items()
    )
    return f"trial {trial.number}: {what} ({values})"


def told_error(trial: "optuna.trial.FrozenTrial") -> str:
    """Why a trial came to nothing."""
    if trial.state.name == "PRUNED":
        return "pruned"
    return str(trial.user_attrs.get("error", KILLED))  # who was killed could not say why


def without_search(study: "optuna.Study") -> float | None:
    """The value of the options of no search; None if that trial came to no end."""
    marked = [trial for trial in study.trials if BASE in trial.user_attrs]
    # In folders from before trials were marked, the first is that of no search.
    values = [
        trial.value for trial in marked or study.trials[:1] if trial.user_attrs.get(BASE, True)
    ]
    return next((value for value in values if value is not None), None)


def _finished(study: "optuna.Study") -> list[Any]:
    """Trials that came to an end, of whatever kind; those that a kill cut are made again, not counted."""
    cut = study.user_attrs.get(CUT, [])
    return [t for t in study.trials if t.state.is_finished() and t.number not in cut]


def _take_up(study: "optuna.Study", search: Search) -> None:
    """Make trials again that a kill cut, with the same options; begin with those of no search.

    One that was cut `DEATHS` times is given up, as it may be what kills its process.
    """
    optuna = _optuna()
    base = {d.name: search.base[d.name] for d in search.dimensions}
    base = {name: value for name, value in base.items() if value is not None}
    if not study.trials:
        study.enqueue_trial(base, user_attrs={BASE: len(base) == len(search.dimensions), BEGUN: 0})
    for trial in study.trials:
        if trial.state != optuna.trial.TrialState.RUNNING:
            continue
        begun = int(trial.user_attrs.get(BEGUN, 0)) + (not trial.user_attrs.get(STOPPED))
        if begun < DEATHS:
            is_base = bool(trial.user_attrs.get(BASE))
            # A kill may have come before all of its options were drawn; those of no search are known.
            study.enqueue_trial(
                base if is_base else trial.params, user_attrs={BASE: is_base, BEGUN: begun}
            )
            study.set_user_attr(CUT, [*study.user_attrs.get(CUT, []), trial.number])
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _study(search: Search, folder: Path, *, force: bool = False) -> "optuna.Study":
    """The study that a folder keeps, or a new one.

    Raises:
        ArtefactError: if it is of another search, or damaged.
    """
    optuna = _optuna()
    from optuna.storages.journal import JournalFileBackend

    path = folder / JOURNAL
    if force:
        path.unlink(missing_ok=True)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ArtefactError(f"{path}: is no plain file.")
    if path.exists() and path.stat().st_size > LARGEST_JOURNAL:
        raise ArtefactError(f"{path}: has more than {LARGEST_JOURNAL // 2**20} MB.")
    objective_of_steps = any(d.name == "loss" for d in search.dimensions)
    try:
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
            study_name=NAME,
            direction="minimize",
            load_if_exists=True,
            sampler=_sampler(search.config.tuning_seed),
            # Losses of different kinds cannot be compared epoch by epoch.
            pruner=optuna.pruners.NopPruner()
            if objective_of_steps
            else optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
        )
        kept = study.user_attrs.get("search")
    except OSError:
        raise
    except Exception as error:  # its reader raises whatever a line makes it stumble on
        raise ArtefactError(
            f"{path}: damaged ({type(error).__name__}); choose another folder, or --force."
        ) from None
    if kept is None:
        study.set_user_attr("search", search.identity)
    elif kept != search.identity:
        raise ArtefactError(
            f"{folder}: holds trials of other options, another space or table; choose another folder, or "
            "--force."
        )
    return study


def _sampler(seed: int) -> Any:
    return _optuna().samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _optuna() -> Any:
    """Optuna, quiet.

    Raises:
        OptionError: if it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise OptionError("tuning needs Optuna: pip install 'stanhop-app[tune]'.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
