"""Hopfield layers and their parts; usable without the rest of the package.

Importing the package imports nothing else: names are resolved on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stanhop_app.layers.association import ASSOCIATIONS as ASSOCIATIONS
    from stanhop_app.layers.association import clip as clip
    from stanhop_app.layers.association import entmax as entmax
    from stanhop_app.layers.association import entmax15 as entmax15
    from stanhop_app.layers.association import softmax as softmax
    from stanhop_app.layers.association import softmax1 as softmax1
    from stanhop_app.layers.association import sparsemax as sparsemax
    from stanhop_app.layers.hopfield import Hopfield as Hopfield
    from stanhop_app.layers.hopfield import HopfieldLayer as HopfieldLayer
    from stanhop_app.layers.hopfield import HopfieldPooling as HopfieldPooling
    from stanhop_app.layers.memory import MemoryBlock as MemoryBlock
    from stanhop_app.layers.memory import MemoryLayer as MemoryLayer
    from stanhop_app.layers.memory import replace_linear as replace_linear
    from stanhop_app.layers.retrieval import associate as associate
    from stanhop_app.layers.retrieval import retrieve as retrieve

_HOMES = {
    **dict.fromkeys(
        ("ASSOCIATIONS", "clip", "entmax", "entmax15", "softmax", "softmax1", "sparsemax"),
        "association",
    ),
    **dict.fromkeys(("Hopfield", "HopfieldLayer", "HopfieldPooling"), "hopfield"),
    **dict.fromkeys(("MemoryBlock", "MemoryLayer", "replace_linear"), "memory"),
    **dict.fromkeys(("associate", "retrieve"), "retrieval"),
}
__all__ = [
    "ASSOCIATIONS",
    "Hopfield",
    "HopfieldLayer",
    "HopfieldPooling",
    "MemoryBlock",
    "MemoryLayer",
    "associate",
    "clip",
    "entmax",
    "entmax15",
    "replace_linear",
    "retrieve",
    "softmax",
    "softmax1",
    "sparsemax",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"stanhop_app.layers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'stanhop_app.layers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
