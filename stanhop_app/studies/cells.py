"""Files of results that grow cell by cell: the one engine of all studies.

A results file begins with its kind and the version of that kind, so that whoever lists files reads their
heads only. Cells are made one after the other; one that was interrupted goes on in the folder that it had,
``<file>.cells/<cell>``.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError, CheckpointError, OptionError, TrainingError
from stanhop_app.files import open_plain, read_mapping, to_json, write_json
from stanhop_app.training.folder import CHECKSUM, checksum
from stanhop_app.training.same import difference
from stanhop_app.version import __version__

Cell = Mapping[str, Any]
Make = Callable[[Cell, Path | None], Mapping[str, Any]]
"""Given a cell and the folder in which it can keep what it has, what the cell holds besides."""
HEAD = re.compile(r'\s*\{\s*"kind":\s*"(\w+)",\s*"version":\s*(\d+)')
OLD_HEAD = re.compile(r'\s*\{\s*"format":\s*(\d+|"\w+ \d+")(?:,\s*"kind":\s*"(\w+)")?')
OLD_NUMBERS = {"1": "variants", "2": "memory", "4": "benchmark"}
"""Kinds of files whose head was a number alone."""
HEAD_BYTES = 200
DIGITS = 64
"""Letters of a checksum."""
BEGUN = "begun.json"
"""The file in the folder of an unfinished cell that says what the cell is made from."""
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What tables and figures of a file raise that holds something else than its kind does."""
NO_IDENTITY = ("cells", "package_version", "speed", "shared_by")
"""What a results file holds besides what all its cells are made from."""


def read_head(path: Path) -> tuple[str, int] | None:
    """Kind and version of a results file, from its first bytes; None if it is no results file."""
    try:
        with open_plain(path) as file:
            text = file.read(HEAD_BYTES).decode(errors="replace")
    except OSError:
        return None
    if match := HEAD.match(text):
        return match[1], int(match[2])
    if match := OLD_HEAD.match(text):  # of versions before kinds had names
        words = match[1].strip('"').split()
        kind = match[2] or (words[0] if len(words) == 2 else OLD_NUMBERS.get(words[0]))
        return None if kind is None else (kind, int(words[-1]))
    return None


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results file, its kind and version first.

    Raises:
        ArtefactError: if it is missing, damaged, or no results file.
    """
    try:
        content = read_mapping(path)
        if any(not isinstance(cell, dict) for cell in content["cells"].values()):
            raise OptionError("a cell is no JSON object")
        head = read_head(path)
        if CHECKSUM in content and content.pop(CHECKSUM) != checksum(content):
            raise OptionError("its checksum does not match its content")
        _check_names(content)
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged ({error!r}).") from None
    if head is None:
        raise ArtefactError(f"{path}: holds no results of stanhop.")
    content.pop("format", None)
    return {**_head(*head), **content, **_head(*head)}


def _check_names(content: Mapping[str, Any]) -> None:
    """Refuse content that holds its own checksum under another name: older files have none, this one had."""
    for name, value in content.items():
        digest = isinstance(value, str) and len(value) == DIGITS
        if digest and value == checksum({k: v for k, v in content.items() if k != name}):
            raise OptionError(f"its checksum is called {name!r}")


def _head(kind: str, version: int) -> dict[str, Any]:
    """What a results file begins with."""
    return {"kind": kind, "version": version}


def open_results(
    path: Path | None, kind: str, version: int, identity: Mapping[str, Any]
) -> dict[str, Any]:
    """What a results file holds, or a fresh content without cells; nothing is written.

    Args:
        path: JSON file, there or not; None: the results are not kept.
        kind: of the study.
        version: raised when what a cell holds, or how it is made, changes.
        identity: what its cells were made from; JSON values.

    Raises:
        ArtefactError: if the file is damaged or holds results of another kind, version or identity.
    """
    if not re.fullmatch(r"\w+", kind):
        raise OptionError(f"the kind of a results file is one word, got {kind!r}.")
    identity = json.loads(to_json({**_head(kind, version), **identity}))
    if path is None or not path.exists():
        return {**identity, "package_version": __version__, "cells": {}}
    content = read_results(path)
    if difference(content, identity) is not None:
        raise ArtefactError(
            f"{path}: holds results of other options or data, or of an older version; name "
            "another file."
        )
    return content


def fill(
    content: dict[str, Any],
    path: Path | None,
    cells: Sequence[Cell],
    make: Make,
    *,
    name: Callable[[Cell], str],
    say: Callable[[str], None],
    identity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the cells that are missing, one after the other, and return the content.

    A cell whose training fails is noted with the reason, and the others go on. What an older version left of
    a cell may be of no use: then this cell alone is started anew, and that is said. What was begun with
    other options or other data is refused.

    Args:
        content: what `open_results` returned; filled.
        path: of the file, written when a cell is done; None: nothing is written.
        cells: what tells them apart, JSON values.
        make: makes one.
        name: of a cell, its key in the file.
        say: told of every cell that begins.
        identity: what these cells are made from; None: what all cells of the file are (`open_results`).

    Raises:
        TrainingError: if there is no cell that could be trained.
        ArtefactError: if a cell was begun with other options or other data.
    """
    if identity is None:
        identity = {name: content[name] for name in content if name not in NO_IDENTITY}
    scratch = None if path is None else path.with_name(f"{path.name}.cells")
    for cell in cells:
        key, folder = name(cell), None
        if scratch is not None:
            values = "-".join(str(value) for value in cell.values())
            folder = scratch / re.sub(r"[^\w.+-]", "_", values)
        if key not in content["cells"]:
            say(key)
            if folder is not None and not _begin(folder, identity):
                say(f"{key}: an older version left it unfinished, it is started anew")
            content["cells"][key] = {**cell, **_made(make, cell, folder, key, say)}
            keep(content, path)
        if folder is not None:  # also of a kill just after the cell
            shutil.rmtree(folder, ignore_errors=True)
    if scratch is not None and scratch.exists() and not any(scratch.iterdir()):
        scratch.rmdir()
    if not trained_cells(content):
        raise TrainingError(
            "no cell could be trained" + ("." if path is None else f"; {path} says why.")
        )
    return content


def keep(content: dict[str, Any], path: Path | None) -> None:
    """Write a content, with what another process has written into the file meanwhile; None: nowhere."""
    if path is not None:
        _merge(content, path)
        whole = {name: value for name, value in content.items() if name != CHECKSUM}
        write_json(path, {**whole, CHECKSUM: checksum(whole)})


def _made(
    make: Make, cell: Cell, folder: Path | None, key: str, say: Callable[[str], None]
) -> Mapping[str, Any]:
    """What a cell holds besides, or why there is nothing."""
    try:
        try:
            return make(cell, folder)
        except CheckpointError:
            assert folder is not None
            say(f"{key}: an older version left it unfinished, it is started anew")
            for file in folder.iterdir():
                if file.name != BEGUN:
                    file.unlink()
            return make(cell, folder)
    except TrainingError as error:
        say(f"{key}: {error}")
        return {"failed": str(error)}


def _begin(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Note what a cell is made from; False if an older version left something, which is removed.

    Raises:
        ArtefactError: if it was begun from something else.
    """
    useless = folder.exists() and not (folder / BEGUN).exists()
    if useless:
        shutil.rmtree(folder)
    elif folder.exists():
        saved, asked = (
            _flat(x) for x in (_read_json(folder / BEGUN), json.loads(to_json(identity)))
        )
        gone = {
            name: None for name in sorted(saved) if name not in asked and saved[name] is not None
        }
        if (other := difference(saved, {**asked, **gone})) is not None:
            name, was, wanted = other
            raise ArtefactError(
                f"{folder}: was begun with other options or data ({name} was {was}, is {wanted}); name "
                "another file, or delete this folder."
            )
        return True
    folder.mkdir(parents=True)
    write_json(folder / BEGUN, identity)
    return not useless


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_mapping(path)
    except ValueError:
        return {}


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside the rest, by name."""
    options = identity.get("options")
    return {**identity, **(options if isinstance(options, dict) else {}), "options": None}


def _merge(content: dict[str, Any], path: Path) -> None:
    """Take up what another process has written into the file meanwhile."""
    if not path.exists():
        return
    for name, value in read_results(path).items():
        if isinstance(value, dict) and isinstance(content.get(name), dict):
            content[name] = {**value, **content[name]}


def trained_cells(content: Mapping[str, Any]) -> list[Cell]:
    """Cells whose training did not fail."""
    return [cell for cell in content["cells"].values() if "failed" not in cell]
