"""The structure of the package, as its source shows it: rooms, their order, and where private names stand."""

import ast
import re
from pathlib import Path

import pytest

import skmulti

PACKAGE = Path(skmulti.__file__).parent
# From the ground up: a room imports only from rooms that stand before it.
ROOMS = (
    "_compat",
    "_checks",
    "metrics",
    "losses",
    "targets",
    "inputs",
    "modules",
    "weighting",
    "training",
    "ensembles",
    "prediction",
    "persistence",
    "export",
    "estimators",
    "model_selection",
    "inspection",
    "distributed",
    "datasets",
)
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    return module.split(".")[1] if "." in module else ""


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(path, *, at_load_only=False):
    """Return (line, module, names) of each import; those inside functions run later than the load."""
    found, todo = [], list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if is_for_types_only(node) or (at_load_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            continue
        if isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.module, [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, []) for alias in node.names]
        todo += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_is_in_a_room(path):
    assert room_of(name_of(path)) in ("", *ROOMS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_from_rooms_before_it(path):
    here = room_of(name_of(path))
    if not here:
        return
    against = [
        f"line {line}: {module}"
        for line, module, _ in imports_of(path)
        if module.startswith("skmulti.") and ROOMS.index(room_of(module)) > ROOMS.index(here)
    ]
    assert against == []


def test_no_modules_import_each_other_in_a_circle():
    modules = {name_of(path): path for path in FILES}
    edges = {
        name: {
            target
            for _, module, names in imports_of(path, at_load_only=True)
            for target in (module, *(f"{module}.{name}" for name in names))
            if target in modules
        }
        for name, path in modules.items()
    }
    # A package that re-exports its own modules is loaded before them and needs nothing of theirs until then.
    edges = {name: {t for t in targets if not name.startswith(f"{t}.")} for name, targets in edges.items()}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for target in sorted(edges[name]):
                visit(target)
            done.add(path.pop())

    for name in edges:
        visit(name)


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "_compat.py"], ids=name_of)
def test_private_names_of_other_packages_stand_in_one_file(path):
    foreign = [
        f"line {line}: {module} {name}"
        for line, module, names in imports_of(path)
        if module.split(".")[0] in ("sklearn", "skorch", "torch", "joblib", "scipy", "numpy")
        for name in [*module.split("."), *names]
        if re.match(r"_[a-z]|_[A-Z]", name)
    ]
    foreign += [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-zA-Z]", node.attr)
        and re.match(r"(torch|nn|np|sklearn|skorch|joblib)\b", ast.unparse(node.value))
    ]
    assert foreign == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_longer_than_a_reader_can_hold(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES
