"""The same operations in another order: activation and normalisation exchanged, a norm before or after the residual."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, downstream, is_fixed, overridden, soon
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_REGION = 20
_LONGEST = 4
_SOON = 60
_NORMS = ("layer_norm", "group_norm", "batch_norm", "rms_norm", "layernorm", "batchnorm")
_LINEAR = ("mm", "matmul", "conv", "linear", "view", "reshape", "transpose", "permute", "clone", "copy")


@hypothesis(priority=16)
def exchanged_nodes(context: Context) -> Iterator[Candidate]:
    """Two operations of B, one upon the other, take each other's place."""
    wanted, side = Wanted(context), context.b
    for first in context.at_b.region[:_REGION]:
        y = first.outputs[0]
        for second in side.consumers.get(y, ())[:1]:
            if len(side.consumers[y]) > 1 or not (_is_simple(side, first) and _is_simple(side, second)):
                continue
            edits = _exchanged(side, first, second)
            found = soon(context, wanted, edits, 3)
            if found is not None and _both(context, wanted, edits, (first, second)):
                names = f"{first.node.op} and {second.node.op}"
                node_a = wanted.node(found)
                yield Candidate(
                    "node-order",
                    edits,
                    node_a,
                    first,
                    fix_a=f"exchange {names} around {place(node_a)}",
                    fix_b=f"exchange {names}: {second.node.op} first  # at {place(first)}",
                    detail=f"{{B}} applies {first.node.op} before {second.node.op}, {{A}} after it",
                    tested=True,
                )


@hypothesis(priority=16)
def moved_node(context: Context) -> Iterator[Candidate]:
    """The first of three or four operations of B, one upon the other, becomes the last; or the last the first."""
    wanted, side = Wanted(context), context.b
    for start in context.at_b.region[:_REGION]:
        chain = _chain(side, start)
        for length in range(3, len(chain) + 1):
            nodes = chain[:length]
            for order in ([*nodes[1:], nodes[0]], [nodes[-1], *nodes[:-1]]):
                edits = overridden(
                    side, {nodes[-1].outputs[0]: functools.partial(_in_order, side, order, start.reals[0])}
                )
                found = soon(context, wanted, edits, 1)
                if found is not None:
                    moved = nodes[0] if order[-1] is nodes[0] else nodes[-1]
                    names = " after ".join(n.node.op for n in reversed(order))
                    node_a = wanted.node(found)
                    yield Candidate(
                        "node-order",
                        edits,
                        node_a,
                        moved,
                        fix_a=f"apply {moved.node.op} where the other model does, around {place(node_a)}",
                        fix_b=f"apply {names}: {place(moved)} at another place",
                        detail=f"{{A}} applies {names}; {{B}} has {moved.node.op} at another place",
                        tested=True,
                    )


def _chain(side: Side, start: LoweredNode) -> list[LoweredNode]:
    """Operations on one array, each the only use of the one before."""
    chain: list[LoweredNode] = []
    node: LoweredNode | None = start
    while node is not None and len(chain) < _LONGEST and _is_simple(side, node):
        chain.append(node)
        following = side.consumers.get(node.outputs[0], ())
        node = following[0] if len(following) == 1 and following[0].reals[:1] == node.outputs[:1] else None
    return chain


def _in_order(side: Side, order: Sequence[LoweredNode], value: int, values: Values) -> np.ndarray:
    made = values[value]
    for node in order:
        made = side.network.apply(node, {**values, node.reals[0]: made})[node.outputs[0]]
    return made


def _both(context: Context, wanted: Wanted, edits: Edits, nodes: tuple[LoweredNode, ...]) -> bool:
    """Whether A makes the result of both exchanged operations: else one of them is too many."""
    values = dict(context.b.run.values)
    made = [edits.nodes[n.node.index](values)[n.outputs[0]] for n in nodes]
    return all(wanted.find(array) is not None for array in made)


def _is_simple(side: Side, node: LoweredNode) -> bool:
    """Whether the node is an operation on one array, with stored numbers at most beside it."""
    others = node.reals[1:]
    op = re.sub("(bi|tri)linear", "", node.node.op.lower())  # a resizing is no product
    named = any(word in op for word in _LINEAR)
    works = bool(node.reals) and bool(node.outputs) and not named
    return works and all(i not in side.producers or is_fixed(side, i) for i in others)


def _exchanged(side: Side, first: LoweredNode, second: LoweredNode) -> Edits:
    x, y, z = first.reals[0], first.outputs[0], second.outputs[0]

    def second_on_x(values: Values) -> np.ndarray:
        return side.network.apply(second, {**values, y: values[x]})[z]

    def first_on_it(values: Values) -> np.ndarray:
        return side.network.apply(first, {**values, x: second_on_x(values)})[y]

    return overridden(side, {y: second_on_x, z: first_on_it})


@hypothesis(priority=11)
def norm_before_residual(context: Context) -> Iterator[Candidate]:
    """B normalises what enters a residual branch; A normalises the sum instead."""
    wanted, side = Wanted(context), context.b
    for norm in context.at_b.region[:_REGION]:
        if not norm.reals or not any(word in norm.node.op.lower() for word in _NORMS):
            continue
        total = _residual(side, norm)
        if total is None:
            continue
        edits = _after_residual(side, norm, total)
        found = soon(context, wanted, edits, _SOON)
        if found is not None:
            yield Candidate(
                "norm-order",
                edits,
                wanted.node(found),
                norm,
                fix_a="normalise before the residual branch, x + f(norm(x)) (torch: norm_first=True)",
                fix_b="normalise after the residual branch, norm(x + f(x)) (torch: norm_first=False)",
                detail="{B} computes x + f(norm(x)), {A} norm(x + f(x))",
                tested=True,
            )


def _residual(side: Side, norm: LoweredNode) -> LoweredNode | None:
    """The node that adds the norm's input to what came of its output."""
    x, shape = norm.reals[0], side.run.values[norm.reals[0]].shape
    for node in downstream(side, norm.outputs[0], 200):
        if x in node.reals and len(node.reals) == 2 and side.run.values[node.outputs[0]].shape == shape:
            return node
    return None


def _after_residual(side: Side, norm: LoweredNode, total: LoweredNode) -> Edits:
    x, y, z = norm.reals[0], norm.outputs[0], total.outputs[0]

    def normalised(values: Values) -> np.ndarray:
        return side.network.apply(norm, {**values, x: side.network.apply(total, values)[z]})[y]

    return overridden(side, {y: _reading(x), z: normalised})


def _reading(value: int) -> Callable[[Values], np.ndarray]:
    return lambda values: values[value]
