"""Imports inside zoo point down, from floor to floor, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT

# from the cellar up: a module imports from its own floor and from those before it
FLOORS = ("errors", "nn", "looking", "release", "registry", "pipelines", "training", "text", "models", "commands")
NOT_BELOW = {"training": {"registry", "pipelines"}}  # though they stand below it


def modules() -> dict[str, str]:
    """Every module of zoo, by its dotted name: its source."""
    found = {}
    for path in (ROOT / "zoo").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


MODULES = modules()


def imported(name: str) -> set[str]:
    """The modules of zoo that a module imports, inside functions too; what is for type checkers alone is left out."""
    tree = ast.parse(MODULES[name])
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {i if i in MODULES else node.module for i in inner}
    return {other for other in found if other in MODULES} - {name}


def floor(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"zoo"}))
def test_a_module_imports_from_its_own_floor_or_a_lower_one(name):
    assert floor(name) in FLOORS, f"{name} stands on no floor"
    allowed = {*FLOORS[: FLOORS.index(floor(name)) + 1]} - NOT_BELOW.get(floor(name), set())
    others = imported(name) - {"zoo", "zoo.models"}  # packages without code of their own: the registry looks for rooms
    assert not {other for other in others if floor(other) not in allowed}


def test_there_is_no_circle():
    # the package itself is the public door, which every module of it passes
    graph = {name: imported(name) - {"zoo"} for name in MODULES if name != "zoo"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")
