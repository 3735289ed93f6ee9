"""Options declared once: bounds, choices, and what the declaration says of each."""

import sys
from dataclasses import MISSING, dataclass, field
from typing import Literal

import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.layers.association import ASSOCIATIONS
from stanhop_app.layers.names import association_names
from stanhop_app.options import check, defaults_of, like, option, options_of


@dataclass(frozen=True, kw_only=True)
class Oven:
    degrees: float = option(180.0, "Temperature.", least=0, most=300)
    minutes: int = option(MISSING, "Time.", above=0)
    kind: Literal["gas", "coal"] = option("gas", "Fuel.", choices=("gas", "coal"))
    share: float | None = option(None, "Open.", least=0.0, below=1.0)
    seed: int = option(0, "Seed.", least=0, below=2**32)
    pair: tuple[float, float] | None = option(None, "Two.", metavar="A B")
    rest: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"degrees": 300.5}, "degrees must be in 0..300, got 300.5."),
        ({"degrees": float("nan")}, "degrees must be in 0..300, got nan."),
        ({"minutes": 0}, "minutes must be above 0, got 0."),
        ({"kind": "wood"}, "kind must be one of gas, coal, got 'wood'."),
        ({"share": 1.0}, r"share must be in \[0, 1\), got 1.0."),
        ({"seed": 2**32}, r"seed must be in \[0, 2\*\*32\), got 4294967296."),
    ],
)
def test_what_is_out_of_bounds_is_said(given, message):
    with pytest.raises(ValueError, match=message):
        Oven(**{"minutes": 1, **given})


def test_a_declaration_says_all():
    known = options_of(Oven)
    assert list(known) == ["degrees", "minutes", "kind", "share", "seed", "pair"]
    assert [o.kind for o in known.values()] == [float, int, str, float, int, tuple]
    assert [o.optional for o in known.values()] == [False, False, False, True, False, True]
    assert known["kind"].names == ("gas", "coal")
    assert "minutes" not in defaults_of(Oven)
    assert Oven(minutes=3, share=None).degrees == defaults_of(Oven)["degrees"] == 180


def test_names_that_help_shows_are_those_that_are_registered(monkeypatch):
    registered = tuple(ASSOCIATIONS)
    assert association_names() == registered
    monkeypatch.delitem(sys.modules, "stanhop_app.layers.association")
    assert association_names() == registered  # read from the text, without torch


def test_an_option_of_another_dataclass_is_the_same_but_for_what_is_named():
    @dataclass(frozen=True, kw_only=True)
    class Kiln:
        degrees: float = like(Oven, "degrees", default=900.0, most=1300)

    (own,), theirs = options_of(Kiln).values(), options_of(Oven)["degrees"]
    assert (own.sentence, own.kind, own.bounds.least) == (
        theirs.sentence,
        theirs.kind,
        theirs.bounds.least,
    )
    assert (own.default, own.bounds.most) == (900.0, 1300)


def test_single_options_of_the_network_can_be_set():
    forecaster = STanHopForecaster(network={"dim": 32})
    forecaster.set_params(network__dim=128, network__num_layers=3, training__max_steps=5, horizon=7)
    assert forecaster.network == {"dim": 128, "num_layers": 3}
    assert forecaster.training == {"max_steps": 5}
    assert forecaster.horizon == 7
    config = forecaster.network_config(2)
    assert (config.dim, config.horizon) == (128, 7)
    forecaster.set_params(network={"dim": 16}, network__num_heads=2)
    assert forecaster.network == {"dim": 16, "num_heads": 2}
    with pytest.raises(ValueError, match="unknown option 'size' in network"):
        forecaster.set_params(network__size=1)
    with pytest.raises(ValueError, match="option 'horizon' is a parameter of its own"):
        forecaster.set_params(network__horizon=1)
    assert forecaster.network == {"dim": 16, "num_heads": 2}


def test_a_parameter_of_its_own_is_not_said_in_a_group():
    from stanhop_app import STanHopForecaster

    told = r"'max_epochs' is a parameter of its own; say max_epochs=\.\.\. beside"
    with pytest.raises(ValueError, match=told):
        STanHopForecaster(training={"max_epochs": 1}).training_config()


@pytest.mark.parametrize("group", ["network", "training", "reading"])
def test_a_group_that_is_no_dictionary_is_said(group):
    from stanhop_app import STanHopForecaster, datasets

    with pytest.raises(ValueError, match=f"{group} is a dictionary of options, got \\[1\\]"):
        STanHopForecaster(**{group: [1]}).fit(datasets.load("sample").iloc[:200])
