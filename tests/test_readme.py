"""What the pages promise: their Python runs, their commands exist, their tables are the measured ones."""

import json
import re
import sys
import tomllib

import pytest
from stanhop_app.cli.group import run

FOLDERS = (
    "data",
    "engines",
    "figures",
    "forecasting",
    "layers",
    "models",
    "runs",
    "studies",
    "suite",
    "theory",
    "training",
)
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"stanhop_app/{name}/README.md" for name in FOLDERS),
    "stanhop_app/forecasting/external/README.md",
    "stanhop_app/forecasting/intervals/README.md",
    "stanhop_app/runs/backtest/README.md",
    *(f"{name}/README.md" for name in ("cli", "ui", "datasets", "tests", "tests/benchmarks")),
    *(
        f"tests/benchmarks/{name}.md"
        for name in (
            "attack",
            "engines",
            "etth1",
            "gpu",
            "memory",
            "speed",
            "suite",
            "tables",
            "theory",
            "tune",
            "variants",
        )
    ),
)


def blocks(project, page, language):
    return re.findall(rf"```{language}\n(.*?)```", (project / page).read_text(), re.DOTALL)


def test_every_folder_that_a_newcomer_opens_has_a_page(project):
    packages = {path.parent.name for path in (project / "stanhop_app").glob("*/__init__.py")}
    assert packages == set(FOLDERS)
    for page in PAGES:
        lines = (project / page).read_text().splitlines()
        assert lines[0].startswith("# "), page
        if page.startswith("stanhop_app/"):
            assert len(lines) <= 90, page
            assert len((project / page).read_text()) <= 6000, page


def test_the_first_page_is_short(project):
    assert len((project / "README.md").read_bytes()) <= 12 * 1024
    assert (project / "README.md").read_text().count("<!-- table ") == 1


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", *PAGES[2:16]])
def test_python_runs(project, page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for block in blocks(project, page, "python"):
        exec(compile(block, page, "exec"), {})
    out = capsys.readouterr().out
    if page == "README.md":
        assert "torch.Size([8, 28, 64]) torch.Size([8, 3, 64])" in out
        assert "tensor([0, 1, 2])" in out
        assert (tmp_path / "my-run" / "config.json").exists()


def test_there_is_python_to_run(project):
    counts = {page: len(blocks(project, page, "python")) for page in PAGES}
    assert counts["README.md"] == 3
    assert sum(counts.values()) >= 9


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_options(project, page, capsys):
    lines = [line for block in blocks(project, page, "bash") for line in block.splitlines()]
    commands = [
        part for line in lines for part in re.findall(r"stanhop ([a-z].*?)(?:&&|>|$)", line)
    ]
    for command in commands:
        words = command.split()
        name = words[:2] if words[0] in ("data", "suite", "theory") else words[:1]
        assert run([*name, "--help"]) == 0
        known = capsys.readouterr().out
        for option in re.findall(r"--[a-z][a-z-]+", command):
            assert option in known, f"{name}: {option}"


@pytest.fixture
def tables(project, monkeypatch):
    """The script that writes all tables."""
    monkeypatch.syspath_prepend(str(project / "tests" / "benchmarks"))
    sys.modules.pop("tables", None)
    import tables

    return tables


def test_every_measured_table_is_what_its_file_says(project, tables):
    names = []
    for page in tables.FILES:
        text = (project / page).read_text()
        assert tables.write(text, names) == text, f"{page}: run python tests/benchmarks/tables.py"
    assert sorted(names) == sorted(tables.TABLES)


def test_a_table_that_was_altered_is_found(project, tables):
    text = (project / "README.md").read_text()
    altered = text.replace("**0.3040**", "**0.2040**")
    assert altered != text
    assert tables.write(altered) == text


def test_the_results_are_those_of_the_benchmark(project):
    """Read without the script that writes them."""
    cells = json.loads((project / "tests/benchmarks/etth1.json").read_text())["cells"]
    text = (project / "README.md").read_text()
    assert len(cells) == 14
    for cell in cells.values():
        wanted = [
            f"{scores['test_mse']:.4f}"
            for model, scores in cell["scores"].items()
            if not model.endswith("part")
        ]
        (line,) = re.findall(rf"\| {cell['split']} \| {cell['horizon']} \|.*", text)
        assert re.findall(r"\d\.\d{4}", line)[: len(wanted)] == wanted


def test_the_suite_is_that_of_its_file(project):
    """Read without the script: float scores and bits, mean over seeds, of every model and variant."""
    cells = json.loads((project / "tests/benchmarks/suite.json").read_text())["cells"].values()
    text = (project / "tests/benchmarks/suite.md").read_text()
    rows = {(cell["model"], cell["variant"]) for cell in cells}
    assert len(rows) == 19
    for model, variant in rows:
        found = [c for c in cells if (c["model"], c["variant"]) == (model, variant)]
        (line,) = re.findall(rf"\| {model} \| [^|]*\(`{re.escape(variant)}`\).*", text)
        assert f"| {len(found)} |" in line
        for bits in ("W8A8", "W6A6", "W4A4"):
            scores = [c["bits"][bits] for c in found]
            wanted = [s["perplexity"] if model != "vit" else 100 * s["accuracy"] for s in scores]
            assert f"| {sum(wanted) / len(wanted):.2f} |" in line, (model, variant, bits)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(project, page):
    text = (project / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if target.startswith("http"):
            continue
        base = project if target.startswith("/") else (project / page).parent
        assert (base / target.lstrip("/")).exists(), target


def test_ci_runs_the_tests_that_pytest_leaves_out(project):
    """What is marked slow is not in `pytest` (pyproject.toml); CI and the README's command run both."""
    lines = (project / ".ci" / "run").read_text().splitlines()
    assert {"pytest", "pytest -m slow"} <= set(lines)
    assert "\npytest && pytest -m slow\n" in (project / "README.md").read_text()
    options = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["pytest"][
        "ini_options"
    ]
    assert options["addopts"][-2:] == ["-m", "not slow"]
    assert [mark.split(":")[0] for mark in options["markers"]] == ["slow"]
