"""The house: every package is declared, imports point one way, importing is cheap."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest

LAYERS = ["layers", "models", "forecasting"]
BESIDE = {"theory": {"layers", "models"}}
"""What a package beside these may import."""
SKIN = {"cli", "datasets"}


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
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def modules(project):
    declared = settings(project)
    for package in declared["packages"]:
        for path in sorted((project / folder_of(package, declared["package-dir"])).glob("*.py")):
            yield f"{package}.{path.stem}", path


def test_imports_point_one_way(project):
    for name, path in modules(project):
        place = name.split(".")[1]
        for imported in imports(path):
            parts = imported.split(".")
            if parts[0] in ("click", "streamlit"):
                assert place == {"click": "cli", "streamlit": "ui"}[parts[0]], (
                    f"{name} imports {imported}"
                )
            if parts[0] != "stanhop_app" or len(parts) < 2:
                continue
            if place not in ("cli", "ui"):
                assert parts[1] not in ("cli", "ui"), f"{name} imports {imported}"
            if place in LAYERS and parts[1] in LAYERS:
                assert LAYERS.index(parts[1]) <= LAYERS.index(place), f"{name} imports {imported}"
            if place in BESIDE and parts[1] in LAYERS:
                assert parts[1] in BESIDE[place], f"{name} imports {imported}"
            if place in ("training", "checkpoint", "metrics"):
                assert parts[1] not in LAYERS, f"{name} imports {imported}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("stanhop_app", ["torch", "pandas", "numpy", "click"]),
        (
            "stanhop_app.layers",
            ["pandas", "sklearn", "lightning_fabric", "click", "streamlit", "transformers"],
        ),
        ("stanhop_app.forecasting.forecaster", ["click", "streamlit"]),
        ("stanhop_app.cli", ["torch", "pandas"]),
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


def test_files_stay_within_their_room(project):
    for name, path in modules(project):
        assert len(path.read_text().splitlines()) <= 500, name


def test_nothing_reads_pickles(project):
    for name, path in modules(project):
        text = path.read_text()
        for word in ("import pickle", "torch.load(", "joblib.load"):
            assert word not in text, f"{name}: {word}"
        for arguments in re.findall(r"np\.load\(([^)]*)\)", text):
            assert "allow_pickle=False" in arguments, f"{name}: {arguments}"
