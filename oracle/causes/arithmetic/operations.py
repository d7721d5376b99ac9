"""Another operation on the same two operands: a product for a sum, a difference for a sum, a maximum for a sum.

Codes:
    operation: both sides combine the same values by another operation, or apply another elementary function.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, goes_on, overridden, soon
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION, _SOON = 12, 3
OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "x + y": np.add, "x - y": np.subtract, "y - x": lambda x, y: y - x, "x * y": np.multiply,
    "x / y": np.divide, "y / x": lambda x, y: y / x, "max(x, y)": np.maximum, "min(x, y)": np.minimum,
    "(x + y) / 2": lambda x, y: (x + y) / 2, "|x - y|": lambda x, y: np.abs(x - y),
    "(x - y)^2": lambda x, y: (x - y) ** 2, "x * (1 + y)": lambda x, y: x * (1 + y),
    "y * (1 + x)": lambda x, y: y * (1 + x), "sqrt(x^2 + y^2)": np.hypot,
}  # fmt: skip


@hypothesis(priority=40)
def other_operation(context: Context) -> Iterator[Candidate]:
    """B combines two values by one operation; A by another."""
    wanted, side = Wanted(context), context.b
    for node in context.at_b.region[:_REGION]:
        if len(node.reals) != 2 or node.node.phase != "forward":
            continue
        y = side.run.values[node.outputs[0]]
        operands = [side.run.values[i] for i in node.reals]
        present = _present(operands, y)
        for name in [n for n in OPERATIONS if n != present] if present else ():
            if _takes_one(name, operands):  # with these numbers: then the operation is one too many
                continue
            edits = overridden(side, {node.outputs[0]: functools.partial(_combined, name, node)})
            found = soon(context, wanted, edits, _SOON)
            if found is not None and goes_on(context, wanted, edits, node):
                node_a = wanted.node(found)
                yield Candidate(
                    "operation",
                    edits,
                    node_a,
                    node,
                    fix_a=f"compute {present} at {place(node_a)}",
                    fix_b=f"compute {name} in place of {present} at {place(node)}",
                    detail=f"{{A}} computes {name}, {{B}} {present} of the same values",
                    tested=True,
                )


def _present(operands: list[np.ndarray], y: np.ndarray) -> str:
    """The operation by which the node combines its operands; "" if it is none of those known."""
    x, other = operands
    if np.broadcast_shapes(*_aligned(x.shape, other.shape)) != y.shape or y.size < 2:
        return ""
    with np.errstate(all="ignore"):
        return next((name for name, f in OPERATIONS.items() if np.allclose(f(x, other), y, 1e-12, 0.0)), "")


def _takes_one(name: str, operands: list[np.ndarray]) -> bool:
    """Whether the operation gives back one of its operands: the smaller where one is everywhere the smaller."""
    with np.errstate(all="ignore"):
        made = OPERATIONS[name](*operands)
    return any(np.array_equal(made, x) for x in operands)


def _aligned(*shapes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The shapes where they broadcast; empty ones where they do not."""
    rank = max(len(s) for s in shapes)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    fit = all(len({n for n in lengths if n != 1}) <= 1 for lengths in zip(*padded, strict=True))
    return shapes if fit else ((),)


def _combined(name: str, node: LoweredNode, values: Values) -> np.ndarray:
    with np.errstate(all="ignore"):
        return OPERATIONS[name](*(values[i] for i in node.reals))
