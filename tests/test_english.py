"""Names and docstrings that a reader need not look up in their neighbours (CONTRIBUTING.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = ("stanhop_app", "datasets", "cli", "ui")
NAMES = {"found", "of", "said"}
"""Names of values that say nothing of the value."""
LEANING = {"Of", "By", "That", "Those", "With", "Default:", "And", "Also", "Like", "Over", "Such"}
"""First words of a fragment: what it is a fragment of stands somewhere else."""


def _trees(project: Path) -> Iterator[tuple[Path, ast.AST]]:
    for room in ROOMS:
        for file in sorted((project / room).rglob("*.py")):
            yield file.relative_to(project), ast.parse(file.read_text(encoding="utf-8"))


def _values(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names that are bound to values: by assignment, as arguments, as properties."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef) and _is_property(node):
            yield node.lineno, node.name


def _is_property(node: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)


def _docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Those of modules, classes and functions, and what stands below a field or a constant."""
    for node in ast.walk(tree):
        for statement in node.body if isinstance(node, _BODIES) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip()


_BODIES = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_values_are_named_by_what_they_are(project: Path) -> None:
    bad = [f"{f}:{n}: {x}" for f, t in _trees(project) for n, x in _values(t) if x in NAMES]
    assert not bad, "\n".join(bad)


def test_no_docstring_is_a_fragment(project: Path) -> None:
    docstrings = [(f, n, x) for f, t in _trees(project) for n, x in _docstrings(t)]
    assert len(docstrings) > 1000
    bad = [f"{f}:{n}: {x[:60]}" for f, n, x in docstrings if x.split()[0] in LEANING]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("source", ["of = 1", "def f(said): ...", "[0 for found in ()]"])
def test_such_a_name_would_be_seen(source: str) -> None:
    assert {name for _, name in _values(ast.parse(source))} & NAMES
