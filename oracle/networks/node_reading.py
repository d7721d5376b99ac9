"""A node as it was written: where a reader finds it, and its literal arguments, one by one and changed."""

import inspect
from collections.abc import Iterator
from dataclasses import replace

from oracle.networks.lowered import LoweredNode
from oracle.reference.lowerings import lowering
from oracle.trace import Node, Tree, references

Path = tuple[str | int, ...]


def place(node: LoweredNode | None) -> str:
    """`node` as a reader finds it: operation, layer path, source line."""
    if node is None:
        return ""
    n = node.node
    return " ".join(
        part for part in (n.op, f"in {n.scope}" if n.scope else "", f"({n.source})" if n.source else "") if part
    )


def arguments(node: LoweredNode) -> dict[str, tuple[Path, Tree]]:
    """The literal arguments of `node` by the names of its lowering, defaults included: `{name: (path, literal)}`."""
    if node.signature is None:
        return {}
    known = lowering(node.signature.framework, node.signature.op)
    assert known is not None
    found: dict[str, tuple[Path, Tree]] = {}
    for place_, parameter in enumerate(inspect.signature(known.define).parameters.values()):
        if place_ < len(node.node.inputs) and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            found[parameter.name] = (("inputs", place_), node.node.inputs[place_])
        elif parameter.default is not parameter.empty:
            found[parameter.name] = (("attrs", parameter.name), parameter.default)
    found.update({name: (("attrs", name), value) for name, value in node.node.attrs.items()})
    return {name: (path, value) for name, (path, value) in found.items() if not any(True for _ in references(value))}


def numbers(node: LoweredNode) -> Iterator[tuple[Path, float]]:
    """Every literal number of the node with its path: ("attrs", "eps") or ("inputs", 2, 0)."""
    yield from _numbers(("inputs",), list(node.node.inputs))
    yield from _numbers(("attrs",), dict(node.node.attrs), top=True)


def _numbers(path: Path, tree: Tree, top: bool = False) -> Iterator[tuple[Path, float]]:
    if isinstance(tree, bool):
        return
    if isinstance(tree, int | float):
        yield path, float(tree)
    elif isinstance(tree, list | tuple):
        for i, part in enumerate(tree):
            yield from _numbers((*path, i), part)
    elif isinstance(tree, dict) and (top or tree.keys() != {"value"}):
        for key, part in tree.items():
            yield from _numbers((*path, key), part)


def with_literal(node: Node, path: Path, value: Tree) -> Node:
    """`node` with the literal at `path` (as `numbers` gives it) replaced."""

    root, *rest = path
    if root == "inputs":
        return replace(node, inputs=tuple(_with(list(node.inputs), rest, value)))
    return replace(node, attrs=_with(dict(node.attrs), rest, value))


def _with(tree: Tree, path: list[str | int], value: Tree) -> Tree:
    if not path:
        return value
    key, *rest = path
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[key] = _with(copy[key], rest, value) if rest else value  # type: ignore[index]
    return copy
