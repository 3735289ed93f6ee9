"""Hopfield layers and their parts; usable without the rest of the package."""

from stanhop_app.layers.association import (
    ASSOCIATIONS as ASSOCIATIONS,
)
from stanhop_app.layers.association import (
    clip as clip,
)
from stanhop_app.layers.association import (
    entmax as entmax,
)
from stanhop_app.layers.association import (
    entmax15 as entmax15,
)
from stanhop_app.layers.association import (
    softmax as softmax,
)
from stanhop_app.layers.association import (
    softmax1 as softmax1,
)
from stanhop_app.layers.association import (
    sparsemax as sparsemax,
)
from stanhop_app.layers.hopfield import Hopfield as Hopfield
from stanhop_app.layers.hopfield import HopfieldLayer as HopfieldLayer
from stanhop_app.layers.hopfield import HopfieldPooling as HopfieldPooling
from stanhop_app.layers.memory import MemoryBlock as MemoryBlock
from stanhop_app.layers.memory import MemoryLayer as MemoryLayer
from stanhop_app.layers.memory import replace_linear as replace_linear
from stanhop_app.layers.retrieval import associate as associate
from stanhop_app.layers.retrieval import retrieve as retrieve
