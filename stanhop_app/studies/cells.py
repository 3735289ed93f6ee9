"""Files of results that grow cell by cell, so that long studies can be interrupted and go on."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError, TrainingError
from stanhop_app.files import to_json, write_json
from stanhop_app.version import __version__


def open_results(path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a results file holds, or a fresh content without cells; nothing is written.

    Args:
        path: JSON file, there or not.
        identity: what its cells were made from; JSON values.

    Raises:
        ArtefactError: if the file is damaged or holds results of another identity.
    """
    identity = json.loads(to_json(identity))
    if not path.exists():
        return {**identity, "package_version": __version__, "cells": {}}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["cells"].keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged ({error!r}).") from None
    if any(content.get(name) != value for name, value in identity.items()):
        raise ArtefactError(
            f"{path}: holds results of other options or data, or of an older version; name "
            "another file."
        )
    return content


def fill(
    content: dict[str, Any],
    path: Path,
    cells: Sequence[Mapping[str, Any]],
    make: Callable[[Mapping[str, Any], Path], Mapping[str, Any]],
    *,
    name: Callable[[Mapping[str, Any]], str],
    say: Callable[[str], None],
) -> None:
    """Make the cells that are missing in a results file, one after the other.

    A cell that was interrupted goes on in the folder that it had, in ``<path>.cells``. One whose
    training fails is noted with the reason, and the others go on.

    Args:
        content: what `open_results` returned; filled.
        path: of the file; written when a cell is done.
        cells: what tells them apart, JSON values.
        make: given a cell and its folder, what it holds besides.
        name: of a cell, its key in the file.
        say: told of every cell that begins.

    Raises:
        TrainingError: if the file has no cell that could be trained.
    """
    scratch = path.with_name(f"{path.name}.cells")
    for cell in cells:
        key = name(cell)
        folder = scratch / "-".join(str(value) for value in cell.values())
        if key in content["cells"]:
            shutil.rmtree(folder, ignore_errors=True)  # of a kill just after the cell
            continue
        say(key)
        try:
            done = make(cell, folder)
        except TrainingError as error:
            say(f"{key}: {error}")
            done = {"failed": str(error)}
        content["cells"][key] = {**cell, **done}
        _merge(content, path)
        write_json(path, content)
        shutil.rmtree(folder, ignore_errors=True)
    if scratch.exists() and not any(scratch.iterdir()):
        scratch.rmdir()
    if not trained_cells(content):
        raise TrainingError(f"no cell could be trained; {path} says why.")


def run_cells(
    identity: Mapping[str, Any],
    path: Path | None,
    cells: Sequence[Mapping[str, Any]],
    make: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    name: Callable[[Mapping[str, Any]], str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The cells of an experiment whose cells are short: each is made whole, or not at all.

    Args:
        identity: as of `open_results`.
        path: of the results file; None: nothing is written.
        cells: as of `fill`.
        make: given a cell, what it holds besides.
        name: of a cell, its key.
        say: told of every cell that begins.

    Raises:
        ArtefactError: as `open_results`.
    """
    if path is not None:
        content = open_results(path, identity)
        fill(content, path, cells, lambda cell, folder: make(cell), name=name, say=say)
        return content
    content = {**identity, "cells": {}}
    for cell in cells:
        say(name(cell))
        content["cells"][name(cell)] = {**cell, **make(cell)}
    return content


def _merge(content: dict[str, Any], path: Path) -> None:
    """Take up what another process has written into the file meanwhile."""
    if not path.exists():
        return
    written = json.loads(path.read_text(encoding="utf-8"))
    for name, value in written.items():
        if isinstance(value, dict) and isinstance(content.get(name), dict):
            content[name] = {**value, **content[name]}


def trained_cells(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Cells whose training did not fail."""
    return [cell for cell in content["cells"].values() if "failed" not in cell]
