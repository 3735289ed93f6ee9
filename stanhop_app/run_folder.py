"""Folders of runs: what may be written where."""

from collections.abc import Callable
from pathlib import Path

from stanhop_app.errors import ArtefactError
from stanhop_app.training import CHECKPOINT, is_main_process

CONFIG = "config.json"
"""What a finished run is told by; it is written last."""


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
        ValueError: if the folder holds a run, finished or not, and neither option allows it, or
            anything else.
    """
    if not is_main_process() or not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: is a file; choose another --output.")
    finished, begun = (folder / CONFIG).exists(), (folder / CHECKPOINT).exists()
    if finished:
        try:
            read(folder)
        except ArtefactError:
            raise ValueError(
                f"{folder}: holds a {CONFIG} that is not of a run of this kind; choose another --output."
            ) from None
    elif not begun and any(folder.iterdir()):
        raise ValueError(f"{folder}: holds files and no run; choose another --output.")
    if finished and not force:
        raise ValueError(f"{folder}: holds a finished run; choose another --output, or --force.")
    if begun and not resume and not force:
        raise ValueError(f"{folder}: holds an unfinished run; go on with --resume, or --force.")
