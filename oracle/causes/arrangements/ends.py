"""The end of a sequence taken along the wrong axis: `out[-1]` of a batch-first layer is a sequence, not a step."""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import same_multiset
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

End = tuple[int, int]


@hypothesis(priority=14)
def other_end(context: Context) -> Iterator[Candidate]:
    """A node of B takes one end of an axis; another axis, or the other end, holds what A's divergent nodes read."""
    wanted = [context.a.run.values[i] for node in context.at_a.first for i in node.reals]
    read = [context.b.producers[i] for node in context.at_b.first for i in node.reals if i in context.b.producers]
    for node in (*context.at_b.region, *read):
        taken = _end_taken(context, node)
        if taken is None:
            continue
        source = context.b.run.values[node.reals[0]]
        for end in _ends(source):
            part = np.take(source, end[1], end[0])
            if end != taken and any(same_multiset(part, value) for value in wanted):
                yield _candidate(context, node, taken, end)


def _ends(source: np.ndarray) -> Iterator[End]:
    yield from ((axis, index) for axis in range(source.ndim) for index in (-1, 0))


def _end_taken(context: Context, node: LoweredNode) -> End | None:
    """The axis and index that the node takes of its only argument, if that is what it does."""
    if len(node.reals) != 1 or len(node.outputs) != 1:
        return None
    source, part = context.b.run.values[node.reals[0]], context.b.run.values[node.outputs[0]]
    if source.ndim < 2 or part.size >= source.size:
        return None
    return next((e for e in _ends(source) if np.array_equal(np.take(source, e[1], e[0]).ravel(), part.ravel())), None)


def _candidate(context: Context, node: LoweredNode, taken: End, end: End) -> Candidate:
    source, shape = node.reals[0], context.b.run.values[node.outputs[0]].shape

    def take(values: Values) -> np.ndarray:
        return np.take(values[source], end[1], end[0]).reshape(shape)

    node_a = context.at_a.first[0] if context.at_a.first else None
    words = f"{place(node)} of {{B}} takes the {_words(taken)} of its argument; {{A}} uses its {_words(end)}"
    return Candidate(
        "batch-first" if taken[0] != end[0] else "reverse-direction",
        replaced_output(node, take),
        node_a,
        node,
        fix_a=f"take the {_words(taken)} there too",
        fix_b=f"write {_index(end)} instead of {_index(taken)}, or give the layer the axes that {_index(taken)} means",
        detail=words,
        tested=True,
    )


def _words(end: End) -> str:
    return f"{'last' if end[1] else 'first'} element along axis {end[0]}"


def _index(end: End) -> str:
    return f"out[{':, ' * end[0]}{end[1]}]"
