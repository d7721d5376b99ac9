"""Recurrent layers found in a network, fused or unrolled, and the conventions that reproduce them.

A layer is found by its weights: a recurrent kernel (units, gates x units) beside a kernel (features, gates x units),
in either orientation. It is understood when the equations of `oracle.recurrence`, on the layer's own input and
weights, give the states that its nodes hold.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignment import CLOSE, Side
from oracle.causes.local import downstream, upstream
from oracle.lowered import LoweredNode
from oracle.network import Values
from oracle.recurrence import ACTIVATIONS, GATES, Cell, States, Weights, run, step

_KINDS = {1: "rnn", 3: "gru", 4: "lstm"}
# Nodes between an operand and the array it is a part or a rearrangement of.
_CHAIN = 8
_STEPS_TO_BIAS = 4
_SOON = 10
# Nodes between the first products with a kernel and with its recurrent kernel.
_NEAR = 64
_LINEAR = ("mm", "matmul", "dot", "linear", "einsum", "rnn", "lstm", "gru")
_GATE_FUNCTIONS = ("sigmoid", "hard_sigmoid (x/6 + 1/2)", "hard_sigmoid (0.2 x + 1/2)")


@dataclass(frozen=True)
class Operand:
    """A leaf that holds stacked gates, and the axis along which they are stacked."""

    leaf: int
    axis: int

    def of(self, values: Values) -> np.ndarray:
        """The array with the gates last."""
        return np.moveaxis(values[self.leaf], self.axis, -1)


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: the values that it reads, and its conventions.

    `biases` holds leaves with the bias, or one of both, and the row where a leaf stacks both. `time` is the axis of
    time of the input `x`. `states` are those of the side's own run, `ends` the values that hold the last of them.
    """

    x: int
    kernel: Operand
    recurrent: Operand
    biases: tuple[tuple[int, int | None], ...]
    initial: tuple[int | None, int | None]
    node: LoweredNode
    cell: Cell
    time: int = 0
    reverse: bool = False
    states: States | None = None
    ends: tuple[int, ...] = ()

    def weights(self, values: Values) -> Weights:
        """Kernel, recurrent kernel and the two biases; zeros for a bias that the layer lacks."""
        kernel = self.kernel.of(values)
        rows = [values[leaf] if row is None else values[leaf].reshape(2, -1)[row] for leaf, row in self.biases]
        both = [*(b.reshape(-1) for b in rows), *([np.zeros(kernel.shape[-1])] * 2)][:2]
        return Weights(kernel, self.recurrent.of(values), *both)

    def sequence(self, values: Values) -> np.ndarray:
        """The input as (time, batch, features)."""
        return np.moveaxis(values[self.x], self.time, 0)

    def start(self, values: Values, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """The initial hidden and cell state."""
        shape = (batch, self.units(values))
        h, c = (None if i is None else values[i] for i in self.initial)
        return tuple(
            np.zeros(shape) if s is None or s.size != shape[0] * shape[1] else s.reshape(shape) for s in (h, c)
        )  # type: ignore[return-value]

    def units(self, values: Values) -> int:
        """The number of units."""
        return self.recurrent.of(values).shape[0]

    def in_layout(self, states: np.ndarray) -> np.ndarray:
        """States (time, batch, units) with the axes as the input has them."""
        return np.moveaxis(states, 0, self.time)

    def run(self, values: Values, mask: np.ndarray | None = None) -> States:
        """The states by the equations."""
        x = self.sequence(values)
        start = self.start(values, x.shape[1])
        return run(self.cell, self.weights(values), x, start, reverse=self.reverse, mask=mask)


def layers(side: Side, nodes: tuple[LoweredNode, ...]) -> Iterator[Layer]:
    """The recurrent layers that `nodes` belong to or come from, each with the conventions that reproduce it."""
    uses = {leaf: _uses(side, leaf) for leaf in _reading_leaves(side, nodes)}
    known: set[int] = set()
    for kernel, recurrent in _kernels(side, uses):
        if known & {kernel.leaf, recurrent.leaf}:
            continue
        outer, inner = uses[kernel.leaf][0], uses[recurrent.leaf][0]
        found = next(_understood(side, (kernel, recurrent), (outer, inner)), None)
        if found is not None:
            known |= {kernel.leaf, recurrent.leaf}
            yield found


def _reading_leaves(side: Side, nodes: tuple[LoweredNode, ...]) -> list[int]:
    """Leaves of two axes that the nodes read, directly or from afar, the first used first."""
    queue = [i for n in nodes for i in n.reals]
    found, seen = set(), set()
    while queue:
        i = queue.pop()
        if i in seen:
            continue
        seen.add(i)
        producer = side.producers.get(i)
        if producer is not None:
            queue.extend(producer.reals)
        elif side.run.values[i].ndim == 2:
            found.add(i)
    order = {i: min((n.node.index for n in side.consumers.get(i, ())), default=0) for i in found}
    return sorted(found, key=lambda i: (order[i], i))


def _kernels(side: Side, uses: dict[int, list[LoweredNode]]) -> Iterator[tuple[Operand, Operand]]:
    """Pairs of a kernel and a recurrent kernel with the same number of stacked gates, near ones first.

    A recurrent kernel is used at every step, or by a fused operation together with its kernel.
    """
    places = {i: k for k, i in enumerate(i for i in uses if uses[i])}
    pairs = sorted(itertools.permutations(places, 2), key=lambda p: (abs(places[p[0]] - places[p[1]]), p))
    for i, j in pairs:
        outer, inner = uses[i][0], uses[j][0]
        if not (outer is inner or (len(uses[j]) > 1 and abs(outer.node.index - inner.node.index) <= _NEAR)):
            continue
        for axis in (0, 1):
            width, units = (side.run.values[j].shape[k] for k in (axis, 1 - axis))
            for other in (axis, 1 - axis):
                if width % units == 0 and width // units in _KINDS and side.run.values[i].shape[other] == width:
                    yield Operand(i, other), Operand(j, axis)


def _understood(
    side: Side, operands: tuple[Operand, Operand], nodes: tuple[LoweredNode, LoweredNode]
) -> Iterator[Layer]:
    """The layer with this kernel and recurrent kernel under every convention that reproduces its states."""
    (kernel, recurrent), (outer, inner) = operands, nodes
    w, u = side.run.values[kernel.leaf], recurrent.of(side.run.values)
    kind = _KINDS[u.shape[1] // u.shape[0]]
    if not _meet(side, outer, inner):
        return
    biases = _biases(side, nodes, u.shape[1])
    initial = _initial(side, outer, inner, recurrent.leaf, u.shape[0])
    cell = Cell(kind, tuple(range(len(GATES[kind]))))
    for x in _sequences(side, outer, kernel.leaf, w.shape[1 - kernel.axis]):
        for time in (0, 1):
            yield from _fitted(side, Layer(x, kernel, recurrent, biases, initial, inner, cell, time))


def _uses(side: Side, leaf: int) -> list[LoweredNode]:
    """The first two nodes that multiply by the leaf, directly or after it was rearranged."""
    wanted, found = [leaf], []
    for _ in range(_CHAIN):
        if not wanted:
            break
        for node in side.consumers.get(wanted.pop(0), ()):
            if node.node.phase != "forward":
                continue
            if any(word in node.node.op.lower() for word in _LINEAR):
                found.append(node)
                if len(found) == 2:
                    return found
            elif len(node.reals) == 1:
                wanted.extend(node.outputs)
    return found


def _meet(side: Side, outer: LoweredNode, inner: LoweredNode) -> bool:
    """Whether the product with the recurrent kernel is soon added to the product with the kernel."""
    if outer is inner:
        return True
    if inner.node.index in {n.node.index for n in upstream(side, outer.outputs[0], 6)}:
        return False
    index = outer.node.index
    soon = downstream(side, inner.outputs[0], _SOON)
    return any(n.node.index == index for near in (inner, *soon) for n in upstream(side, near.outputs[0], 2 * _SOON))


def _sequences(side: Side, node: LoweredNode, leaf: int, features: int) -> Iterator[int]:
    """Values (time, batch, features), or (batch, time, features), of which the multiplied operand is a part."""
    for operand in node.reals[:3]:
        level = operand
        for _ in range(_CHAIN):
            shape = side.run.values[level].shape
            if level != leaf and len(shape) == 3 and shape[-1] == features:
                yield level
            producer = side.producers.get(level)
            if producer is None or len(producer.reals) != 1:
                break
            level = producer.reals[0]


def _biases(side: Side, nodes: tuple[LoweredNode, LoweredNode], width: int) -> tuple[tuple[int, int | None], ...]:
    """The bias leaves that are added beside either product, that of the input first."""
    found: dict[tuple[int, int | None], None] = {}
    for node in nodes:
        for near in (node, *downstream(side, node.outputs[0], _STEPS_TO_BIAS)):
            for i in near.reals:
                leaf = _leaf(side, i)
                size = side.run.values[leaf].size if leaf is not None else 0
                if leaf is not None and size == width and side.run.values[leaf].ndim <= 2:
                    found[leaf, None] = None
                elif leaf is not None and size == 2 * width and 2 in side.run.values[leaf].shape:
                    found.update({(leaf, 0): None, (leaf, 1): None})
    return tuple(found)[:2]


def _leaf(side: Side, value: int) -> int | None:
    """The stored leaf of which `value` is a part or a rearrangement; None where there is none."""
    for _ in range(_CHAIN):
        producer = side.producers.get(value)
        if producer is None:
            return value if side.network.trace.values[value].role != "input" else None
        if len(producer.reals) != 1:
            return None
        value = producer.reals[0]
    return None


def _initial(
    side: Side, outer: LoweredNode, inner: LoweredNode, leaf: int, units: int
) -> tuple[int | None, int | None]:
    """The values of the initial hidden and cell state: what the recurrent kernel is first multiplied with."""
    if outer is inner and len(inner.reals) >= 7:
        return inner.reals[5], inner.reals[6]
    states = [i for i in inner.reals if i != leaf and side.run.values[i].ndim == 2]
    return next((i for i in states if side.run.values[i].shape[-1] == units and _leaf(side, i) != leaf), None), None


def _fitted(side: Side, base: Layer) -> Iterator[Layer]:
    """The conventions under which the first step gives a state that some node holds, and all steps do."""
    values = side.run.values
    x = base.sequence(values)
    weights, start = base.weights(values), base.start(values, x.shape[1])
    ids, held = _holders(side, x.shape[0], start[0])
    for cell, reverse in itertools.product(conventions(base.cell.kind), (False, True)):
        h, _ = step(cell, weights, x[-1 if reverse else 0], start)
        if _rows(h, held):
            layer = replace(base, cell=cell, reverse=reverse)
            states = layer.run(values)
            rows = _rows(states.hidden[0 if reverse else -1], held)
            if rows:
                yield replace(layer, states=states, ends=tuple(ids[k] for k in rows))


def _rows(state: np.ndarray, held: np.ndarray) -> list[int]:
    """The rows of `held` that are the state."""
    flat = state.reshape(-1)
    near = CLOSE * max(float(np.max(np.abs(flat), initial=0.0)), 1e-30)
    rows = np.flatnonzero(np.abs(held[:, 0] - flat[0]) <= near)
    return [k for k in rows if np.max(np.abs(held[k] - flat)) <= near]


def conventions(kind: str) -> Iterator[Cell]:
    """The cells of a kind: the usual order of gates first, the usual activations first."""
    count = len(GATES[kind])
    orders = list(itertools.permutations(range(count)))
    usual = [(a, r) for a in ("tanh", "relu") for r in _GATE_FUNCTIONS]
    rest = [(a, "sigmoid") for a in ACTIVATIONS if a not in ("tanh", "relu")]
    for (activation, recurrent), order in itertools.product([*usual, *rest], orders):
        for reset_after, keep in itertools.product((True, False), repeat=2) if kind == "gru" else ((True, True),):
            yield Cell(kind, order, activation, recurrent, reset_after, keep)


def _holders(side: Side, steps: int, state: np.ndarray) -> tuple[list[int], np.ndarray]:
    """What may be a state: arrays (batch, units), and the ends of whole sequences of them, as rows; their values."""
    ids, found = [-1], [np.full(state.size, np.nan)]
    for node in side.network.nodes:
        for o in node.outputs:
            y = side.run.values[o]
            if y.size == state.size and y.shape[-1:] == state.shape[-1:]:
                ids.append(o)
                found.append(y.reshape(-1))
            elif y.ndim == 3 and y.size == steps * state.size and y.shape[-1] == state.shape[-1]:
                axes = [axis for axis in (0, 1) if y.shape[axis] == steps]
                ends = [np.take(y, k, axis).reshape(-1) for axis in axes for k in (0, -1)]
                ids += [o] * len(ends)
                found += ends
    return ids, np.stack(found)
