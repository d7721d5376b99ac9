"""Two arrays in each other's place: targets for predictions, gamma for beta, mean for variance.

Both sides hold the same arrays and use them in other places: those of B are exchanged.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, place
from oracle.causes.weights import leaves_near
from oracle.lowered import LoweredNode
from oracle.network import Edits

# More arrays of one size than this are not tried in every order.
_MOST = 4


@hypothesis(priority=13)
def arrays_exchanged(context: Context) -> Iterator[Candidate]:
    """The inputs, or the stored arrays of the divergent layer, in every other order among those of one shape."""
    inputs = context.b.network.trace.inputs
    yield from _orders(context, {i: f"argument {n}" for n, i in inputs.items()}, "argument-order")
    near = {i: _name(context, i) for i, _ in leaves_near(context.b, context.at_b.region) if i not in inputs.values()}
    yield from _orders(context, near, "weights-exchanged")


def _orders(context: Context, named: dict[int, str], code: str) -> Iterator[Candidate]:
    values = context.b.run.values
    shapes: dict[tuple[int, ...], list[int]] = {}
    for i in named:
        if values[i].dtype.kind == "f" and values[i].size > 1 and context.matched(i):
            shapes.setdefault(values[i].shape, []).append(i)
    for group in shapes.values():
        if not 2 <= len(group) <= _MOST:
            continue
        for order in list(itertools.permutations(group))[1:]:
            moved = [(i, j) for i, j in zip(group, order, strict=True) if not np.array_equal(values[i], values[j])]
            if moved:
                yield _candidate(context, moved, named, code)


def _candidate(context: Context, moved: list[tuple[int, int]], named: dict[int, str], code: str) -> Candidate:
    node_b = _reader(context.b, moved[0][0])
    node_a = next((n for n in (_reader(context.a, i) for i in context.matched(moved[0][1])) if n), None)
    words = ", ".join(f"{named[i]} where {{A}} has {named[j]}" for i, j in moved)
    pass_ = ", ".join(f"{named[j]} for {named[i]}" for i, j in moved)
    return Candidate(
        code,
        Edits(leaves={i: np.array(context.b.run.values[j]) for i, j in moved}),
        node_a,
        node_b,
        fix_a=f"exchange them at {place(node_a)}",
        fix_b=f"pass {pass_} at {place(node_b)}",
        detail=f"{{B}} takes {words}",
    )


def _reader(side: Side, value: int) -> LoweredNode | None:
    return next(iter(side.consumers.get(value, ())), None)


def _name(context: Context, value: int) -> str:
    """The array's name in B; what A calls the same numbers, where B has none."""
    names = [context.b.network.trace.values[value].name]
    names += [context.a.network.trace.values[i].name for i in context.matched(value)]
    return next((n for n in names if n), "an array")
