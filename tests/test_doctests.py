"""Examples in docstrings do what they show."""

import doctest
import importlib

import pytest

MODULES = (
    "data.panel",
    "models.anchor",
    "data.reading",
    "data.weekly",
    "errors",
    "forecasting.external.estimator",
    "forecasting.forecaster",
    "layers.association",
    "layers.retrieval",
    "options",
)


def test_every_module_with_an_example_is_listed(project):
    found = {
        ".".join(path.relative_to(project / "stanhop_app").with_suffix("").parts)
        for path in (project / "stanhop_app").rglob("*.py")
        if ">>>" in path.read_text()
    }
    assert found == set(MODULES)


SLOW = ("forecasting.external.estimator", "forecasting.forecaster")
"""They fit on all rows of the sample, as a reader would."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODULES]
)
def test_examples(name):
    module = importlib.import_module(f"stanhop_app.{name}")
    names = {
        "torch": importlib.import_module("torch"),
        "dataclass": __import__("dataclasses").dataclass,
        "pd": importlib.import_module("pandas"),
    }
    done = doctest.testmod(module, extraglobs=names)
    assert done.attempted > 0
    assert done.failed == 0
