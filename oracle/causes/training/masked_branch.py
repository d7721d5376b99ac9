"""A NaN gradient from the branch that was not taken.

`where(c, f(x), g(x))` differentiates both branches and multiplies the one not taken by zero. Where its derivative is
infinite there, 0 * inf is NaN, although the derivative of the whole is a number.
"""

from collections.abc import Callable, Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_LIMIT = 40


@hypothesis(priority=6)
def zero_times_infinity(context: Context) -> Iterator[Candidate]:
    """NaN comes of a zero cotangent in B: there the gradient is zero, as the branch has no part in the result."""
    if context.kind != "gradients":
        return
    born = [n for n in context.b.network.nodes if _born(context.b, n)][:_LIMIT]
    if born:
        first = born[0]
        yield Candidate(
            "nan-gradient",
            Edits(nodes={n.node.index: _without(context.b, n) for n in born}),
            None,
            first,
            fix_a="",
            fix_b="give the branch that is not taken a harmless operand: safe = where(c, x, 1); where(c, f(safe), g(x))"
            f"  # {place(_forward(context.b, first))}",
            detail=f"the gradient of {{B}} is NaN where that of {{A}} is a number: zero times infinity or NaN at "
            f"{place(first)}, in the derivative of a branch that is not taken or at a singular point",
        )


def _born(side: Side, node: LoweredNode) -> bool:
    """Whether the node makes NaN of a cotangent that is zero there: by an infinity, or by a NaN of the forward pass."""
    values = side.run.values
    return any(np.any(_masked(values, node, values[o])) for o in node.outputs)


def _masked(values: Values, node: LoweredNode, result: np.ndarray) -> np.ndarray:
    """The elements of `result` that are NaN although an operand is zero there."""
    zero = [values[i] == 0 for i in node.reals if values[i].shape == result.shape]
    return np.isnan(result) & np.any(zero, axis=0) if zero else np.zeros(result.shape, bool)


def _without(side: Side, node: LoweredNode) -> Callable[[Values], Values]:
    def results(values: Values) -> Values:
        made = side.network.apply(node, values)
        return made | {o: np.where(_masked(values, node, made[o]), 0.0, made[o]) for o in node.outputs}

    return results


def _forward(side: Side, node: LoweredNode) -> LoweredNode:
    """The forward operation whose derivative `node` is, where the recording tells."""
    index = node.node.forward_index
    return next((n for n in side.network.nodes if n.node.index == index), node)
