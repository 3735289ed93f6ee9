"""STanHop-Net on outlier-efficient Hopfield layers: a forecaster and the layers it is made of.

Importing the package reads no file and does not import torch: names are resolved on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from stanhop_app.version import __version__ as __version__

if TYPE_CHECKING:
    from stanhop_app import datasets as datasets
    from stanhop_app import layers as layers
    from stanhop_app.forecasting.forecaster import STanHopForecaster as STanHopForecaster
    from stanhop_app.forecasting.suited import forecast as forecast
    from stanhop_app.models.stanhop import STanHopConfig as STanHopConfig
    from stanhop_app.models.stanhop import STanHopNet as STanHopNet

_HOMES = {
    "STanHopForecaster": "stanhop_app.forecasting.forecaster",
    "forecast": "stanhop_app.forecasting.suited",
    "STanHopConfig": "stanhop_app.models.stanhop",
    "STanHopNet": "stanhop_app.models.stanhop",
}
_MODULES = ("datasets", "layers")
__all__ = ["STanHopConfig", "STanHopForecaster", "STanHopNet", "datasets", "forecast", "layers"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"stanhop_app.{name}")
    raise AttributeError(f"module 'stanhop_app' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
