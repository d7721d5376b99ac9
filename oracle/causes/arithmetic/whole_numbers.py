"""Division down to whole numbers for true division, 7 // 2 for 7 / 2; and what remains of it, under either sign.

    -7 mod 3 = 2 where the quotient is rounded down (remainder, %), -1 where it is cut (fmod, C's %)

Codes:
    division: a quotient is cut to a whole number on one side.
    rounding-mode: both are cut, one down and one toward zero.
"""

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from oracle.alignments.formulas import short_name
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.local import upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place
from oracle.trace import is_reference, substitute

_REACH = 24
_STEPS, _DIVISORS = 8, 8
Way = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Ways to cut a quotient, and what is left of it, by how they are called.
_QUOTIENTS: dict[str, Way] = {"down": lambda x, y: np.floor(x / y), "toward zero": lambda x, y: np.trunc(x / y)}
_REMAINDERS: dict[str, Way] = {
    "that of the quotient cut down": np.mod, "that of the quotient cut toward zero": np.fmod,
    "that of the nearest quotient": lambda x, y: x - y * np.rint(x / y),
}  # fmt: skip


@hypothesis(priority=28)
def whole_division(context: Context) -> Iterator[Candidate]:
    """B divides down to a whole number: it divides truly."""
    for node in context.at_b.region[:_REACH]:
        own = next(_operands(context, node, []), None)
        if own is not None and _way(context, node, own, _QUOTIENTS):
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
    divisors = _whole_and_small(context)
    for node in context.at_b.region[:_REACH]:
        for operands in _operands(context, node, divisors):
            for ways in (_QUOTIENTS, _REMAINDERS):
                present = _way(context, node, operands, ways)
                for name in [n for n in ways if n != present] if present else ():
                    what = "quotient" if ways is _QUOTIENTS else "remainder"
                    yield Candidate(
                        "rounding-mode",
                        replaced_output(node, functools.partial(_in_way, ways[name], operands)),
                        first,
                        node,
                        fix_a=f"take the {what} {present} at {place(first)}",
                        fix_b=f"take the {what} {name} at {place(node)}",
                        detail=f"the {what} {name} in {{A}}, {present} in {{B}}",
                    )


Operand = int | float


def _operands(
    context: Context, node: LoweredNode, divisors: list[float]
) -> Iterator[tuple[tuple[bool, Operand], tuple[bool, Operand]]]:
    """Dividend and divisor: the first two operands of the node, or a value with a counterpart and a number.

    Each is a number, or the id of a value (True).
    """
    trees = node.node.inputs[:2]
    plain = [t for t in trees if isinstance(t, int | float) and not isinstance(t, bool)]
    if node.reals and len(trees) == 2 and len(plain) + sum(is_reference(t) for t in trees) == 2:
        first, second = ((True, t["value"]) if is_reference(t) else (False, t) for t in trees)
        yield first, second
    side = context.b
    shape = side.run.values[node.outputs[0]].shape if node.outputs else None
    for i in dict.fromkeys(i for n in (node, *upstream(side, node.outputs[0], _STEPS)) for i in n.reals):
        if side.run.values[i].shape == shape and context.matched(i) and side.run.values[i].size > 1:
            yield from (((True, i), (False, number)) for number in divisors)


def _whole_and_small(context: Context) -> list[float]:
    """The numbers that the region reads, by which something may be divided."""
    found: dict[float, None] = {}
    for node in context.at_b.region[:_REACH]:
        found.update((abs(n), None) for _, n in numbers(node) if n)
        scalars = (context.b.run.values[i] for i in node.reals if context.b.run.values[i].size == 1)
        found.update((abs(float(x.reshape(()))), None) for x in scalars if x.reshape(()))
    return list(found)[:_DIVISORS]


def _taken(operand: tuple[bool, Operand], values: Values) -> np.ndarray:
    is_value, number = operand
    return np.asarray(values[int(number)] if is_value else number, np.float64)


def _way(context: Context, node: LoweredNode, operands: tuple, ways: Mapping[str, Way]) -> str:
    """In which way the node cuts the quotient of the operands, or takes the remainder; "" for neither."""
    y = context.b.run.values[node.outputs[0]]
    x, divisor = (_taken(operand, context.b.run.values) for operand in operands)
    if any(o.shape not in ((), y.shape) or not np.isfinite(o).all() for o in (x, divisor)) or not y.size:
        return ""
    with np.errstate(all="ignore"):
        quotient = x / divisor
        if quotient.shape != y.shape or not np.ptp(np.rint(quotient)) or np.array_equal(quotient, np.rint(quotient)):
            return ""
        return next((name for name, way in ways.items() if np.allclose(way(x, divisor), y, 1e-12, 1e-12)), "")


def _in_way(way: Way, operands: tuple, values: Values) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(way(*(_taken(operand, values) for operand in operands)))


@hypothesis(priority=28)
def whole_quotient(context: Context) -> Iterator[Candidate]:
    """B makes a quotient of whole numbers real after it was cut: it takes the quotient itself, or cuts it otherwise."""
    for node in context.at_b.region[:_REACH]:
        for i in node.facts:
            made = context.b.producers.get(i)
            if made is None or "div" not in short_name(made.node.op).lower() or len(made.node.inputs) < 2:
                continue
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
            for name, way in _QUOTIENTS.items():
                yield Candidate(
                    "rounding-mode",
                    replaced_output(node, functools.partial(_cut_quotient, way, made)),
                    first,
                    made,
                    fix_a=f"cut the quotient as the other model does at {place(first)}",
                    fix_b=f"cut the quotient {name} at {place(made)}",
                    detail=f"{{A}} cuts the quotient of whole numbers {name}, {{B}} in another way ({place(made)})",
                )


def _cut_quotient(way: Way, node: LoweredNode, values: Values) -> np.ndarray:
    x, y, *_ = substitute(list(node.node.inputs), values)
    with np.errstate(all="ignore"):
        return np.asarray(way(np.asarray(x, np.float64), np.asarray(y, np.float64)))


def _quotient(node: LoweredNode, values: Values) -> np.ndarray:
    x, y, *_ = substitute(list(node.node.inputs), values)
    return np.asarray(x, np.float64) / np.asarray(y, np.float64)
