"""Files of results that grow cell by cell, so that long studies can be interrupted and go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stanhop_app.errors import ArtefactError
from stanhop_app.files import to_json
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
