"""One cause in many places: a setting of the whole model differs in every layer, not in one.

What is proved at one operation is tried at all alike: another literal in every operation of that kind that holds the
same; and the hypothesis that explained the last divergence is asked first at the next one.
"""

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, replaced_node
from oracle.comparisons.trying import Probe, State, Trial
from oracle.comparisons.weighing import begun, in_layout
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.networks.node_reading import with_literal
from oracle.trace import Node, Tree, references

Path = tuple[str | int, ...]
# Stands for an argument that was not given.
_NONE = object()

Asked = Callable[[Collection[str]], Iterator[tuple[Candidate, bool]]]


def everywhere(
    state: State, proposed: tuple[Candidate, bool], alone: State, probe: Probe
) -> tuple[Candidate, State] | None:
    """The candidate with its literal changed in every alike operation, and the state after it.

    None where there are no such operations, or where that brings no more into line than the one operation does `alone`;
    as much is enough where the other model holds the new literal in just as many operations, and the old one nowhere.
    """
    candidate, exchanged = proposed
    side = state.a if exchanged else state.b
    index, changed = next(iter(candidate.edits.literals.items()), (-1, None))
    node = next((n for n in side.network.nodes if n.node.index == index), None)
    if changed is None or node is None or len(candidate.edits.nodes) != 1 or candidate.also or candidate.edits.leaves:
        return None
    alike = list(_alike(side, node, changed))
    if not alike:
        return None
    edits = functools.reduce(Edits.__or__, (replaced_node(side, n, other) for n, other in alike), candidate.edits)
    words = f"{candidate.detail}; the same in {len(alike) + 1} operations alike"
    joint = replace(candidate, edits=edits, detail=words)
    tried = Trial(state, joint, exchanged).result(probe)
    if tried is None:
        return None
    other = state.b if exchanged else state.a
    gained, known = state.lined_up(tried), state.lined_up(alone)
    as_there = _count(other, node, changed) == len(alike) + 1 and not _count(other, node, node.node)
    return (joint, in_layout(tried)) if gained > known or (gained == known and as_there) else None


def _count(side: Side, node: LoweredNode, holding: Node) -> int:
    """How many operations of the node's kind hold the literals of `holding`."""
    alike = [n.node for n in side.network.nodes if n.node.op == node.node.op and n.node.phase == node.node.phase]
    return sum(not any(_is_literal(_at(holding, p)) for p in _paths(n, holding)) for n in alike)


def _is_literal(tree: Tree) -> bool:
    return not any(True for _ in references(tree))


def _alike(side: Side, node: LoweredNode, changed: Node) -> Iterator[tuple[LoweredNode, Node]]:
    """The other operations of the node's kind that hold the literals that are changed, each with them changed."""
    differing = [(path, _at(node.node, path), _at(changed, path)) for path in _paths(node.node, changed)]
    for other in side.network.nodes:
        same = other.node.op == node.node.op and other.node.phase == node.node.phase and other is not node
        if same and differing and all(_equal(_at(other.node, path), old) for path, old, _ in differing):
            moved = other.node
            for path, _, new in differing:
                moved = with_literal(moved, path, new)
            yield other, moved


def _paths(node: Node, changed: Node) -> Iterator[Path]:
    """The arguments in which two recordings of one operation differ."""
    places: list[Path] = [("inputs", k) for k in range(len(node.inputs))]
    places += [("attrs", name) for name in {**node.attrs, **changed.attrs}]
    yield from (p for p in places if not _equal(_at(node, p), _at(changed, p)))


def _at(node: Node, path: Path) -> Tree:
    kind, key = path
    if kind == "inputs":
        return node.inputs[key] if key < len(node.inputs) else _NONE  # type: ignore[index, operator, return-value]
    return node.attrs.get(key, _NONE)  # type: ignore[arg-type, return-value]


def _equal(a: Tree, b: Tree) -> bool:
    return type(a) is type(b) and a == b


def again(state: State, causes: Collection[tuple[str, str]], asked: Asked, probe: Probe) -> tuple | None:
    """A cause like one before, (code, hypothesis), that explains the first divergence: candidate, exchanged, state."""
    for candidate, exchanged in asked({name for _, name in causes}):
        if candidate.transplant or (candidate.code, candidate.hypothesis) not in causes:
            continue
        tried = Trial(state, candidate, exchanged).result(probe)
        if tried is not None:
            tried = in_layout(tried)
            if tried.remaining <= state.remaining and tried.divergent < state.divergent and begun(state, tried):
                return candidate, exchanged, tried
    return None
