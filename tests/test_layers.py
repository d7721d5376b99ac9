"""The packages of `oracle` stand in layers: each imports only itself and what stands below it."""

import ast
from pathlib import Path

import pytest

import oracle

# From the ground up. Modules that lie in `oracle` itself are below all packages, but for the commands' entry.
LAYERS = (
    "judgements",
    "recordings",
    "networks",
    "explanations",
    "precision",
    "alignments",
    "losses",
    "updates",
    "causes",
    "comparisons",
    "ports",
    "audits",
    "checks",
    "commands",
)
ENTRY = {"__init__", "__main__"}


def arrows():
    """Every import of one part of `oracle` by another: (module, its package, imported package)."""
    for folder in map(Path, oracle.__path__):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[0] in ("reference", "adapters", "reports") or parts[0] in ENTRY:
                continue
            for target in imported(path.read_text("utf-8")):
                yield ".".join(parts), parts[0], target


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" if node.module == "oracle" else node.module for alias in node.names]
        else:
            continue
        yield from (n.split(".")[1] for n in names if n.startswith("oracle."))


def upward(package, target):
    """Whether `package` stands below `target`, which it imports."""
    if target not in LAYERS:
        return False
    return package not in LAYERS or LAYERS.index(package) < LAYERS.index(target)


def test_no_package_imports_one_above_it():
    assert [f"{module} imports {target}" for module, package, target in arrows() if upward(package, target)] == []


@pytest.mark.parametrize("package", LAYERS)
def test_every_package_is_there(package):
    assert any(p == package for _, p, _ in arrows())


def test_an_arrow_upward_is_seen():
    assert upward("networks", "comparisons")
    assert upward("trace", "networks")
    assert not upward("comparisons", "networks")
