"""The kernels of recurrent layers among the leaves of a network: stacked, one for each gate, or one on [x, h].

A recurrent kernel is one whose second product comes of its first: it multiplies the state.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes.local import downstream, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values

# Gates of a cell, by how often its width holds the units.
KINDS = {1: "rnn", 3: "gru", 4: "lstm"}
# Nodes between the first products with a kernel and with its recurrent kernel.
_NEAR = 64
_SOON = 10
# Nodes between one step's product with a recurrent kernel and the next step's.
_STEP = 120
_MOST_LEAVES = 4
# Nodes of a step behind a product in which its gates are made.
_CELL = 30
Uses = dict[int, list[LoweredNode]]


@dataclass(frozen=True)
class Part:
    """A leaf that holds gates along `axis`; along its other axis, the rows from `start` to `stop`."""

    leaf: int
    axis: int
    start: int = 0
    stop: int | None = None

    def view(self, array: np.ndarray) -> np.ndarray:
        """The part of `array` with the gates last."""
        return np.moveaxis(array, self.axis, -1)[self.start : self.stop]


@dataclass(frozen=True)
class Row:
    """A leaf that holds a bias, or the row of a leaf that stacks two."""

    leaf: int
    row: int | None = None

    def view(self, array: np.ndarray) -> np.ndarray:
        """The bias in `array`, of one axis."""
        return array.reshape(-1) if self.row is None else array.reshape(2, -1)[self.row]


@dataclass(frozen=True)
class Operand:
    """Stacked gates, held by one leaf or by several side by side."""

    parts: tuple[Part | Row, ...]

    @property
    def leaves(self) -> set[int]:
        """The leaves that hold the parts."""
        return {p.leaf for p in self.parts}

    def of(self, values: Values) -> np.ndarray:
        """The array with the gates last."""
        return np.concatenate([p.view(values[p.leaf]) for p in self.parts], -1)

    def put(self, values: Values, array: np.ndarray) -> Values:
        """The leaves that hold `array` in the place of the operand."""
        made: Values = {}
        ends = np.cumsum([p.view(values[p.leaf]).shape[-1] for p in self.parts])
        for part, block in zip(self.parts, np.split(array, ends[:-1], -1), strict=True):
            full = np.array(made.get(part.leaf, values[part.leaf]), np.float64, order="C")
            part.view(full)[...] = block
            made[part.leaf] = full
        return made


@dataclass(frozen=True)
class Kernels:
    """A kernel and a recurrent kernel, the first product with each of their leaves, and the first input and state.

    `x` is what the kernel first multiplies, where the products do not show it (None elsewhere), `h` the same of the
    state.
    """

    kernel: Operand
    recurrent: Operand
    outers: tuple[LoweredNode, ...]
    inners: tuple[LoweredNode, ...]
    x: int | None = None
    h: int | None = None


def kernels(side: Side, uses: Uses) -> Iterator[Kernels]:
    """Kernels that may be a layer's: stacked ones first, near ones first."""
    yield from _stacked(side, uses)
    ordered = sorted((i for i in uses if uses[i]), key=lambda i: (uses[i][0].node.index, i))
    recurring = [i for i in ordered if len(uses[i]) > 1 and _feeds(side, uses[i][0], uses[i][1])]
    others = [i for i in ordered if i not in recurring]
    for group in _runs(recurring):
        yield from _joined(side, uses, group)
        if len(group) > 1:
            yield from _separate(side, uses, group, others)


def is_cell(side: Side, node: LoweredNode) -> bool:
    """Whether the node is a fused recurrent layer, or makes gates: sigmoids and a tanh follow it."""
    if any(word in node.node.op.lower() for word in KINDS.values()):
        return True
    behind = [n.node.op.lower() for n in downstream(side, node.outputs[0], _CELL)]
    return sum("sigmoid" in op for op in behind) > 1 and any("tanh" in op or "relu" in op for op in behind)


def _stacked(side: Side, uses: Uses) -> Iterator[Kernels]:
    """Pairs of leaves with the same number of stacked gates.

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
                fits = width % units == 0 and width // units in KINDS and side.run.values[i].shape[other] == width
                if fits and _meet(side, outer, inner):
                    yield Kernels(Operand((Part(i, other),)), Operand((Part(j, axis),)), (outer,), (inner,))


def _feeds(side: Side, first: LoweredNode, second: LoweredNode) -> bool:
    """Whether the second product comes of the first."""
    return any(n.node.index == first.node.index for i in second.reals for n in upstream(side, i, _STEP))


def _runs(leaves: list[int]) -> Iterator[list[int]]:
    """Leaves that follow each other, the most first."""
    for count in range(min(_MOST_LEAVES, len(leaves)), 0, -1):
        for start in range(len(leaves) - count + 1):
            yield leaves[start : start + count]


def _joined(side: Side, uses: Uses, group: list[int]) -> Iterator[Kernels]:
    """Kernels on the input and the state side by side, [x, h] or [h, x]."""
    nodes = tuple(uses[i][0] for i in group)
    both = _side_by_side(side, nodes[0], group[0])
    if both is None:
        return
    first, second = both
    sizes = [side.run.values[i].shape[-1] for i in both]
    for axis in (0, 1):
        shapes = [side.run.values[i].shape for i in group]
        total = sum(s[axis] for s in shapes)
        if any(s[1 - axis] != sum(sizes) for s in shapes):
            continue
        for x, h, units in ((first, second, sizes[1]), (second, first, sizes[0])):
            if total % units or total // units not in KINDS:
                continue
            parts = [tuple(Part(i, axis, *rows) for i in group) for rows in ((0, sizes[0]), (sizes[0], sum(sizes)))]
            kernel, recurrent = (parts[0], parts[1]) if x == first else (parts[1], parts[0])
            yield Kernels(Operand(kernel), Operand(recurrent), nodes, nodes, x, h)


def _side_by_side(side: Side, node: LoweredNode, leaf: int) -> tuple[int, int] | None:
    """The two values (batch, features) that were joined to what the node multiplies by the leaf."""
    for operand in node.reals:
        producer = side.producers.get(operand)
        if operand == leaf or producer is None or len(producer.reals) != 2:
            continue
        one, two = (side.run.values[i] for i in producer.reals)
        made = side.run.values[operand]
        if one.ndim == two.ndim == made.ndim == 2 and one.shape[-1] + two.shape[-1] == made.shape[-1]:
            return producer.reals[0], producer.reals[1]
    return None


def _separate(side: Side, uses: Uses, group: list[int], others: list[int]) -> Iterator[Kernels]:
    """One recurrent kernel for each gate, or for some of them, and kernels alike."""
    inners = tuple(uses[i][0] for i in group)
    shapes = [side.run.values[i].shape for i in group]
    near = [i for i in others if abs(uses[i][0].node.index - inners[0].node.index) <= _NEAR]
    for axis in (0, 1):
        units, total = shapes[0][1 - axis], sum(s[axis] for s in shapes)
        if any(s[1 - axis] != units for s in shapes) or total % units or total // units not in KINDS:
            continue
        for own, other in itertools.product(_runs(near), (axis, 1 - axis)):
            of_kernel = [side.run.values[i].shape for i in own]
            alike = len({s[1 - other] for s in of_kernel}) == 1 and sum(s[other] for s in of_kernel) == total
            outers = tuple(uses[i][0] for i in own)
            if alike and _meet(side, outers[0], inners[0]):
                kernel = Operand(tuple(Part(i, other) for i in own))
                yield Kernels(kernel, Operand(tuple(Part(i, axis) for i in group)), outers, inners)


def _meet(side: Side, outer: LoweredNode, inner: LoweredNode) -> bool:
    """Whether the product with the recurrent kernel is soon added to the product with the kernel."""
    if outer is inner:
        return True
    if inner.node.index in {n.node.index for n in upstream(side, outer.outputs[0], 6)}:
        return False
    index = outer.node.index
    soon = downstream(side, inner.outputs[0], _SOON)
    return any(n.node.index == index for near in (inner, *soon) for n in upstream(side, near.outputs[0], 2 * _SOON))
