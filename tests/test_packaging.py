"""The house: every package is declared, imports point one way, importing is cheap."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest

FLOORS = (
    ("version", "errors"),
    ("files", "options", "command_line"),
    ("layers",),
    ("data", "models", "theory", "outliers"),
    ("datasets", "training", "figures", "quantization", "hf"),
    ("forecasting", "suite"),
    ("runs",),
    ("engines", "studies"),
    ("ui",),
    ("cli",),
)
"""The floors of the house, the ground first: a place may import from itself and from floors below its own."""
FLOOR = {place: floor for floor, places in enumerate(FLOORS) for place in places}


def settings(project):
    return tomllib.loads((project / "pyproject.toml").read_text())["tool"]["setuptools"]


def folder_of(package, mapped):
    return mapped.get(package, package.replace(".", "/"))


def test_every_folder_with_code_is_a_declared_package(project):
    declared = settings(project)
    mapped = declared["package-dir"]
    folders = {folder_of(package, mapped) for package in declared["packages"]}
    found = {
        str(path.parent.relative_to(project))
        for top in ("stanhop_app", *mapped.values())
        for path in (project / top).rglob("*.py")
    }
    assert found == folders


def imports(path):
    """Everything that a file imports, inside functions too, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(project):
    declared = settings(project)
    for package in declared["packages"]:
        for path in sorted((project / folder_of(package, declared["package-dir"])).glob("*.py")):
            yield f"{package}.{path.stem}", path


def test_imports_go_down_the_floors(project):
    for name, path in modules(project):
        place = name.split(".")[1]
        for imported in imports(path):
            parts = imported.split(".")
            if parts[0] in ("click", "streamlit"):
                assert place == {"click": "cli", "streamlit": "ui"}[parts[0]], (
                    f"{name} imports {imported}"
                )
            if parts[0] != "stanhop_app" or place == "__init__" or parts[1] == place:
                continue
            assert FLOOR[parts[1]] < FLOOR[place], f"{name} imports {imported}"


def test_every_place_stands_on_a_floor(project):
    places = {name.split(".")[1] for name, _ in modules(project)} - {"__init__"}
    assert places == set(FLOOR)


def test_no_file_imports_itself_by_way_of_others(project):
    named = dict(modules(project))
    arrows = {
        name: {
            target
            for imported in imports(path)
            for target in (imported, imported.rpartition(".")[0])
            if target in named and target != name and named[target].stem != "__init__"
        }
        for name, path in named.items()
    }
    finished: set[str] = set()

    def follow(name, way):
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in finished:
            for target in sorted(arrows[name]):
                follow(target, (*way, name))
            finished.add(name)

    for name in arrows:
        follow(name, ())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("stanhop_app", ["torch", "pandas", "numpy", "click"]),
        (
            "stanhop_app.layers",
            ["pandas", "sklearn", "lightning_fabric", "click", "streamlit", "transformers"],
        ),
        ("stanhop_app.forecasting.forecaster", ["click", "streamlit", "lightning_fabric"]),
        ("stanhop_app.cli", ["torch", "pandas"]),
        ("stanhop_app.runs.exported", ["torch", "sklearn", "click"]),
    ],
)
def test_importing_brings_only_what_is_needed_and_prints_nothing(module, absent):
    script = f"import sys, {module}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_public_names_are_found():
    import stanhop_app

    for name in stanhop_app.__all__:
        assert getattr(stanhop_app, name) is not None
        assert name in dir(stanhop_app)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stanhop_app.nothing  # noqa: B018


def test_files_and_functions_stay_within_their_room(project):
    """Five files may have more than 300 lines, none more than 500; no function more than 60 of code."""
    sizes = {name: len(path.read_text().splitlines()) for name, path in modules(project)}
    assert max(sizes.values()) <= 500
    assert len([name for name, size in sizes.items() if size > 300]) <= 5
    for name, path in modules(project):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                length -= len((ast.get_docstring(node) or "").splitlines())
                assert length <= 60, f"{name}: {node.name} has {length} lines"


def test_rooms_are_not_overfull(project):
    count = {
        room: len(list((project / "stanhop_app" / room).glob("*.py")))
        for room in ("", "forecasting")
    }
    assert count[""] <= 9
    assert count["forecasting"] <= 14


def test_the_filters_of_warnings_are_changed_in_one_place(project):
    changes = {name for name, path in modules(project) if "catch_warnings" in path.read_text()}
    assert changes == {"stanhop_app.errors"}, (
        "two threads that change them at once leave each other's: use warnings_as"
    )


def test_nothing_reads_pickles(project):
    for name, path in modules(project):
        text = path.read_text()
        for word in ("import pickle", "torch.load(", "joblib.load"):
            assert word not in text, f"{name}: {word}"
        for arguments in re.findall(r"np\.load\(([^)]*)\)", text):
            assert "allow_pickle=False" in arguments, f"{name}: {arguments}"
