"""An accidental outer operation, [N, 1] against [N] gives [N, N]; a vector that meets the rows for the columns.

Codes:
    broadcast: two arrays of N numbers met as [N, 1] and [N] and were combined each with each; or a vector lies along
        another axis of the array that it is combined with.
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.local import Wanted, rewired, soon
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_REACH = 20
_PRODUCTS = ("mm", "matmul", "conv", "dot", "einsum", "linear")


@hypothesis(priority=4)
def outer_operation(context: Context) -> Iterator[Candidate]:
    """B combines two arrays of one size each with each: the second takes the first one's shape."""
    for node in context.b.network.nodes:
        if len(node.reals) != 2 or not node.outputs or node.node.index not in _region(context):
            continue
        x, y = (context.b.run.values[i] for i in node.reals)
        made = context.b.run.values[node.outputs[0]]
        if x.size == y.size > 1 and made.size == x.size * y.size and x.ndim and y.ndim:
            shapes = f"{list(x.shape)} and {list(y.shape)} to {list(made.shape)}"
            for kept, other in ((0, 1), (1, 0)):
                yield Candidate(
                    "broadcast",
                    replaced_output(node, _Alike(context, node, kept, other)),
                    context.at_a.first[0] if context.at_a.first else None,
                    node,
                    fix_a=f"broadcast {shapes} as the other model does",
                    fix_b=f"give both the same shape before {place(node)}: y.reshape(x.shape)",
                    detail=f"{{B}} broadcasts {shapes} at {place(node)}: every element meets every other",
                )


@hypothesis(priority=11)
def other_axis_broadcast(context: Context) -> Iterator[Candidate]:
    """B combines an array with a vector along one axis: the vector lies along another axis of the same length."""
    wanted, side = Wanted(context), context.b
    for node in context.at_b.first:
        if len(node.reals) != 2 or any(word in node.node.op.lower() for word in _PRODUCTS):
            continue
        shape = side.run.values[node.outputs[0]].shape
        for i, other in (node.reals, node.reals[::-1]):
            vector = side.run.values[i]
            if side.run.values[other].shape != shape or vector.size not in shape or vector.size < 2:
                continue
            for axis in (k for k, n in enumerate(shape) if n == vector.size):
                lies = tuple(n if k == axis else 1 for k, n in enumerate(shape))
                edits = rewired(side, node, {i: functools.partial(_shaped, i, lies)})
                found = soon(context, wanted, edits, 1)
                if found is not None and np.shape(np.squeeze(vector)) == (vector.size,):
                    yield _along((node, wanted.node(found)), (vector.shape, shape, axis), edits)


def _along(nodes: tuple[LoweredNode, LoweredNode | None], shapes: tuple, edits: Edits) -> Candidate:
    (node, node_a), (vector, shape, axis) = nodes, shapes
    lies = [n if k == axis else 1 for k, n in enumerate(shape)]
    return Candidate(
        "broadcast",
        edits,
        node_a,
        node,
        fix_a=f"give the vector the shape that it has in the other model at {place(node_a)}",
        fix_b=f"give the vector the shape {lies} before {place(node)}",
        detail=f"{{B}} combines {list(shape)} with a vector of shape {list(vector)}; in {{A}} the vector lies along "
        f"axis {axis} (in {{B}}'s layout)",
        tested=True,
    )


def _shaped(value: int, shape: tuple[int, ...], values: Values) -> np.ndarray:
    return values[value].reshape(shape)


def _region(context: Context) -> set[int]:
    return {n.node.index for n in context.at_b.region[:_REACH]} | {n.node.index for n in context.at_b.first}


class _Alike:
    """The node's operation with one operand in the other's shape."""

    def __init__(self, context: Context, node: LoweredNode, kept: int, other: int) -> None:
        self.network, self.node, self.kept, self.other = context.b.network, node, kept, other

    def __call__(self, values: Values) -> np.ndarray:
        kept, other = self.node.reals[self.kept], self.node.reals[self.other]
        changed = {**values, other: values[other].reshape(values[kept].shape)}
        return self.network.apply(self.node, changed)[self.node.outputs[0]]
