"""An accidental outer operation: [N, 1] against [N] gives [N, N].

Codes:
    broadcast: two arrays of N numbers met as [N, 1] and [N] and were combined each with each.
"""

from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.lowered import LoweredNode
from oracle.network import Values

_REACH = 20


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
