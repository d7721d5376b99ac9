"""Several operations on the way from a value that both sides hold to where the other side uses that value itself.

One operation too many has hypotheses of its own; this is the general case, whatever the operations are: the value that
they make is replaced by the one that they begin with.
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.alignments.formulas import formula, short_name
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

# How many of B's divergent nodes may end such a chain.
_REACH = 24


@hypothesis(priority=90)
def extra_operations(context: Context) -> Iterator[Candidate]:
    """B computes with what A uses as it is."""
    if context.kind != "outputs":
        return
    for held, made, user in _chains(context):
        maker = context.b.producers[made]
        extra = formula(context.b, maker, context.at_b)
        name = place(context.b.producers.get(held)) or context.b.network.trace.values[held].name
        yield Candidate(
            "missing-node" if context.exchanged else "extra-node",
            _left_out(context, held, made),
            user,
            maker,
            fix_a=f"compute {extra} of the result of {name}",
            fix_b=f"use the result of {name} itself, not {extra}",
            detail=f"{{B}} computes {extra}; {{A}} uses the result of {name} as it is",
        )


def _left_out(context: Context, held: int, made: int) -> Edits:
    shape = context.b.run.values[made].shape
    return replaced_output(context.b.producers[made], functools.partial(_taken, held, shape))


def _taken(source: int, shape: tuple[int, ...], values: Values) -> np.ndarray:
    return values[source].reshape(shape)


def _chains(context: Context) -> Iterator[tuple[int, int, LoweredNode | None]]:
    """(value of B that A holds too, value that B makes of it, the node of A that uses the first)."""
    for pair in context.pairs:
        target_a, target_b = (pair.b, pair.a) if context.exchanged else (pair.a, pair.b)
        user = context.a.producers.get(target_a)
        yield from ((j, target_b, user) for j in _begun(context, target_a, target_b))
    for node in context.at_a.first:
        for user in context.at_b.region[:_REACH]:
            if short_name(user.node.op) == short_name(node.node.op):
                found = ((j, made) for i in node.reals for made in user.reals for j in _begun(context, i, made))
                yield from ((*chain, node) for chain in found if _goes_on(context, node, user, chain))


def _goes_on(context: Context, node: LoweredNode, user: LoweredNode, chain: tuple[int, int]) -> bool:
    """Whether without the chain what follows `user` in B is what follows `node` in A: nothing of A is passed over."""
    edited = context.b.network.edited(context.b.run, _left_out(context, *chain)).values
    ours, theirs = _following(context.a, node), _following(context.b, user)
    return same_multiset(context.a.run.values[node.outputs[0]], edited[user.outputs[0]]) and all(
        any(same_multiset(context.a.run.values[i], edited[j]) for j in theirs) for i in ours
    )


def _following(side: Side, node: LoweredNode) -> list[int]:
    """The real results of what reads the node's result in the forward pass."""
    readers = side.consumers.get(node.outputs[0], ())
    return [r.outputs[0] for r in readers if r.outputs and r.node.phase == "forward"]


def _begun(context: Context, value: int, made: int) -> Iterator[int]:
    """B's values with the numbers of A's `value` from which `made`, which has no counterpart, is computed."""
    if made not in context.at_b.open or made not in context.b.producers:
        return
    shape = context.b.run.values[made].shape
    behind = context.b.ancestors([made])
    reads = {i for n in context.b.network.nodes if n.node.index in behind for i in n.reals}
    for j in context.alignment.a_to_b.get(value, ()):
        if j in reads and context.b.run.values[j].shape == shape:
            yield j
