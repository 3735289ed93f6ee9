"""Models built from `stanhop_app.layers`."""

from stanhop_app.models.stanhop import STanHopConfig as STanHopConfig
from stanhop_app.models.stanhop import STanHopNet as STanHopNet
