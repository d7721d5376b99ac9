"""Which step of a recurrence an operation of a Keras model belongs to, where the calls alone do not tell."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from oracle.trace import Layer, Node

_JOINS = ("aten.stack.default", "aten.cat.default")


def number_steps(nodes: Sequence[Node], layers: Mapping[str, Layer], weights: Set[int] = frozenset()) -> list[Node]:
    """Number the steps of recurrent cells without Keras's probe: a first call whose result no other call reads.

    Keras computes the first step once more where it wants to know the type of the results. What is made of the
    `weights` alone (a view of a bias) belongs to no step: every call may read it.
    """
    numbers = {n.index: n.time_step for n in nodes}
    shared = _made_of(nodes, weights)
    probed: set[tuple[int, str]] = set()
    for calls in _recurrences(nodes, layers):
        made = {out for n in calls.get(0, ()) for out in n.outputs} - shared
        if 1 in calls and not any(made.intersection(n.reads) for n in calls[1]):
            for number, members in calls.items():
                numbers.update((n.index, _before(number)) for n in members)
            probed.update((n.step, n.scope) for members in calls.values() for n in members)
    for node in nodes:
        alone = node.phase == "backward" and node.forward_index is None and node.time_step is not None
        if alone and (node.step, node.scope) in probed:
            numbers[node.index] = _before(node.time_step)
    return _with_steps(nodes, numbers)


def _before(number: int | None) -> int | None:
    return number - 1 if number else None


def _made_of(nodes: Sequence[Node], weights: Set[int]) -> set[int]:
    """The weights and all that is computed from nothing else."""
    found = set(weights)
    for node in nodes:
        if node.reads and found.issuperset(node.reads):
            found.update(out for out in node.outputs if out is not None)
    return found


def _recurrences(nodes: Sequence[Node], layers: Mapping[str, Layer]) -> list[dict[int, list[Node]]]:
    """For each run of a recurrent cell its forward nodes by call."""
    cells = [path for path, layer in layers.items() if layer.kind.endswith("Cell")]
    found: list[dict[int, list[Node]]] = []
    current: dict[tuple[int, str], dict[int, list[Node]]] = {}
    for node in nodes:
        cell = next((c for c in cells if node.scope == c or node.scope.startswith(f"{c}.")), None)
        if cell is None or node.time_step is None or node.phase != "forward":
            continue
        calls = current.get((node.step, cell))
        if calls is None or node.time_step < max(calls):
            calls = current[node.step, cell] = {}
            found.append(calls)
        calls.setdefault(node.time_step, []).append(node)
    return found


def number_slices(nodes: Sequence[Node], layers: Mapping[str, Layer], weights: Set[int] = frozenset()) -> list[Node]:
    """Number the steps of a recurrent layer that torch unrolls without calling its cell.

    An operation is at the latest step of the slices of the sequence that flow into it. A slice of the `weights` (the
    bias of a GRU has two rows) is no step.
    """
    shared = _made_of(nodes, weights)
    recurrent = {path.rpartition(".")[0] for path, layer in layers.items() if layer.kind.endswith("Cell")}
    reached: dict[int, int] = {}
    numbers = {n.index: n.time_step for n in nodes}
    for node in nodes:
        if node.scope in recurrent and node.time_step is None and node.phase == "forward":
            numbers[node.index] = step = None if shared.issuperset(node.reads) else _slice_step(node, reached)
            reached.update((out, step) for out in node.outputs if out is not None and step is not None)
    return _with_steps(nodes, numbers)


def _slice_step(node: Node, reached: Mapping[int, int]) -> int | None:
    steps = [reached[i] for i in node.reads if i in reached]
    if node.op == "aten.select.int" and not steps:
        index = node.inputs[2]
        return index if index >= 0 else None
    return max(steps) if steps and node.op not in _JOINS else None


def _with_steps(nodes: Sequence[Node], numbers: dict[int, int | None]) -> list[Node]:
    """The nodes with their numbers; a backward node has that of its forward node."""
    for node in nodes:
        if node.phase == "backward" and node.forward_index is not None:
            numbers[node.index] = numbers[node.forward_index]
    return [n if n.time_step == numbers[n.index] else replace(n, time_step=numbers[n.index]) for n in nodes]
