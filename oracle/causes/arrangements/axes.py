"""Another order of the same numbers: a reshape for a transpose, channels exchanged, a direction not turned back.

Values are aligned by their numbers, whatever the order; where an operation reads the right numbers in the wrong
order, its input is brought into the order in which A holds them.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.causes import Candidate, Context, after, hypothesis
from oracle.causes.arrangements.orders import Order, describe_order
from oracle.causes.local import Wanted, close, downstream, is_stored, rewired, spell, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_NODES = 6
_MATCHES = 10
_JOINT = 64
_LEVELS = 6
_JOINED = 4
# Operations along an axis.
_ALONG = ("sort", "softmax", "cum")
# Operations that take a part of an array, one step of a sequence say: what uses the parts tells more.
_PARTS = ("slice", "select", "unbind", "unpack", "gather")
_ELEMENTWISE = ("add", "mul", "sub", "div")
_LINEAR = ("mm", "matmul", "dot", "linear", "einsum")


@hypothesis(priority=11)
def rearranged_input(context: Context) -> Iterator[Candidate]:
    """A node of B reads the right numbers in another order than A holds them: it reads them in A's order."""
    wanted = Wanted(context)
    for node in context.at_b.first[:_NODES]:
        if any(word in node.node.op.lower() for word in _PARTS):
            continue
        orders = {i: _orders(context, i) for i in dict.fromkeys(node.reals) if _is_data(context, node, i)}
        for chosen in _choices(orders):
            with np.errstate(all="ignore"):
                arrays = {i: np.take(context.b.run.values[i], order) for i, order in chosen.items()}
                made = context.b.network.apply(node, {**context.b.run.values, **arrays})
            found = next((v for v in map(wanted.find, (made[o] for o in node.outputs)) if v is not None), None)
            if found is not None:
                yield _candidate(context, node, chosen, wanted.node(found))


@hypothesis(priority=90)
def reordered_target(context: Context) -> Iterator[Candidate]:
    """Everything is in line, but a target holds A's numbers in another order: B's is brought into A's order."""
    if context.at_b.region:
        return
    for pair in context.pairs:
        i, j = (pair.b, pair.a) if context.exchanged else (pair.a, pair.b)
        x, y = context.a.run.values[i], context.b.run.values[j]
        wanted = pair.in_layout_of_a(y, x) if context.exchanged else pair.in_layout_of_b(x, y)
        node = context.b.producers.get(j)
        if node is None or close(wanted, y) or not same_multiset(wanted, y):
            continue
        flat = np.empty(y.size, np.intp)
        flat[np.argsort(wanted, axis=None, kind="stable")] = np.argsort(y, axis=None, kind="stable")
        order = flat.reshape(y.shape)
        found = _described(context.b, j, order)
        code = _code(context, (node, j), found)
        yield Candidate(
            code,
            after(context.b, node, functools.partial(np.take, indices=order)),
            context.a.producers.get(i),
            node,
            fix_a=_fix(context.a, code, found.order, context.a.producers.get(i), back=True),
            fix_b=_fix(context.b, code, found.order, found.node or node, back=False),
            detail=f"{{A}} and {{B}} hold the same numbers in another order: {found.order.words}",
            tested=True,
        )


def _is_data(context: Context, node: LoweredNode, value: int) -> bool:
    """Whether `value` is data with a counterpart; a constant is so only where it is merely added or multiplied."""
    side = context.b
    if not context.matched(value) or not side.run.values[value].ndim:
        return False
    origin = value
    for producer in upstream(side, value, _LEVELS):
        if len(producer.reals) == 1 and _rearranges(side, producer):
            origin = producer.reals[0]
        else:
            break
    role = side.network.trace.values[origin].role
    if role in ("constant", "buffer"):
        return any(word in node.node.op.lower() for word in _ELEMENTWISE) and not _is_linear(node)
    return role not in ("parameter", "state")


def _rearranges(side: Side, node: LoweredNode) -> bool:
    x, y = side.run.values[node.reals[0]], side.run.values[node.outputs[0]]
    return x.size == y.size and bool(np.array_equal(np.sort(x, axis=None), np.sort(y, axis=None)))


def _orders(context: Context, value: int) -> list[np.ndarray]:
    """For each other order in which A holds the numbers of B's `value`: where each element of it lies in B's array."""
    own = context.b.run.values[value]
    found: list[np.ndarray] = []
    ranks = np.argsort(own, axis=None, kind="stable")
    read_first = {i for n in context.at_a.first for i in n.reals}
    for i in sorted(context.matched(value), key=lambda i: i not in read_first)[:_MATCHES]:
        array = context.a.run.values[i]
        for axes in itertools.permutations(range(array.ndim)) if array.ndim <= 5 else ():
            moved = array.transpose(axes).reshape(-1)
            if np.allclose(moved, own.reshape(-1), rtol=1e-6, atol=0):
                continue
            flat = np.empty(own.size, np.intp)
            flat[np.argsort(moved, kind="stable")] = ranks
            order = flat.reshape(own.shape)
            if not any(np.array_equal(order, other) for other in found):
                found.append(order)
    return found


def _choices(orders: dict[int, list[np.ndarray]]) -> Iterator[dict[int, np.ndarray]]:
    """One input in another order, then several at once: all in the same, then those that A itself reads first."""
    for value, found in orders.items():
        for order in found:
            yield {value: order}
    several = {v: found for v, found in orders.items() if found}
    if len(several) > 1:
        first, *rest = several.values()
        for order in (o for o in first if all(any(np.array_equal(o, x) for x in found) for found in rest)):
            yield dict.fromkeys(several, order)
        places = itertools.product(*(range(len(found)) for found in several.values()))
        for chosen in sorted(itertools.islice(places, 64 * _JOINT), key=sum)[:_JOINT]:
            yield {v: found[k] for (v, found), k in zip(several.items(), chosen, strict=True)}


@dataclass(frozen=True)
class _Found:
    """A described order, the shape in which it was recognised, and the node that made an array of that shape."""

    order: Order
    shape: tuple[int, ...]
    node: LoweredNode | None


def _described(side: Side, value: int, order: np.ndarray) -> _Found:
    """The order of `value`, told at the nearest array upstream at which it has a name."""
    own = side.run.values[value]
    here = _Found(describe_order(own, np.take(own, order)), own.shape, side.producers.get(value))
    found, level, places = here, value, np.arange(own.size).reshape(own.shape)
    for _ in range(_LEVELS):
        producer = side.producers.get(level)
        if found.order.kind != "other" or producer is None or len(producer.reals) != 1:
            break
        (level,) = producer.reals
        if not _rearranges(side, producer):
            break
        source = side.run.values[level]
        counted = np.arange(float(source.size)).reshape(source.shape)
        moved = side.network.apply(producer, {**side.run.values, level: counted})[producer.outputs[0]]
        # From here on `places` says where in `source` each element of the value comes from.
        places = np.rint(moved).astype(np.intp).reshape(-1)[places]
        wanted = np.empty(source.size)
        wanted[places.reshape(-1)] = np.take(own, order).reshape(-1)
        found = _Found(describe_order(source, wanted.reshape(source.shape)), source.shape, producer)
    return found if found.order.kind != "other" else here


def _candidate(
    context: Context, node: LoweredNode, chosen: dict[int, np.ndarray], node_a: LoweredNode | None
) -> Candidate:
    def ordered(value: int, order: np.ndarray, values: Values) -> np.ndarray:
        return np.take(values[value], order)

    side = context.b
    reads = {i: functools.partial(ordered, i, order) for i, order in chosen.items()}
    value, order = next(iter(chosen.items()))
    found = _described(side, value, order)
    joined = not is_stored(side, value) and _is_joined(side, value, order)
    code = "argument-order" if joined else _code(context, (node, value), found)
    return Candidate(
        code,
        rewired(side, node, reads),
        node_a,
        node,
        fix_a=_fix(context.a, code, found.order, node_a, back=True),
        fix_b=_fix(side, code, found.order, found.node or node, back=False),
        detail=f"{place(node)} of {{B}} reads the numbers of {{A}} in another order: {found.order.words}",
        tested=True,
    )


def _fix(side: Side, code: str, order: Order, node: LoweredNode | None, back: bool) -> str:
    if code == "head-layout":
        return "split and merge the heads as the other model does: as (heads, size), or as (size, heads)"
    if order.grid:
        here, there = (order.grid, order.grid[::-1]) if back else (order.grid[::-1], order.grid)
        return f"split these features as {here}, not as {there}, wherever they are split and merged"
    verb, argument = (order.inverse or order.call) if back else order.call
    written = spell(side, verb, argument) if verb else "rearrange the array"
    note = " instead of a reshape" if order.kind == "reshape" else ""
    note = " before flattening" if code == "flatten-order" else note
    return f"{written}{note}  # at {place(node)}" if node else f"{written}{note}"


def _code(context: Context, read: tuple[LoweredNode, int], found: _Found) -> str:
    """What the other order means, from the kind of order and from where the array comes."""
    side, (node, value), order = context.b, read, found.order
    role = side.network.trace.values[value].role
    if order.kind == "shift":
        return "indexing"
    made = side.producers.get(_before_elementwise(side, value))
    if order.kind == "flip" and made is not None and "sort" in made.node.op.lower():
        return "sort-order"
    if order.kind == "axes" and made is not None and "softmax" in made.node.op.lower():
        logits = side.run.values[made.reals[0]]
        axes = np.ravel(np.asarray(order.call[1], int))
        if logits.ndim == axes.size and close(logits, logits.transpose(axes)):
            return "softmax-axis"  # of a symmetric array: the numbers are the same along either axis
    if order.kind in ("flip", "half-flip"):
        return "data-layout" if order.axis == _channel_axis(found.shape) else "reverse-direction"
    if order.kind == "interleave" and (role in ("constant", "buffer") or _is_computed(side, value)):
        return "positional-encoding"
    if (
        _is_linear(node)
        and side.run.values[value].ndim == 2
        and len(found.shape) >= 3
        and side.run.values[value].shape[0] == found.shape[0]  # all but the batch axis are flattened
        and order.kind in ("axes", "reshape")
    ):
        return "flatten-order"
    if order.kind == "axes" and len(found.shape) == 3 and role == "input" and order.call[1] == (1, 0, 2):
        return "batch-first"
    return "head-layout" if _attends(side, node) and len(found.shape) in (2, 3, 4) else "data-layout"


def _before_elementwise(side: Side, value: int) -> int:
    """The value before operations that act on each element alone, and so keep the order."""
    node, shape = side.producers.get(value), side.run.values[value].shape
    while node is not None and len(node.reals) == 1 and side.run.values[node.reals[0]].shape == shape:
        if any(word in node.node.op.lower() for word in _ALONG):
            break
        (value,) = node.reals
        node = side.producers.get(value)
    return value


def _is_joined(side: Side, value: int, order: np.ndarray) -> bool:
    """Whether the array was concatenated of others, and the order is that of the same in another sequence."""
    value = _before_elementwise(side, value)
    node = side.producers.get(value)
    array = side.run.values[value]
    if node is None or "cat" not in node.node.op.lower() or not 2 <= len(node.reals) <= _JOINED:
        return False
    parts, wanted = [side.run.values[i] for i in node.reals], np.take(array, order)
    for axis in range(array.ndim):
        if all(p.ndim == array.ndim for p in parts) and sum(p.shape[axis] for p in parts) == array.shape[axis]:
            joined = (np.concatenate(sequence, axis) for sequence in itertools.permutations(parts))
            return any(j.shape == wanted.shape and np.array_equal(j, wanted) for j in joined)
    return False


def _is_linear(node: LoweredNode) -> bool:
    return any(word in node.node.op.lower() for word in _LINEAR)


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of an image, or of a batch of them, that holds one to four channels."""
    places = (3, 1) if len(shape) == 4 else (2, 0) if len(shape) == 3 else ()
    return next((k for few in ((3, 4), (1, 2)) for k in places if shape[k] in few), None)


def _is_computed(side: Side, value: int) -> bool:
    """Whether the array depends on no input and no parameter."""
    roles = {side.network.trace.values[i].role for n in upstream(side, value, 60) for i in n.reals}
    return bool(side.producers.get(value)) and not roles & {"input", "parameter"}


def _attends(side: Side, node: LoweredNode) -> bool:
    """Whether a softmax, or attention itself, lies soon before or behind the node."""
    near = [node, *downstream(side, node.outputs[0], 12), *upstream(side, node.outputs[0], 24)]
    return any(word in n.node.op.lower() for n in near for word in ("softmax", "attention", "exp"))
