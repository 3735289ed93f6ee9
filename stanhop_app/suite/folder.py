"""``config.json`` of a run folder of the suite."""

from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError
from stanhop_app.training.folder import CONFIG, check_checksum, read_json
from stanhop_app.version import __version__

FORMAT, FORMAT_VERSION = "stanhop-suite", 2


def is_suite_run(folder: Path) -> bool:
    """Whether a folder holds a run of the suite."""
    try:
        read_config(folder)
    except ArtefactError:
        return False
    return True


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a run of the suite, its version checked.

    Raises:
        ArtefactError: saying what is wrong with the folder.
    """
    path = folder / CONFIG
    if not path.exists():
        raise ArtefactError(
            f"{folder}: not a run of the suite; make one with `stanhop suite train`."
        )
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise ArtefactError(f"{path}: not of a run of the suite.")
    if content.get("format_version") not in (1, FORMAT_VERSION):
        raise ArtefactError(
            f"{path}: format version {content.get('format_version')}, this package ({__version__}) reads 1 "
            f"and {FORMAT_VERSION}."
        )
    check_checksum(path, content, since=2)
    from stanhop_app.suite.schema import SuiteFile  # needed here alone
    from stanhop_app.training.schema import check_schema

    check_schema(path, content, SuiteFile)
    return content
