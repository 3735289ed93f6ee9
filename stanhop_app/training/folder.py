"""Folders of runs: the files in them, and what may be written where. Nothing here needs torch."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError, BusyError, OptionError, StorageError
from stanhop_app.files import (
    find_hashed,
    is_hashed,
    is_part,
    open_plain,
    read_mapping,
    sha256,
    to_json,
    write_json,
)
from stanhop_app.version import __version__

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
"""What a finished run is told by; it is written last."""
CHECKPOINT = "checkpoint.safetensors"
"""What an unfinished run is told by; it is removed when the run is finished."""
HISTORY, STEPS, OUTLIERS = "history.csv", "steps.csv", "outliers.csv"
"""Logs: a row an epoch; every few optimiser steps, for who watches a training; a module and logged step.

Part of the checksum of the last stands in its name when the run is finished."""
RUN, EXPORT = "stanhop-forecaster", "stanhop-export"
"""Kinds of folders of forecasters."""
FORMATS: dict[str, tuple[int, ...]] = {RUN: (2, 3, 4), EXPORT: (1, 2, 3)}
"""The versions of each kind's format that this package reads; it writes the last."""
CHECKED = {RUN: 4, EXPORT: 2}
"""The first version of each kind's format whose ``config.json`` has a checksum of its own."""
CHECKSUM = "checksum"
"""Key of ``config.json`` under which the SHA-256 of all the others stands."""
WRITER = ".writer.json"
"""The process that writes into a folder, and since when."""
FINAL = "final"
"""Folder in a run folder that holds the checkpoint of what is fitted again on all rows, while it is."""
OF_A_RUN = (
    CONFIG,
    CHECKPOINT,
    HISTORY,
    STEPS,
    WRITER,
    OUTLIERS,
    "tokenizer.json",
    "model.safetensors",
    "baselines.safetensors",
    "novelty.safetensors",
)
"""Names of the files of a run; a folder that holds nothing else may be written into."""
HEADS = {
    HISTORY: "epoch,step,train_loss",
    STEPS: "step,total_steps,train_loss",
    "outliers.csv": "step,module,kurtosis",
}
"""How the logs of a training begin."""
HEAD = 100
EXPORTED = ("model.onnx", "model.pt2", "context.npy")
"""Names of the files of an export."""
HASHED = (".safetensors", ".onnx", ".pt2", ".npy")
"""Endings of files that are named after their content."""


def is_main_process() -> bool:
    """Whether this process writes files and speaks: rank 0 of a launch, or the only one."""
    known = os.environ
    if "RANK" in known:  # torchrun
        return known["RANK"] == "0"
    if int(known.get("SLURM_NTASKS") or 1) > 1 and "SLURM_PROCID" in known:
        return known["SLURM_PROCID"] == "0"
    return known.get("NODE_RANK", "0") == "0" and known.get("LOCAL_RANK", "0") == "0"


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.json`` with a checksum of its own: the one step by which a new version counts."""
    content = {name: value for name, value in config.items() if name != CHECKSUM}
    write_json(folder / CONFIG, {**content, CHECKSUM: checksum(content)})


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds a mapping.

    Raises:
        ArtefactError: if it does not, or cannot be read.
    """
    try:
        return read_mapping(path)
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({error.strerror}).") from None
    except OptionError as error:
        raise ArtefactError(f"{path}: damaged ({error}).") from None


def check_checksum(path: Path, content: dict[str, Any], *, since: int) -> None:
    """Compare what was read with its own checksum, and take that out.

    Args:
        path: what was read, for the message.
        content: of it, with its format's version.
        since: the first version that has a checksum.

    Raises:
        ArtefactError: if it was changed since it was written.
    """
    if CHECKSUM not in content and content["format_version"] < since:
        return
    if content.pop(CHECKSUM, None) != checksum(content):
        raise ArtefactError(f"{path}: damaged (its checksum does not match its content).")


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, whatever the order of their keys."""
    text = to_json(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a folder, which is made if need be.

    The lock is one of the operating system on the folder itself: it ends with the process, also by a kill.
    Where there are none (Windows), nothing is locked.

    Raises:
        BusyError: if another process writes there, with its number and since when.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror}).") from error
    descriptor = -1 if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"{folder}: {_writer(folder)} writes into it; wait, or stop it."
                ) from None
        for entry in os.listdir(folder):  # left by a kill
            if is_part(entry):
                (folder / entry).unlink(missing_ok=True)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(folder / WRITER, {"pid": os.getpid(), "since": since})
        try:
            yield
        finally:
            (folder / WRITER).unlink(missing_ok=True)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _writer(folder: Path) -> str:
    """Who writes into a folder, as far as that can be read."""
    try:
        note = read_mapping(folder / WRITER)
        return f"process {int(note['pid'])} (since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def drop_logs(folder: Path) -> None:
    """Remove the logs of a training that another one replaces, once that one can be gone on with."""
    for name in (HISTORY, STEPS, OUTLIERS):
        (folder / name).unlink(missing_ok=True)


def is_of_a_run(path: Path) -> bool:
    """Whether an entry of a folder is one of a run; logs begin with the names of their columns."""
    if path.name in HEADS:
        try:
            with open_plain(path) as file:
                return file.read(HEAD).startswith(HEADS[path.name].encode())
        except OSError:
            return False
    if path.name == FINAL:
        return path.is_dir() and not path.is_symlink() and all(map(is_of_a_run, path.iterdir()))
    known = path.name in OF_A_RUN or any(is_hashed(path.name, name) for name in OF_A_RUN)
    return known or is_part(path.name)


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Remove the versions of files that ``config.json`` names no longer.

    Args:
        folder: of a run, or an export.
        names: of the files that count; their hashed names.
    """
    for entry in os.listdir(folder):
        for name in (*OF_A_RUN, *EXPORTED):
            replaced = is_hashed(entry, name) or (entry == name and entry.endswith(HASHED))
            if replaced and entry not in names:
                (folder / entry).unlink(missing_ok=True)


def belonging(folder: Path, name: str, wanted: object) -> Path:
    """The file of this name that belongs to a run.

    Args:
        folder: of the run.
        name: without the checksum.
        wanted: its SHA-256, as ``config.json`` says.

    Raises:
        ArtefactError: if it is missing, or was changed since.
    """
    path = find_hashed(folder / name, str(wanted))
    try:
        actual = sha256(path)
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({error.strerror}).") from None
    if actual != wanted:
        raise ArtefactError(f"{path}: checksum does not match {CONFIG}; it is damaged.")
    return path


def read_config(folder: Path, *formats: str) -> dict[str, Any]:
    """``config.json`` of a folder of one of these formats (default: a run), its version checked.

    Raises:
        ArtefactError: saying what is wrong with the folder.
    """
    path = folder / CONFIG
    if not path.exists():
        hint = "no such folder" if not folder.exists() else f"holds no {CONFIG}"
        raise ArtefactError(f"{folder}: not a run ({hint}); make one with `stanhop train`.")
    config = read_json(path)
    if str(config.get("format")) not in FORMATS:
        raise ArtefactError(f"{path}: not an artefact of stanhop.")
    if config["format"] not in (formats or (RUN,)):
        kind = "an exported model, which can forecast and nothing else; name the run"
        if config["format"] == RUN:
            kind = "a run and no exported model; export it with `stanhop export`"
        raise ArtefactError(f"{folder}: is {kind}.")
    known = FORMATS[config["format"]]
    version = config.get("format_version")
    if version not in known:
        old = isinstance(version, int) and version < known[0]
        raise ArtefactError(
            f"{path}: format version {version}, this package ({__version__}) reads "
            f"{' and '.join(map(str, known))}; "
            + ("train or export it again." if old else "update stanhop-app.")
        )
    check_checksum(path, config, since=CHECKED[config["format"]])
    from stanhop_app.training.schema import ExportFile, RunFile, check_schema  # needed here alone

    check_schema(path, config, RunFile if config["format"] == RUN else ExportFile)
    return config


def check_folder(
    folder: Path, read: Callable[[Path], object], *, resume: bool, force: bool
) -> None:
    """Refuse to overwrite a run, and to write among files that are no run at all.

    Args:
        folder: where a run is to be kept.
        read: opens the configuration of a run of this kind; raises ArtefactError for any other.
        resume: whether an unfinished run may be gone on with.
        force: whether a run may be overwritten.

    Raises:
        OptionError: if the folder holds a run, finished or not, and neither option allows it, or
            anything else.
    """
    if not is_main_process() or not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder}: is a file; choose another --output.")
    finished, begun = (folder / CONFIG).exists(), (folder / CHECKPOINT).exists()
    others = sorted(entry.name for entry in folder.iterdir() if not is_of_a_run(entry))
    if finished:
        try:
            read(folder)
        except ArtefactError:
            raise OptionError(
                f"{folder}: holds a {CONFIG} that is not of a run of this kind; choose another --output."
            ) from None
    elif not begun and others:
        raise OptionError(
            f"{folder}: holds files and no run, such as {others[0]}; choose another --output."
        )
    left = [e for e in os.listdir(folder) if e != WRITER and not is_part(e)]
    begun = begun or (bool(left) and not finished)  # killed before its first checkpoint
    if finished and not force and not (begun and resume):
        raise OptionError(f"{folder}: holds a finished run; choose another --output, or --force.")
    if begun and not resume and not force:
        raise OptionError(f"{folder}: holds an unfinished run; go on with --resume, or --force.")
