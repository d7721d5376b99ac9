"""The rooms import only what the table in CONTRIBUTING.md allows, wherever the import stands."""

import ast
from pathlib import Path

import pytest

import oracle.adapters
import oracle.reference
import oracle.reports

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}
# What each room may import of the others; a name allows what lies below it. `reports` also speaks to users.
ALLOWED = {
    "oracle.reference": {"oracle.reference"},
    "oracle.adapters": {"oracle.adapters", "oracle.reference", "oracle.types", "oracle.trace", "oracle.errors"},
    "oracle.reports": {"oracle.reports", "oracle.types", "oracle.errors"},
    "oracle": {"oracle"},
}
# Frameworks under test that a room may import, even inside a function. JAX is the language of the truth.
MAY_RUN = {"oracle.reference": {"jax"}, "oracle.adapters": FRAMEWORKS, "oracle.reports": set(), "oracle": {"jax"}}
ROOMS = ("oracle.reference", "oracle.adapters", "oracle.reports", "oracle")


def files(room):
    """The source files of a room, with the module each is."""
    package = {"oracle": oracle, "oracle.reference": oracle.reference, "oracle.adapters": oracle.adapters,
               "oracle.reports": oracle.reports}[room]  # fmt: skip
    for folder in map(Path, package.__path__):
        for path in sorted(folder.rglob("*.py")):
            module = ".".join([room, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
            if room == "oracle" and module.startswith(ROOMS[:3]):
                continue  # the wheel nests the rooms
            yield path, module


def imported(source):
    """Every module that the source imports, with whether the import runs when the module is loaded."""
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    late = {id(node) for function in functions for node in ast.walk(function)}
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
    typing_only = {id(node) for guard in guards for child in guard.body for node in ast.walk(child)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) not in late


def violations(room, source):
    """The imports of `source` that `room` must not make."""
    for name, at_load in imported(source):
        top = name.partition(".")[0]
        ours = top in ("oracle", "reference", "adapters", "reports")
        if ours and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[room]):
            yield f"imports {name}"
        elif top in FRAMEWORKS and (top not in MAY_RUN[room] or (at_load and top != "jax")):
            yield f"imports the framework {name}" + (" when it is loaded" if at_load else "")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_keep_to_the_table(room):
    found = {module: bad for path, module in files(room) if (bad := list(violations(room, path.read_text("utf-8"))))}
    assert not found


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_files(room):
    assert len(list(files(room))) > 5


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("oracle.reference", "from oracle.judgements.metric import measure"),
        ("oracle.reference", "def f():\n    import torch"),
        ("oracle.adapters", "from oracle.judgements.verdict import judge"),
        ("oracle.adapters", "import torch"),
        ("oracle.reports", "from oracle.reference.formats import FORMATS"),
        ("oracle.reports", "def f():\n    from oracle.audits.run import audit"),
        ("oracle", "import tensorflow as tf"),
        ("oracle", "def f():\n    import keras"),
        ("oracle", "from reference.formats import FORMATS"),
    ],
)
def test_a_planted_arrow_is_seen(room, source):
    assert list(violations(room, source))


def test_an_allowed_arrow_is_not():
    assert not list(violations("oracle.adapters", "from oracle.types import Row\n\ndef f():\n    import torch"))
