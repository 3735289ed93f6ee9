"""What the README promises."""

import json
import re

import pytest
from stanhop_app.cli import run


def text(project):
    return (project / "README.md").read_text()


def blocks(project, language):
    return re.findall(rf"```{language}\n(.*?)```", text(project), re.DOTALL)


def test_its_python_runs(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = blocks(project, "python")
    assert len(found) == 8
    for block in found:
        exec(compile(block, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "torch.Size([8, 28, 64]) torch.Size([8, 3, 64])" in out
    assert "tensor([0, 1, 2])" in out
    assert (tmp_path / "my-run" / "config.json").exists()


def test_its_commands_exist_with_their_options(project, capsys):
    lines = [line for block in blocks(project, "bash") for line in block.splitlines()]
    commands = [
        part for line in lines for part in re.findall(r"stanhop ([a-z].*?)(?:&&|>|$)", line)
    ]
    assert len(commands) >= 7
    for command in commands:
        words = command.split()
        name = words[:2] if words[0] in ("data", "suite", "theory") else words[:1]
        assert run([*name, "--help"]) == 0
        known = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", command):
            assert option in known, f"{name}: {option}"


def test_its_table_is_the_measured_one(project):
    cells = json.loads((project / "tests/benchmarks/etth1.json").read_text())["cells"]
    assert len(cells) == 14
    for cell in cells.values():
        row = [f"{scores['test_mse']:.4f}" for scores in cell["scores"].values()]
        line = rf"\| {cell['split']} \| {cell['horizon']} \|.*"
        (found,) = re.findall(line, text(project))
        assert re.findall(r"\d\.\d{4}", found)[: len(row)] == row


@pytest.mark.parametrize(
    "name",
    [
        "forecast.png",
        "ui/dashboard-forecast.png",
        "ui/dashboard-memory.png",
        "ui/suite-norms.png",
        "datasets/README.md",
        "LICENSE",
    ],
)
def test_what_it_links_to_is_there(project, name):
    assert f"({name})" in text(project)
    assert (project / name).exists()


def test_its_table_of_the_suite_is_the_measured_one(project):
    """Float scores and bits, mean over seeds, of every model and variant in the file."""
    cells = json.loads((project / "tests/benchmarks/suite.json").read_text())["cells"].values()
    rows = {(cell["model"], cell["variant"]) for cell in cells}
    assert len(rows) == 19
    for model, variant in rows:
        found = [c for c in cells if (c["model"], c["variant"]) == (model, variant)]
        (line,) = re.findall(rf"\| {model} \| [^|]*\(`{re.escape(variant)}`\).*", text(project))
        assert f"| {len(found)} |" in line
        for bits in ("W8A8", "W6A6", "W4A4"):
            scores = [c["bits"][bits] for c in found]
            wanted = [s["perplexity"] if model != "vit" else 100 * s["accuracy"] for s in scores]
            assert f"| {sum(wanted) / len(wanted):.2f} |" in line, (model, variant, bits)
