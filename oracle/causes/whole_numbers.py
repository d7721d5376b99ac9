"""Division down to whole numbers for true division: 7 // 2 for 7 / 2.

Codes:
    division: a quotient is cut to a whole number on one side.
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.formulas import short_name
from oracle.lowered import LoweredNode
from oracle.network import Values
from oracle.trace import substitute

_REACH = 24
_CUTTING = ("floor_divide", "floordiv", "truncatediv", "truncatemod", "trunc_divide")


@hypothesis(priority=28)
def whole_division(context: Context) -> Iterator[Candidate]:
    """B divides down to a whole number: it divides truly."""
    for node in context.at_b.region[:_REACH]:
        if any(word in short_name(node.node.op) for word in _CUTTING) and node.reals:
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
