"""Recurrent layers found in a network, fused or unrolled, and the conventions that reproduce them.

A layer is found by its kernels (see `recurrent_kernels`). It is understood when the equations of
`oracle.causes.sequences.recurrence`,
on the layer's own input and weights, give the states that its nodes hold.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.causes.local import downstream
from oracle.causes.sequences.recurrence import ACTIVATIONS, GATES, Cell, States, Weights, run, step
from oracle.causes.sequences.recurrent_kernels import KINDS, Kernels, Operand, Row, kernels
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values

# Nodes between an operand and the array it is a part or a rearrangement of.
_CHAIN = 8
_STEPS_TO_BIAS = 4
_LINEAR = ("mm", "matmul", "dot", "linear", "einsum", "rnn", "lstm", "gru")
_GATE_FUNCTIONS = ("sigmoid", "hard_sigmoid (x/6 + 1/2)", "hard_sigmoid (0.2 x + 1/2)")


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: the values that it reads, and its conventions.

    `biases` are that of the input's products and that of the state's, or one of them. `time` is the axis of time of the
    input `x`. `states` are those of the side's own run, `ends` the values that hold the last of them.
    """

    x: int
    kernel: Operand
    recurrent: Operand
    biases: tuple[Operand, ...]
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
        both = [*(b.of(values) for b in self.biases), *([np.zeros(kernel.shape[-1])] * 2)][:2]
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
    for found in kernels(side, uses):
        leaves = found.kernel.leaves | found.recurrent.leaves
        layer = None if known & leaves else next(_understood(side, found), None)
        if layer is not None:
            known |= leaves
            yield layer


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


def _understood(side: Side, found: Kernels) -> Iterator[Layer]:
    """The layer with these kernels under every convention that reproduces its states."""
    features, (units, width) = (len(found.kernel.of(side.run.values)), found.recurrent.of(side.run.values).shape)
    kind = KINDS[width // units]
    biases = _biases(side, found, width)
    initial = (found.h, None) if found.h is not None else _initial(side, found, units)
    cell = Cell(kind, tuple(range(len(GATES[kind]))))
    for x in _sequences(side, found, features):
        for time in (0, 1):
            yield from _fitted(
                side, Layer(x, found.kernel, found.recurrent, biases, initial, found.inners[0], cell, time)
            )


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


def _sequences(side: Side, found: Kernels, features: int) -> Iterator[int]:
    """Values (time, batch, features), or (batch, time, features), of which the multiplied operand is a part."""
    for operand in found.outers[0].reals[:3] if found.x is None else [found.x]:
        level = operand
        for _ in range(_CHAIN):
            shape = side.run.values[level].shape
            if level not in found.kernel.leaves and len(shape) == 3 and shape[-1] == features:
                yield level
            producer = side.producers.get(level)
            if producer is None or len(producer.reals) != 1:
                break
            level = producer.reals[0]


def _biases(side: Side, found: Kernels, width: int) -> tuple[Operand, ...]:
    """The biases that are added beside the products with the kernel, and beside those with the recurrent kernel."""
    if len(found.outers) == len(found.inners) == 1:
        return tuple(Operand((row,)) for row in _stacked_biases(side, (*found.outers, *found.inners), width))
    rows: dict[int, None] = {}
    biases = []
    for nodes, operand in ((found.outers, found.kernel), (found.inners, found.recurrent)):
        widths = [p.view(side.run.values[p.leaf]).shape[-1] for p in operand.parts]
        own = [_next_bias(side, node, size, rows) for node, size in zip(nodes, widths, strict=True)]
        if all(leaf is not None for leaf in own):
            biases.append(Operand(tuple(Row(leaf) for leaf in own if leaf is not None)))
    return tuple(biases)


def _next_bias(side: Side, node: LoweredNode, size: int, taken: dict[int, None]) -> int | None:
    """The nearest leaf of so many numbers that is added to the node's product and not yet `taken`; it is then."""
    for near in (node, *downstream(side, node.outputs[0], _STEPS_TO_BIAS)):
        for i in near.reals:
            leaf = _leaf(side, i)
            if leaf is not None and leaf not in taken and side.run.values[leaf].shape in ((size,), (1, size)):
                taken[leaf] = None
                return leaf
    return None


def _stacked_biases(side: Side, nodes: tuple[LoweredNode, ...], width: int) -> tuple[Row, ...]:
    """The bias leaves that are added beside either product, that of the input first."""
    found: dict[Row, None] = {}
    for node in nodes:
        for near in (node, *downstream(side, node.outputs[0], _STEPS_TO_BIAS)):
            for i in near.reals:
                leaf = _leaf(side, i)
                size = side.run.values[leaf].size if leaf is not None else 0
                if leaf is not None and size == width and side.run.values[leaf].ndim <= 2:
                    found[Row(leaf)] = None
                elif leaf is not None and size == 2 * width and 2 in side.run.values[leaf].shape:
                    found.update({Row(leaf, 0): None, Row(leaf, 1): None})
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


def _initial(side: Side, found: Kernels, units: int) -> tuple[int | None, int | None]:
    """The values of the initial hidden and cell state: what the recurrent kernel is first multiplied with."""
    inner, leaves = found.inners[0], found.recurrent.leaves
    if found.outers[0] is inner and len(inner.reals) >= 7:
        return inner.reals[5], inner.reals[6]
    states = [i for i in inner.reals if i not in leaves and side.run.values[i].ndim == 2]
    fitting = (i for i in states if side.run.values[i].shape[-1] == units and _leaf(side, i) not in leaves)
    return next(fitting, None), None


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
    return [k for k in map(int, rows) if np.max(np.abs(held[k] - flat)) <= near]


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
