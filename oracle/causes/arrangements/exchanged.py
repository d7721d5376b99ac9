"""Two arrays in each other's place: targets for predictions, gamma for beta, mean for variance, y - x for x - y.

Both sides hold the same arrays and use them in other places: those of B are exchanged.

Codes:
    argument-order: inputs, or operands of an operation. weights-exchanged: stored arrays.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, is_stored, rewired, soon
from oracle.causes.parameters.weights import leaves_near
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place
from oracle.networks.unfit import UNFIT

# More arrays of one size than this are not tried in every order.
_MOST = 4
_REGION, _NODES, _PAIRED, _SOON = 12, 4, 6, 6


@hypothesis(priority=11)
def operands_exchanged(context: Context) -> Iterator[Candidate]:
    """Operands of B's first divergent nodes in another order: of one node, or a pair wherever the nodes read it."""
    wanted, side = Wanted(context), context.b
    region = context.at_b.region[:_REGION]
    for node in context.at_b.first[:_NODES]:
        data = [i for i in dict.fromkeys(node.reals) if _is_data(context, i)]
        for order in list(itertools.permutations(data))[1:] if len(data) <= _MOST else ():
            yield from _reading(context, wanted, [node], dict(zip(data, order, strict=True)))
    inside = {o for n in region for o in n.outputs}
    read = [i for i in dict.fromkeys(i for n in region for i in n.reals) if i not in inside and _is_data(context, i)]
    for i, j in itertools.combinations(read[:_PAIRED], 2):
        if side.run.values[i].shape == side.run.values[j].shape:
            nodes = [n for n in region if not {i, j}.isdisjoint(n.reals)]
            if len(nodes) > 1:
                yield from _reading(context, wanted, nodes, {i: j, j: i})


def _is_data(context: Context, value: int) -> bool:
    array = context.b.run.values[value]
    real = array.dtype.kind == "f" and array.size > 1
    return real and bool(context.matched(value)) and not is_stored(context.b, value)


def _reading(context: Context, wanted: Wanted, nodes: list[LoweredNode], moved: dict[int, int]) -> Iterator[Candidate]:
    """The nodes read `moved[i]` in the place of `i`."""
    side = context.b
    edits = Edits()
    for node in nodes:
        edits = edits | rewired(side, node, {i: functools.partial(_taken, j) for i, j in moved.items() if i != j})
    try:
        found = soon(context, wanted, edits, _SOON) if _changes(side, nodes, edits) else None
    except UNFIT:
        return
    if found is not None:
        node_a = wanted.node(found)
        yield Candidate(
            "argument-order",
            edits,
            node_a,
            nodes[0],
            fix_a=f"exchange the operands at {place(node_a)}",
            fix_b=f"exchange the operands at {place(nodes[0])}",
            detail=f"{place(nodes[0])} of {{B}} takes its operands in another order than {{A}}",
            tested=True,
        )


def _changes(side: Side, nodes: list[LoweredNode], edits: Edits) -> bool:
    """Whether another order of the operands makes other numbers, as it does not for a sum."""
    made = ((n.outputs[0], edits.nodes[n.node.index](side.run.values)) for n in nodes)
    return any(not close(results[o], side.run.values[o]) for o, results in made)


def _taken(value: int, values: Values) -> np.ndarray:
    return values[value]


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
