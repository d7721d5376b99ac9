"""Division down to whole numbers for true division, 7 // 2 for 7 / 2; and what remains of it, under either sign.

    -7 mod 3 = 2 where the quotient is rounded down (remainder, %), -1 where it is cut (fmod, C's %)

Codes:
    division: a quotient is cut to a whole number on one side, or cut and rounded down.
"""

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.formulas import short_name
from oracle.lowered import LoweredNode
from oracle.network import Values
from oracle.trace import substitute

_REACH = 24
# Ways to cut a quotient, and what is left of it, by how they are called.
_QUOTIENTS = {"down": lambda x, y: np.floor(x / y), "toward zero": lambda x, y: np.trunc(x / y)}
_REMAINDERS = {
    "that of the quotient cut down": np.mod, "that of the quotient cut toward zero": np.fmod,
    "that of the nearest quotient": lambda x, y: x - y * np.rint(x / y),
}  # fmt: skip


@hypothesis(priority=28)
def whole_division(context: Context) -> Iterator[Candidate]:
    """B divides down to a whole number: it divides truly."""
    for node in context.at_b.region[:_REACH]:
        if _cut(context, node, _QUOTIENTS):
            first = context.at_a.first[0] if context.at_a.first else None
            yield Candidate(
                "division",
                replaced_output(node, functools.partial(_quotient, node)),
                first,
                node,
                fix_a=f"divide down to a whole number (//) at {place(first)}",
                fix_b=f"divide with / in place of // at {place(node)}",
                detail=f"{{B}} cuts the quotient to a whole number ({place(node)})",
            )


@hypothesis(priority=15)
def cut_otherwise(context: Context) -> Iterator[Candidate]:
    """B cuts a quotient, or takes what is left of it, in one way; A in another."""
    first = context.at_a.first[0] if context.at_a.first else None
    for node in context.at_b.region[:_REACH]:
        for ways in (_QUOTIENTS, _REMAINDERS):
            present = _cut(context, node, ways)
            for name in [n for n in ways if n != present] if present else ():
                yield Candidate(
                    "rounding-mode",
                    replaced_output(node, functools.partial(_in_way, ways[name], node)),
                    first,
                    node,
                    fix_a=f"round {present} at {place(first)}",
                    fix_b=f"round {name} at {place(node)}",
                    detail=f"{'quotient' if ways is _QUOTIENTS else 'remainder'}: {name} in {{A}}, {present} in {{B}}",
                )


def _cut(context: Context, node: LoweredNode, ways: Mapping[str, Callable]) -> str:
    """In which way the node cuts the quotient of its first two operands, or takes the remainder; "" for neither."""
    side = context.b
    y = side.run.values[node.outputs[0]]
    trees = node.node.inputs[:2]
    if len(trees) < 2 or not node.reals or any(isinstance(tree, str | bool | list | tuple) for tree in trees):
        return ""
    operands = [np.asarray(o) for o in substitute(list(trees), side.run.values)]
    if any(o.dtype.kind not in "fiu" or o.shape not in ((), y.shape) or not np.isfinite(o).all() for o in operands):
        return ""
    with np.errstate(all="ignore"):
        quotient = operands[0] / operands[1]
        if quotient.shape != y.shape or np.array_equal(quotient, np.rint(quotient)):
            return ""
        return next((name for name, way in ways.items() if np.allclose(way(*operands), y, rtol=1e-12, atol=1e-12)), "")


def _in_way(way: Callable, node: LoweredNode, values: Values) -> np.ndarray:
    x, y, *_ = substitute(list(node.node.inputs), values)
    return np.asarray(way(np.asarray(x, np.float64), np.asarray(y, np.float64)))


@hypothesis(priority=28)
def whole_quotient(context: Context) -> Iterator[Candidate]:
    """B makes a quotient of whole numbers real after it was cut: it takes the quotient itself."""
    for node in context.at_b.region[:_REACH]:
        for i in node.facts:
            made = context.b.producers.get(i)
            if made is not None and "div" in short_name(made.node.op).lower() and len(made.node.inputs) >= 2:
                first = context.at_a.first[0] if context.at_a.first else None
                yield Candidate(
                    "division",
                    replaced_output(node, functools.partial(_quotient, made)),
                    first,
                    made,
                    fix_a=f"divide down to a whole number (//) at {place(first)}",
                    fix_b=f"divide with / in place of //, or make the numbers real first, at {place(made)}",
                    detail=f"{{B}} divides whole numbers down to whole numbers ({place(made)})",
                )


def _quotient(node: LoweredNode, values: Values) -> np.ndarray:
    x, y, *_ = substitute(list(node.node.inputs), values)
    return np.asarray(x, np.float64) / np.asarray(y, np.float64)
