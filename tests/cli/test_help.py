"""Help of every command: complete, grouped, and there at once."""

import ast
import importlib
import statistics
import subprocess
import sys
from pathlib import Path

import click
import pytest
from stanhop_app.cli import train as train_module
from stanhop_app.cli.group import COMMANDS, group
from stanhop_app.cli.reference import commands, reference

from stanhop_app import STanHopForecaster
from stanhop_app.data.reading import ReadingConfig
from stanhop_app.models.config import (
    BERTConfig,
    OPTConfig,
    QuantizationConfig,
    STanHopConfig,
    ViTConfig,
)
from stanhop_app.options import options_of
from stanhop_app.runs.config import ExportConfig, RunConfig
from stanhop_app.studies.config import ComparisonConfig
from stanhop_app.suite.config import SuiteConfig
from stanhop_app.training.config import TrainingConfig

ALL = dict(commands(group))


def options(command):
    return [p for p in command.params if isinstance(p, click.Option)]


def test_there_is_a_command_of_every_name():
    assert {words[0] for words in ALL} == set(COMMANDS)
    assert len(ALL) > 20


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_flag_has_a_sentence(words):
    for option in options(ALL[words]):
        assert option.help, f"{option.name} has no help"
        assert option.help.rstrip().endswith((".", "?")), option.help
        assert option.help[0].isupper(), option.help


CONFIGS = (
    STanHopConfig,
    TrainingConfig,
    RunConfig,
    ExportConfig,
    ReadingConfig,
    ComparisonConfig,
    QuantizationConfig,
    SuiteConfig,
    BERTConfig,
    OPTConfig,
    ViTConfig,
)
"""Everything that flags are made from."""


def test_what_is_chosen_from_a_list_says_the_list():
    """Whatever is declared with choices is a choice on the command line, and of the same names."""
    choices: dict[str, set[tuple[str, ...]]] = {}
    for config in CONFIGS:
        for name, option in options_of(config).items():
            if option.names is not None:
                choices.setdefault(name, set()).add(option.names)
    wanted = {"association", "gate", "loss", "device", "keep", "to", "weight_range", "calendar"}
    assert set(choices) >= wanted | {"decimal", "feed_forward", "projection", "precision"}
    seen = set()
    for words, command in ALL.items():
        for option in options(command):
            if option.name in choices and not (option.name == "data" and option.multiple):
                assert isinstance(option.type, click.Choice), f"{words} {option.name}"
                assert tuple(option.type.choices) in choices[option.name], f"{words} {option.name}"
                seen.add(option.name)
    assert seen >= wanted


def test_no_choice_is_typed_where_it_is_declared_elsewhere():
    """Outside of declarations a command names no choices: what it lists comes from a name."""
    for file in (Path(__file__).parents[2] / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "Choice":
                assert not isinstance(node.args[0], ast.List | ast.Tuple), f"{file}:{node.lineno}"


def test_an_association_of_others_can_be_chosen(monkeypatch):
    from stanhop_app.layers.association import ASSOCIATIONS

    option = next(o for o in options(ALL["train",]) if o.name == "association")
    monkeypatch.setitem(ASSOCIATIONS, "mine", ASSOCIATIONS["softmax"])
    assert option.type.convert("mine", option, None) == "mine"
    with pytest.raises(click.BadParameter, match="'foo' is not one of"):
        option.type.convert("foo", option, None)


def test_the_flags_of_train_are_the_fields_and_their_defaults():
    """And every parameter of the forecaster has the default of its field."""
    declared = {**options_of(STanHopConfig), **options_of(TrainingConfig)}
    shown = {option.name: option for option in options(ALL["train",])}
    for name, field in declared.items():
        if name != "num_variates":
            assert shown[name].default == field.default, name
    for name, value in STanHopForecaster().get_params().items():
        if name in declared:
            assert value == declared[name].default, name
    own = set(STanHopForecaster().get_params())
    assert set(train_module.OWN) == own & set(options_of(STanHopConfig))
    assert set(train_module.OWN_TRAINING) == own & set(options_of(TrainingConfig))


def test_train_shows_what_people_use_first_and_then_groups(stanhop):
    code, out, _ = stanhop("train", "--help")
    assert code == 0
    headings = [line for line in out.splitlines() if line.endswith(":") and line[0].isalpha()]
    assert headings == [
        "Used first:",
        "Data:",
        "Forecast:",
        "Network:",
        "Training:",
        "Output:",
        "Help:",
    ]
    first = out.split("Used first:")[1].split("Data:")[0]
    assert sum(line.startswith(("  --", "  -o")) for line in first.splitlines()) == 10
    assert all(out.count(f" --{name} ") <= 2 for name in ("horizon", "dim", "seed"))


def seconds_of_help(words):
    """CPU seconds that a process takes from its start to the end of its help; it imports nothing heavy."""
    script = (
        "import sys, time\nfrom stanhop_app.cli.group import run\n"
        f"code = run([*{list(words)}, '--help'])\n"
        "heavy = [m for m in ('torch', 'pandas', 'numpy', 'streamlit') if m in sys.modules]\n"
        "print(time.process_time(), file=sys.stderr)\n"
        "sys.exit(f'imports {heavy}' if heavy or code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stderr)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_is_there_at_once_without_torch_and_pandas(words):
    """Under 0.35 s: at the first try, or as the median of seven."""
    times = [seconds_of_help(words)]
    if times[0] >= 0.35:
        times += [seconds_of_help(words) for _ in range(6)]
    assert statistics.median(times) < 0.35, times


def test_the_reference_is_what_the_commands_say(project):
    """Written by ``python -m stanhop_app.cli.reference > cli/README.md``."""
    assert (project / "cli" / "README.md").read_text() == reference()


def test_attacks_name_every_command(project, monkeypatch):
    """What is stopped at random moments, and written to a full disk, is all that there is."""
    monkeypatch.syspath_prepend(project / "tests" / "benchmarks" / "attack")
    every = importlib.import_module("commands").every
    leaves = {name for name, command in ALL.items() if not isinstance(command, click.Group)}
    assert set(every(Path("a.csv"), Path("scratch"))) == {" ".join(name) for name in leaves}
